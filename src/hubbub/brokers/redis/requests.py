"""What is asked of the server, and what of it leaves together: messages of one channel, as one command."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from hubbub.brokers.redis.resp import Argument, packed
from hubbub.protocol.envelope import BUNDLE, join

#: Bytes of messages in one PUBLISH: the server copies it for every subscriber.
_BUNDLE_BYTES = 256 * 1024


class Request(NamedTuple):
    """`due`: when the caller's time is over, in the loop's seconds.

    A message may travel with others of its `channel` that differ from it in the last `own` arguments alone.
    """

    command: tuple[Argument, ...]
    reply: asyncio.Future[Any]
    due: float
    channel: Argument | None = None
    own: int = 0


class Sent:
    """One command of a round and whose it is: several callers', where it carries their messages together."""

    __slots__ = ("_size", "requests")

    def __init__(self, request: Request) -> None:
        self.requests: list[Request] = [request]
        self._size = size_of(request.command)

    def takes(self, request: Request) -> bool:
        """Whether it now carries this message too, of the same channel."""
        if request.command[2 : -request.own] != self.requests[0].command[2 : -request.own]:
            return False
        size = self._size + size_of(request.command)
        if len(self.requests) == BUNDLE or size > _BUNDLE_BYTES:
            return False
        self.requests.append(request)
        self._size = size
        return True

    def packed(self) -> bytes:
        command = self.requests[0].command
        messages: list[Any] = [request.command[-1] for request in self.requests]
        match self.requests[0].own:
            case 1:
                command = (*command[:-1], join(messages))
            case 2:
                command = (*command[:-1], *messages)
        return packed(command)


class Script:
    """A Lua file beside this one, sent whole once a connection, and to a server that forgot it.

    Once in any case, because what is sent again after a refusal comes behind what left with it.
    """

    def __init__(self, name: str) -> None:
        self.body: bytes = _lua(name)
        for shared, called in (("showing", b"showing("), ("edge", b"edge("), ("begun", b"begun("), ("may", b"may(")):
            if called in self.body:
                self.body = _lua(shared) + self.body
        self.sha: bytes = hashlib.sha1(self.body, usedforsecurity=False).hexdigest().encode()


def _lua(name: str) -> bytes:
    return Path(__file__).with_name(f"{name}.lua").read_bytes()


def size_of(command: tuple[Argument, ...]) -> int:
    """Of the last argument, which is the message where there is one."""
    last = command[-1]
    return len(last) if isinstance(last, bytes) else 0
