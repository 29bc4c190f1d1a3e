"""A tab for tests of a real server: the conversation of `hubbub.testing`, on a socket that does not come back.

    async with Tab(server.ws, user="alice") as tab:
        await tab.join("tea")
        message = await tab.receive("room_message", content="hello")

Where `hubbub.testing.Tab` is in the test's own process, and `Client` comes back by itself, this one is the socket and
nothing more: what a handshake is answered, with which code it ends, and what comes of frames that no client sends.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from hubbub.protocol.features import subprotocols
from hubbub.testing import Ledger, Refusal
from hubbub.testing.conversation import NO_CLOSE, Conversation
from tests.kit.waiting import SOON

#: How long "nothing comes" is watched. Used together with a message sent afterwards wherever one can be.
QUIET = 0.3


class Tab(Conversation):
    """`path` with the user's name in it where `user` is given: the showcase's guests. Otherwise `token` or nothing.

    Unlike elsewhere `receive` never goes back behind an answer: what came before it is passed over.
    """

    def __init__(
        self,
        base: str,
        path: str = "/ws",
        *,
        user: str | None = None,
        token: str | None = None,
        features: Iterable[str] = (),
        pongs: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(Ledger(user or "tab"), pongs=pongs, within=SOON)
        self.url = f"{base}/ws/chat/{user}" if user is not None else f"{base}{path}"
        self._options = {"compression": None, "open_timeout": SOON, "close_timeout": 10.0, **options}
        offered = [*([f"hubbub.bearer.{token}"] if token is not None else []), *subprotocols(features)]
        if offered:
            self._options["subprotocols"] = ["hubbub.v1", *offered]
        self._reader: asyncio.Task[None] | None = None
        self._connected = False

    socket: ClientConnection

    @property
    def open(self) -> bool:
        return self._connected

    @property
    def node(self) -> str:
        return str(self.welcome["node"])

    async def __aenter__(self) -> Self:
        await self.connect()
        try:
            await self.receive("welcome")
        except BaseException:
            await self.close()
            raise
        return self

    async def connect(self) -> Self:
        """Without waiting for `welcome`. Ends with `close`."""
        self.socket = await connect(self.url, **self._options)
        self._connected = True
        self._reader = asyncio.create_task(self._read())
        return self

    async def close(self) -> None:
        await self.socket.close()
        await self._stop_reading()

    async def drop(self) -> None:
        """Go without a word, as a closed laptop does."""
        self.socket.transport.abort()
        await self._stop_reading()

    async def say(self, text: str | bytes) -> None:
        await self.socket.send(text)

    async def ask(self, message: Mapping[str, Any], *, within: float | None = None) -> dict[str, Any]:
        try:
            answer = await super().ask(message, within=within)
        except Refusal as refusal:
            self._pass_over(refusal.error)
            raise
        self._pass_over(answer)
        return answer

    async def request(self, type: str, **fields: Any) -> dict[str, Any]:
        """As `ask`, and the answer whatever it is: of an `error` too."""
        try:
            return await self.ask({"type": type, **fields})
        except Refusal as refusal:
            return dict(refusal.error)

    async def nothing(self, type: str | None = None, *, during: float = QUIET) -> None:
        """Nothing (of this type) comes, as far as a `ping` of ours, answered after it, and a moment more can tell."""
        before = len(self.log)
        await asyncio.sleep(during)
        await self.send({"type": "ping", "ts": "nothing"})
        await self.receive("pong", ts="nothing")
        came = [each for each in self.log[before:] if each["type"] not in ("ping", "pong")]
        assert not [each for each in came if type in (None, each["type"])], came

    # How it works.

    def _pass_over(self, answer: Mapping[str, Any]) -> None:
        self._passed = max(self._passed, 1 + next(at for at, each in enumerate(self.log) if each is answer))

    async def _read(self) -> None:
        try:
            with contextlib.suppress(ConnectionClosed):
                async for text in self.socket:
                    message = self._heard(text if isinstance(text, str) else text.decode())
                    if message["type"] == "ping" and self._pongs:
                        await self.socket.send(json.dumps({"type": "pong", "ts": message["ts"]}))
        finally:
            self._connected = False
            self._hung_up(self.socket.protocol.close_code or NO_CLOSE)

    async def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def _ending(self) -> str:
        return f"{super()._ending()}; received: {self.log}"
