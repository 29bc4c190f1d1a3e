"""A client on a real socket that behaves as a good client does: it comes back, and goes on where it was.

    async with Client("ws://127.0.0.1:8000/ws", token=token) as client:
        await client.join("lobby")
        await client.receive("said", text="hello")

When its socket is gone it comes back by what the close code says: at once, with full jitter, after `retry_after`, or
not at all. It joins its rooms again with `since`, so what it missed comes. All of it is in its ledger.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.protocol import State

from hubbub.closes import CLOSES, Return
from hubbub.protocol.features import subprotocols
from hubbub.protocol.messages import SUBPROTOCOL
from hubbub.scheduling.backoff import Backoff
from hubbub.testing.conversation import NO_CLOSE, SOON, Conversation, Lost, Refusal
from hubbub.testing.ledger import Ledger
from hubbub.types import Position

_COMES_BACK = {close.code: close.comes_back for close in CLOSES}
#: Errors after which a join is tried again; after others the room is given up.
_LATER = frozenset({"unavailable", "rate_limited", "internal"})
#: Seconds that the net may add to the heartbeat's.
_SLACK = 1.0


class Client(Conversation):
    """`url`: of the WebSocket, or a callable that is asked before every attempt, for a crowd that changes servers.

    token: offered as a browser does, or a callable that makes one each time. name: in the ledger; or a `ledger` of
        one's own. features: that it asks for. rooms: joined after the first `welcome`. chance: for the jitter. first,
        ceiling: seconds of the backoff, default 0.1 and 5. rejoin: join its rooms again when it is back. patience:
        seconds that each of these joins may take, default 60, for it may have to wait until what was missed has been
        read.
    options: for `websockets.connect`, say `additional_headers`.
    """

    def __init__(
        self,
        url: str | Callable[[], str],
        *,
        token: str | Callable[[], str] | None = None,
        name: str = "client",
        user: str | None = None,
        ledger: Ledger | None = None,
        rooms: Iterable[str] = (),
        features: Iterable[str] = (),
        pongs: bool = True,
        within: float = SOON,
        chance: random.Random | None = None,
        first: float = 0.1,
        ceiling: float = 5.0,
        rejoin: bool = True,
        patience: float = 60.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(ledger or Ledger(name, user=user), pongs=pongs, within=within)
        self._url = url if callable(url) else lambda: url
        self._renews = callable(token)
        self._features = subprotocols(features)
        self._token: Callable[[], str | None] = token if callable(token) else lambda: token
        self._chance = chance or random.Random()  # noqa: S311 - jitter
        self._backoff = Backoff(self._chance.uniform, first=first, ceiling=ceiling)
        self._options = {"compression": None, "open_timeout": within, "close_timeout": 1.0, **(options or {})}
        self._rejoin = rejoin
        self._patience = patience
        self._rooms: dict[str, Mapping[str, Any] | None] = dict.fromkeys(rooms)
        """Where it wants to be, and from where, until it knows its own position."""
        self._socket: ClientConnection | None = None
        self._welcomed = False
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._joining: asyncio.Task[None] | None = None
        self._silence: float | None = None
        """Seconds in which a healthy server says something; known from its first `welcome`."""
        self.attempts: int = 0
        """How often it has tried to connect."""
        self.refusals: list[int] = []
        """The statuses of refused handshakes."""

    @property
    def open(self) -> bool:
        """Whether it was welcomed and is connected."""
        return self._welcomed and self._socket is not None and self._socket.state is State.OPEN

    @property
    def rooms(self) -> frozenset[str]:
        """Where it is, or wants to be again."""
        return frozenset(self._rooms)

    async def __aenter__(self) -> Self:
        self._loop.check()
        self._wanted.set()
        self._task = asyncio.create_task(self._live())
        try:
            await self.until(lambda: self.open, "welcome")
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Go, and do not come back."""
        self._loop.check()
        self._wanted.clear()
        try:
            if self._socket is not None:
                await self._socket.close()
        finally:
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)

    def drop(self) -> None:
        """Its connection breaks. It comes back."""
        self._welcomed = False
        if self._socket is not None:
            self._socket.transport.abort()

    def go_offline(self) -> None:
        """Its connection breaks, and it does not come back before `go_online`."""
        self._wanted.clear()
        self.drop()

    def go_online(self) -> None:
        self._wanted.set()

    async def back(self, *, within: float | None = None) -> None:
        """Until it is connected, and in all its rooms again."""
        await self.until(
            lambda: self.open and self._joining is not None and self._joining.done(), "the way back", within=within
        )

    async def say(self, text: str) -> None:
        """Raises Lost where it is not connected now, ConfigurationError in another event loop."""
        self._loop.check()
        if self._socket is None:
            raise Lost(f"{self.ledger.client} is not connected")
        try:
            await self._socket.send(text)
        except ConnectionClosed as error:
            raise Lost(f"{self.ledger.client} lost its connection while sending") from error

    async def join(
        self, room: str, *, since: Position | Mapping[str, Any] | None = None, within: float | None = None
    ) -> dict[str, Any]:
        joined = await self._join(room, since, within=within)
        self._rooms[room] = None if since is None or isinstance(since, Position) else since
        return joined

    async def leave(self, room: str, *, within: float | None = None) -> dict[str, Any]:
        self._rooms.pop(room, None)
        return await super().leave(room, within=within)

    def _is_gone(self) -> bool:
        return self._socket is None

    def _over(self) -> bool:
        return self._task is None or self._task.done()

    def _ending(self) -> str:
        if self._task is not None and self._task.done() and not self._task.cancelled() and self._task.exception():
            return f"it failed: {self._task.exception()!r}"
        return super()._ending()

    # How it works.

    async def _live(self) -> None:
        try:
            while True:
                await self._wanted.wait()
                pause = await self._connection()
                if pause is None:
                    return
                await asyncio.sleep(pause)
        finally:
            self._news.set()

    async def _connection(self) -> float | None:
        """One connection, from the attempt to the end: seconds until the next, None where there is to be none."""
        self.attempts += 1
        self._welcomed = False
        self.closing: dict[str, Any] | None = None
        token = self._token()
        bearer = [f"hubbub.bearer.{token}"] if token is not None else []
        offered = [SUBPROTOCOL, *bearer, *self._features]
        try:
            socket = await connect(self._url(), subprotocols=offered, **self._options)  # type: ignore[arg-type]
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage) as error:
            response = getattr(error, "response", None)
            if response is not None:
                self.refusals.append(response.status_code)
            return self._backoff.next()
        self._socket = socket
        try:
            await self._read(socket)
        finally:
            self._socket, self._welcomed = None, False
            socket.transport.abort()
            code = socket.protocol.close_code or NO_CLOSE
            self._hung_up(code)
            if self._joining is not None:
                self._joining.cancel()
        if self._joining is not None and self._joining.done() and not self._joining.cancelled():
            self._joining.result()
        return self._pause(code)

    async def _read(self, socket: ClientConnection) -> None:
        """Until the connection is gone, or the server has said nothing for longer than it may."""
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            while True:
                async with asyncio.timeout(self._silence):
                    message = self._heard(str(await socket.recv()))
                match message["type"]:
                    case "ping" if self._pongs:
                        await socket.send(f'{{"type": "pong", "ts": {message["ts"]}}}')
                    case "welcome":
                        heartbeat = message["heartbeat"]
                        self._silence = (heartbeat["interval"] + heartbeat["timeout"]) / 1000 + _SLACK
                        self._welcomed = True
                        self._news.set()
                        self._joining = asyncio.create_task(self._join_again())
                    case "room_left" if "reason" in message:
                        self._rooms.pop(message["room"], None)

    async def _join_again(self) -> None:
        """Where it left off, in every room; until it is in all of them or the connection is gone.

        Raises AssertionError where an answer does not come: this is the end of the client, which says so.
        """
        for room in tuple(self._rooms) if self._rejoin else ():
            backoff = Backoff(self._chance.uniform, first=0.1, ceiling=2.0)
            while room in self._rooms:
                here = self.position(room)
                since = self._rooms[room] if here is None else here
                try:
                    await self._join(room, since, within=self._patience)
                    break
                except Refusal as refusal:
                    if refusal.code not in _LATER:
                        del self._rooms[room]
                    await asyncio.sleep(backoff.next())
                except Lost:
                    return  # with the next connection it begins anew
                except Exception:
                    self.drop()
                    raise
        self._backoff.reset()
        self._news.set()

    def _pause(self, code: int) -> float | None:
        told = None if self.closing is None else self.closing.get("retry_after")
        match _COMES_BACK.get(code, Return.BACKOFF):
            case Return.NEVER:
                return None
            case Return.NEW_CREDENTIAL if not self._renews:
                return None
            case Return.AT_ONCE:
                return 0.0
            case _ if told is not None:
                return float(told) / 1000
            case _:
                return self._backoff.next()
