"""A client of `hubbub.v1` for tests: one tab, on a real socket, that remembers all it was told.

    async with Tab(server.ws, user="alice") as tab:
        await tab.join("tea")
        message = await tab.expect("room_message", content="hello")

Every wait has a deadline, and fails with what was received instead. `ping` is answered unless told otherwise.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import websockets
from websockets.asyncio.client import ClientConnection, connect

SOON = 10.0
#: How long "nothing comes" is watched. Used together with a message sent afterwards wherever one can be.
QUIET = 0.3


class Tab:
    """`path` with the user's name in it where `user` is given: the showcase's guests. Otherwise `token` or nothing."""

    def __init__(
        self,
        base: str,
        path: str = "/ws",
        *,
        user: str | None = None,
        token: str | None = None,
        pongs: bool = True,
        **options: Any,
    ) -> None:
        self.url = f"{base}/ws/chat/{user}" if user is not None else f"{base}{path}"
        self._options = {"compression": None, "open_timeout": SOON, "close_timeout": SOON, **options}
        if token is not None:
            self._options["subprotocols"] = ["hubbub.v1", f"hubbub.bearer.{token}"]
        self._pongs = pongs
        self._ids = itertools.count(1)
        self._news = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None
        self._ended = False
        self.log: list[dict[str, Any]] = []
        """Every message in order, `ping` too."""
        self.seen = 0
        """How many of them `expect` and `next` have passed."""
        self.welcome: dict[str, Any] = {}

    socket: ClientConnection

    @property
    def node(self) -> str:
        return str(self.welcome["node"])

    async def __aenter__(self) -> Self:
        await self.open()
        try:
            self.welcome = await self.expect("welcome")
        except BaseException:
            await self.leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def open(self) -> Self:
        """Without waiting for `welcome`. Ends with `leave`."""
        self.socket = await connect(self.url, **self._options)
        self._reader = asyncio.create_task(self._read())
        return self

    async def leave(self) -> None:
        await self.socket.close()
        await self._stop_reading()

    async def drop(self) -> None:
        """Go without a word, as a closed laptop does."""
        self.socket.transport.abort()
        await self._stop_reading()

    async def send(self, type: str, **fields: Any) -> None:
        await self.raw(json.dumps({"type": type, **fields}))

    async def raw(self, data: str | bytes) -> None:
        await self.socket.send(data)

    async def ask(self, type: str, **fields: Any) -> dict[str, Any]:
        """Send with an `id`, and the answer to it, whatever its type."""
        id = f"t{next(self._ids)}"
        await self.send(type, id=id, **fields)
        return await self.expect(id=id)

    async def join(self, room: str, **fields: Any) -> dict[str, Any]:
        joined = await self.ask("join_room", room=room, **fields)
        assert joined["type"] == "room_joined", joined
        return joined

    async def expect(self, type: str | None = None, *, within: float = SOON, **fields: Any) -> dict[str, Any]:
        """The next message of this type with these fields; what comes before it is passed over."""
        wanted = fields if type is None else {"type": type, **fields}

        def found() -> bool:
            while self.seen < len(self.log):
                self.seen += 1
                if wanted.items() <= self.log[self.seen - 1].items():
                    return True
            return False

        await self._until(found, f"no {wanted}", within)
        return self.log[self.seen - 1]

    async def next(self, *, within: float = SOON) -> dict[str, Any]:
        """The next message, whatever it is, `ping` excepted."""

        def found() -> bool:
            while self.seen < len(self.log):
                self.seen += 1
                if self.log[self.seen - 1]["type"] != "ping":
                    return True
            return False

        await self._until(found, "nothing", within)
        return self.log[self.seen - 1]

    def received(self, type: str) -> list[dict[str, Any]]:
        """All messages of this type so far."""
        return [message for message in self.log if message["type"] == type]

    async def nothing(self, type: str | None = None, *, during: float = QUIET) -> None:
        """Nothing (of this type) comes, as far as a `ping` of ours, answered after it, and a moment more can tell."""
        before = len(self.log)
        await asyncio.sleep(during)
        await self.send("ping", ts="nothing")
        await self.expect("pong", ts="nothing")
        came = [each for each in self.log[before:] if each["type"] not in ("ping", "pong")]
        assert not [each for each in came if type in (None, each["type"])], came

    async def closed(self, *, within: float = SOON) -> int:
        """The code the server closes with; 1006 where the connection is lost without one."""
        async with asyncio.timeout(within):
            await self.socket.wait_closed()
        return self.socket.protocol.close_code or 1006

    async def _read(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for data in self.socket:
                message = json.loads(data)
                if message["type"] == "ping" and self._pongs:
                    await self.send("pong", ts=message["ts"])
                async with self._news:
                    self.log.append(message)
                    self._news.notify_all()
        async with self._news:
            self._ended = True
            self._news.notify_all()

    async def _until(self, found: Callable[[], bool], what: str, within: float) -> None:
        success = False

        def settled() -> bool:
            nonlocal success
            success = found()
            return success or self._ended

        try:
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(settled)
        except TimeoutError:
            raise AssertionError(f"{what} within {within:g} s; received: {self.log}") from None
        assert success, f"{what}, and the socket closed with {self.socket.protocol.close_code}; received: {self.log}"

    async def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
