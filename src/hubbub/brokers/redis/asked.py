"""What is asked of the server, and what of it leaves together: messages of one channel, as one command."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from hubbub.brokers.redis.resp import Argument, packed
from hubbub.protocol.envelope import BUNDLE, join

#: Bytes of messages in one PUBLISH: the server copies it for every subscriber.
_BUNDLE_BYTES = 256 * 1024


class Asked(NamedTuple):
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

    __slots__ = ("_size", "asked")

    def __init__(self, asked: Asked) -> None:
        self.asked = [asked]
        self._size = size_of(asked.command)

    def takes(self, asked: Asked) -> bool:
        """Whether it now carries this message too, of the same channel."""
        if asked.command[2 : -asked.own] != self.asked[0].command[2 : -asked.own]:
            return False
        size = self._size + size_of(asked.command)
        if len(self.asked) == BUNDLE or size > _BUNDLE_BYTES:
            return False
        self.asked.append(asked)
        self._size = size
        return True

    def packed(self) -> bytes:
        command = self.asked[0].command
        messages: list[Any] = [asked.command[-1] for asked in self.asked]
        match self.asked[0].own:
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
        self.body = Path(__file__).with_name(f"{name}.lua").read_bytes()
        self.sha = hashlib.sha1(self.body, usedforsecurity=False).hexdigest().encode()


def size_of(command: tuple[Argument, ...]) -> int:
    """Of the last argument, which is the message where there is one."""
    last = command[-1]
    return len(last) if isinstance(last, bytes) else 0
