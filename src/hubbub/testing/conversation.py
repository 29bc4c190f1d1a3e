"""A client's side of `hubbub.v1`: what it says, what it is told, and waiting for that with a deadline.

`Tab` and `Client` are this with a line below it. Everything received is in `log`, in order, and in the `ledger`.
`receive` passes over what came before the message it waits for; `ask` passes over nothing, and takes only its answer.
"""

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from hubbub.testing.ledger import Ledger
from hubbub.testing.one_loop import OneLoop
from hubbub.types import Position

SOON = 5.0
"""Seconds that anything may take, where a call says nothing else."""
NO_CLOSE = 1006
"""RFC 6455 section 7.4.1: there was no close frame."""


class Refusal(AssertionError):
    """The server answered `error`: `code`, and the whole message in `error`."""

    def __init__(self, request: str, error: Mapping[str, Any]) -> None:
        super().__init__(f"{request} was refused: {dict(error)}")
        self.code: str = error["code"]
        self.error = error


class Lost(AssertionError):
    """The connection is gone, and the answer with it: whether the request was carried out, nobody here knows."""


class Conversation:
    """`pongs`: answer `ping`. `within`: seconds that anything may take."""

    def __init__(self, ledger: Ledger, *, pongs: bool = True, within: float = SOON) -> None:
        self.ledger = ledger
        self.log: list[dict[str, Any]] = []
        """Every message in order, `ping` too."""
        self.close_code: int | None = None
        """What the socket was closed with last; 1006 where it was lost without a word."""
        self.closing: dict[str, Any] | None = None
        """The `closing` that was told last."""
        self._passed = 0
        self._taken: set[int] = set()
        self._pongs = pongs
        self._within = within
        self._ids = itertools.count(1)
        self._news = asyncio.Event()
        self._loop = OneLoop(type(self).__name__)

    @property
    def welcome(self) -> dict[str, Any]:
        """The newest `welcome`. Raises AssertionError before there is one."""
        found = self.received("welcome")
        assert found, "there was no welcome yet"
        return found[-1]

    @property
    def open(self) -> bool:
        """Whether there is somebody to talk to now."""
        raise NotImplementedError

    async def close(self) -> None:
        """Go."""
        raise NotImplementedError

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def position(self, room: str) -> Position | None:
        """How far it has got in a room that keeps history."""
        return self.ledger.position(room)

    # Saying.

    async def say(self, text: str) -> None:
        """One frame, whatever it is. Raises Lost where nobody is there, ConfigurationError in another event loop."""
        raise NotImplementedError

    async def send(self, message: Mapping[str, Any]) -> None:
        """One message, of any type."""
        self.ledger.sent(message)
        await self.say(json.dumps(message))

    async def ask(self, message: Mapping[str, Any], *, within: float | None = None) -> dict[str, Any]:
        """Send with an `id`, and wait for the answer to it.

        Raises Refusal where it is `error`, Lost as soon as the connection is gone, AssertionError where it is late.
        """
        id = f"q{next(self._ids)}"
        looked_at = len(self.log)
        ends = len(self.ledger.closes)
        await self.send({**message, "id": id})

        def found() -> bool:
            nonlocal looked_at
            while looked_at < len(self.log):
                if self.log[looked_at].get("id") == id:
                    self._taken.add(looked_at)
                    return True
                looked_at += 1
            if len(self.ledger.closes) > ends:
                raise Lost(f"{self.ledger.client} waited for the answer to {message}, and {self._ending()}")
            return False

        await self.until(found, f"the answer to {message}", within=within)
        answer = self.log[looked_at]
        if answer["type"] == "error":
            raise Refusal(str(message.get("type")), answer)
        return answer

    async def join(
        self, room: str, *, since: Position | Mapping[str, Any] | None = None, within: float | None = None
    ) -> dict[str, Any]:
        """The `room_joined`. `since`: a position, or what the wire has in its place. Raises Refusal."""
        return await self._join(room, since, within=within)

    async def _join(
        self, room: str, since: Position | Mapping[str, Any] | None, *, within: float | None
    ) -> dict[str, Any]:
        message: dict[str, Any] = {"type": "join_room", "room": room}
        if isinstance(since, Position):
            message["since"] = {"epoch": since.epoch, "offset": since.offset}
        elif since is not None:
            message["since"] = dict(since)
        return await self.ask(message, within=within)

    async def leave(self, room: str, *, within: float | None = None) -> dict[str, Any]:
        """The `room_left`. Raises Refusal."""
        return await self.ask({"type": "leave_room", "room": room}, within=within)

    # Being told.

    async def receive(self, type: str | None = None, *, within: float | None = None, **fields: Any) -> dict[str, Any]:
        """The next message of this type with these fields; what comes before it is passed over.

        Raises AssertionError, with what came instead, where it does not come in time or the socket is gone.
        """
        wanted = fields if type is None else {"type": type, **fields}

        def found() -> bool:
            while self._passed < len(self.log):
                self._passed += 1
                message = self.log[self._passed - 1]
                if self._passed - 1 in self._taken:
                    continue
                if wanted.items() <= message.items() and (wanted or message["type"] != "ping"):
                    return True
            return False

        start = self._passed
        await self.until(found, lambda: f"{wanted or 'anything'} after {self.log[start:]}", within=within)
        return self.log[self._passed - 1]

    async def until(
        self, condition: Callable[[], object], what: Callable[[], str] | str, *, within: float | None = None
    ) -> None:
        """Until the condition holds; it is looked at whenever something has come. Raises AssertionError."""
        self._loop.check()
        seconds = self._within if within is None else within
        say = what if callable(what) else lambda: what
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    if self._over():
                        raise AssertionError(f"{self.ledger.client} waited for {say()}, and {self._ending()}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{self.ledger.client} waited {seconds:g} s for {say()}") from None

    def received(self, type: str) -> list[dict[str, Any]]:
        """All messages of this type so far."""
        return [message for message in self.log if message["type"] == type]

    async def caught_up(self, *, within: float | None = None) -> None:
        """Until all that was written to it when this was called has come: a `ping` of its own is answered after it."""
        await self.ask({"type": "ping"}, within=within)

    async def closed(self, *, within: float | None = None) -> int:
        """The code it is closed with, once it is; 1006 where the socket is lost without one."""
        await self.until(self._is_gone, "the end", within=within)
        return self.close_code or NO_CLOSE

    # What the line below tells.

    def _heard(self, text: str) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(text)
        self.log.append(message)
        self.ledger.received(message)
        if message["type"] == "closing":
            self.closing = message
        self._news.set()
        return message

    def _hung_up(self, code: int) -> None:
        self.close_code = code
        self.ledger.closed(code)
        self._news.set()

    def _is_gone(self) -> bool:
        """There is no connection, and how it ended is known."""
        return not self.open

    def _over(self) -> bool:
        """Nothing more will come."""
        return not self.open

    def _ending(self) -> str:
        """How it ended, for a message."""
        return f"the socket was closed with {self.close_code}"
