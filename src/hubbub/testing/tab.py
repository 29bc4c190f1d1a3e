"""A client in the test's own process: no server and no socket, and everything above them real.

    async with Tab(hub, "alice") as alice:
        await alice.join("lobby")
        await alice.send({"type": "say", "room": "lobby", "text": "hello"})
        said = await alice.receive("said")

The hub has a connection whose transport is this. What the hub writes is here at once, unless the tab was told to read
nothing; then it waits in the connection's outbox, under the room's policy, exactly as with a peer that stalls.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Self

from starlette.websockets import WebSocket

from hubbub import Hub, closes
from hubbub.errors import HandshakeRefused
from hubbub.protocol.features import subprotocols
from hubbub.protocol.messages import SUBPROTOCOL
from hubbub.testing.conversation import NO_CLOSE, SOON, Conversation, Lost
from hubbub.testing.ledger import Ledger
from hubbub.testing.line import Line
from hubbub.testing.node import Node
from hubbub.transports.asgi import EXTENSION


class Tab(Conversation):
    """A connection to `target`: a hub that was started, or a `Node`.

    user: who it is, believed without a credential. token: a credential instead, offered as a browser does.
    path: through the application's route there instead of the hub's own; `target` is the `Node` of an application.
    headers: of the handshake. features: that it asks for.
    pongs: answer `ping`. within: seconds that anything may take.

    Entering it raises AssertionError where the handshake was refused, with the status, or closed before `welcome`.
    """

    def __init__(
        self,
        target: Hub | Node,
        user: str | None = None,
        *,
        token: str | None = None,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
        features: Iterable[str] = (),
        pongs: bool = True,
        within: float = SOON,
        ledger: Ledger | None = None,
    ) -> None:
        super().__init__(ledger or Ledger(user or "tab"), pongs=pongs, within=within)
        self._target = target if isinstance(target, Node) else Node(target)
        self._user = user
        self._path = path
        bearer = [f"hubbub.bearer.{token}"] if token is not None else []
        self._offered = [SUBPROTOCOL, *bearer, *subprotocols(features)]
        self._headers = {"host": "testserver", **{name.lower(): value for name, value in (headers or {}).items()}}
        self._line: Line | None = None
        self._call: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self.status: int | None = None
        """Of a refused handshake."""

    @property
    def open(self) -> bool:
        return self._line is not None

    async def __aenter__(self) -> Self:
        await self.connect()
        try:
            await self.receive("welcome")
        except BaseException:
            await self.close()
            raise
        return self

    async def connect(self) -> None:
        """Once more where it was gone, as the same tab. Does not wait for `welcome`."""
        self._loop.check()
        assert self._line is None, "this tab is connected"
        around = self._target.scope()
        self.status = self._failure = None
        self._line = line = Line(self._told, self._over_with)
        self._target.lines.add(line)
        self._call = asyncio.create_task(self._serve(line, around))
        self._call.add_done_callback(lambda call: self._ended(line, call))

    async def reconnect(self) -> dict[str, Any]:
        """`connect`, and the `welcome`."""
        await self.connect()
        return await self.receive("welcome")

    async def say(self, text: str) -> None:
        self._loop.check()
        if self._line is None:
            raise Lost(f"{self.ledger.client} is not connected")
        self._line.frame(text)

    async def close(self) -> None:
        """Go as a browser does when the page is left."""
        await self._go(closes.FINISHED.code)

    async def drop(self) -> None:
        """The connection breaks, and the server notices at once."""
        await self._go(NO_CLOSE)

    def vanish(self) -> None:
        """As a laptop that is closed: it reads and says nothing more, and the server has to find out."""
        self._pongs = False
        self.stall()

    def stall(self) -> None:
        """Read nothing more until `read` or `go_on`."""
        if self._line is not None:
            self._line.readable = 0

    def read(self, count: int) -> None:
        """Read so many messages more, and then nothing."""
        if self._line is not None:
            self._line.readable = (self._line.readable or 0) + count
            self._line.flush()

    def go_on(self) -> None:
        """Read all that comes again."""
        if self._line is not None:
            self._line.readable = None
            self._line.flush()

    # What the line calls.

    def _told(self, text: str) -> None:
        message = self._heard(text)
        if message["type"] == "ping" and self._pongs and self._line is not None:
            # In a later turn: the connection is in the middle of writing.
            asyncio.get_running_loop().call_soon(self._line.frame, f'{{"type": "pong", "ts": {message["ts"]}}}')

    def _over_with(self, code: int) -> None:
        self._line = None
        self._hung_up(code)

    # How it works.

    async def _go(self, code: int) -> None:
        self._loop.check()
        if self._line is not None:
            self._line.end(code)
        if self._call is not None:
            call, self._call = self._call, None
            _, late = await asyncio.wait((call,), timeout=self._within)
            for each in late:
                each.cancel()
            await asyncio.gather(call, return_exceptions=True)

    def _ended(self, line: Line, call: asyncio.Task[None]) -> None:
        if not call.cancelled():
            self._failure = call.exception()
        self._target.lines.discard(line)
        line.end()

    def _ending(self) -> str:
        if self._failure is not None:
            return f"the server failed: {self._failure!r}"
        return super()._ending() if self.status is None else f"the handshake was refused with {self.status}"

    async def _serve(self, line: Line, around: dict[str, Any]) -> None:
        """The server's call for this socket."""
        scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": self._path or "/ws",
            "raw_path": (self._path or "/ws").encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._headers.items()],
            "client": ("testclient", 50000),
            "server": ("testserver", 80),
            "subprotocols": self._offered,
            "extensions": {EXTENSION: line.take_over, "websocket.http.response": {}},
            **around,
        }
        connecting = True

        async def receive() -> dict[str, Any]:
            nonlocal connecting
            if connecting:
                connecting = False
                return {"type": "websocket.connect"}
            await line.wait()
            return {"type": "websocket.disconnect", "code": NO_CLOSE}

        async def send(event: Any) -> None:
            if event["type"] == "websocket.http.response.start":
                self.status = event["status"]
            elif event["type"] == "websocket.close":
                line.end(event.get("code", 1000))

        with contextlib.suppress(HandshakeRefused):
            if self._path is not None:
                await self._target.call(scope, receive, send)
            else:
                await self._target.hub.serve(WebSocket(scope, receive, send), user=self._user)
