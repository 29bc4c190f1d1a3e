"""One user's session with a running hub, on sockets that come and go.

    session = Session("wss://app.example/ws", rooms={"lobby": None}, credential=lambda: token)
    async for event in session.events():
        match event:
            case Heard(message): ...

What the protocol asks of a good client is done here: it answers `ping`, notices a dead line by the heartbeat, comes
back when the close code says so and joins its rooms again from where it stood. Nothing is lost without an event that
says so: `Away` for each time it was not connected, `Joined` with `recovered`, and `gap` among what is `Heard`.
"""

import asyncio
import contextlib
import inspect
import json
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI

from hubbub.auth.redaction import harmless
from hubbub.client.positions import Place
from hubbub.client.returning import Returning, reason_of
from hubbub.errors import HubbubError
from hubbub.protocol.features import subprotocols
from hubbub.protocol.messages import SUBPROTOCOL

#: Seconds for a connection and its handshake.
OPENING = 10.0
#: Seconds that the net may add to the heartbeat's.
_SLACK = 1.0
#: Bytes of one message, beyond what any hub sends by default.
_LARGEST = 16 * 1024 * 1024
#: Errors after which a join is tried again, by the next connection at the latest.
_LATER = frozenset({"unavailable", "rate_limited", "internal"})
_ABNORMAL = 1006


class SessionEnded(HubbubError):
    """It is over and does not come back; the text is one sentence that says why.

    `code`: with which it was closed, None where it never was let in.
    """

    def __init__(self, sentence: str, code: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Connected:
    """It was let in. `again`: it had been before."""

    welcome: Mapping[str, Any]
    again: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """It is in a room: the answer, also one that came unasked. `again`: it had been in it before, on another line.

    `lost`: messages may be missing between then and now, and nobody brings them.
    """

    room: str
    answer: Mapping[str, Any]
    again: bool
    lost: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """A message. `kept`: it was said before the room was joined, and handed over from what is kept."""

    message: Mapping[str, Any]
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Away:
    """It is not connected, for the reason `why`, and tries again in `seconds`."""

    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that was kept has been handed over, of the room's first join."""

    room: str


Event: TypeAlias = Connected | Joined | Heard | Away | CaughtUp


@dataclass(slots=True)
class _Room:
    place: Place
    joined: bool = False
    """On any line so far."""
    caught_up: bool = False


class Session:
    """`url`: of the WebSocket. `rooms`: to be in, each with the `since` of its first join, or None.

    `credential` makes the token of each connection, None for none; `renews`: whether another call makes another one.
    `features`: what it asks for. `chance`: `random.uniform`, for the jitter.
    """

    def __init__(
        self,
        url: str,
        *,
        rooms: Mapping[str, Mapping[str, Any] | None],
        credential: Callable[[], str | None] = lambda: None,
        renews: bool = False,
        features: Iterable[str] = (),
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._url = url
        self._credential = credential
        self._features = subprotocols(features)
        self._returning = Returning(chance, renews=renews)
        self._rooms = {
            room: _Room(Place(epoch=(since or {}).get("epoch"), offset=(since or {}).get("offset")))
            for room, since in rooms.items()
        }
        #: The `id` of each room's join. The next higher one is that of the join behind which all is handed over.
        self._ids = {room: 2 * number for number, room in enumerate(rooms, 1)}
        self._asked = {id: room for room, id in self._ids.items()}
        self._welcomed: float | None = None
        self._been_in = False
        self._silence: float | None = None
        self._retry_after: float | None = None
        self._later: dict[str, asyncio.TimerHandle] = {}

    async def events(self) -> AsyncGenerator[Event, None]:
        """Until it is over. Raises SessionEnded; where nobody is reached by the first attempt, too."""
        while True:
            self._welcomed = self._retry_after = None
            try:
                socket = await self._open()
            except InvalidStatus as refused:
                status = refused.response.status_code
                told = _seconds(refused.response.headers.get("Retry-After"))
                wait = self._returning.after_refusal(status, retry_after=told) if self._been_in else None
                if wait is None:
                    raise SessionEnded(_refusal(refused)) from None
                yield Away(_refusal(refused), wait)
            except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, EOFError) as error:
                why = f"cannot reach {_place(self._url)}: {_said(error)}"
                if not self._been_in:
                    raise SessionEnded(why) from None
                wait = self._returning.after_failure()
                yield Away(why, wait)
            else:
                try:
                    async for event in self._converse(socket):
                        yield event
                    # Before the line is closed from here, which has a code of its own.
                    code = socket.protocol.close_code or _ABNORMAL
                    reason = socket.protocol.close_reason or reason_of(code)
                finally:
                    for handle in self._later.values():
                        handle.cancel()
                    self._later.clear()
                    # Who is gone says so; a line that is dead is not waited for.
                    with contextlib.suppress(Exception):
                        async with asyncio.timeout(1.0):
                            await socket.close()
                    socket.transport.abort()
                lived = None if self._welcomed is None else asyncio.get_running_loop().time() - self._welcomed
                why = "the connection broke" if code == _ABNORMAL else f"closed with {code} ({reason})"
                after = self._returning.after_close(code, lived=lived, retry_after=self._retry_after)
                if after is None:
                    raise SessionEnded(why, code)
                wait = after
                yield Away(why, wait)
            await asyncio.sleep(wait)

    async def _open(self) -> ClientConnection:
        token = self._credential()
        bearer = [] if token is None else [f"hubbub.bearer.{token}"]
        try:
            return await connect(
                self._url,
                subprotocols=[SUBPROTOCOL, *bearer, *self._features],  # type: ignore[list-item]
                **connect_options(self._url),
            )
        except InvalidURI:
            raise SessionEnded(f"{_place(self._url)} is no address of a WebSocket") from None

    async def _converse(self, socket: ClientConnection) -> AsyncGenerator[Event, None]:
        """One connection, until it is gone or has said nothing for longer than a healthy one may."""
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            while True:
                try:
                    async with asyncio.timeout(OPENING if self._silence is None else self._silence):
                        text = await socket.recv()
                except TimeoutError:
                    if not self._been_in:
                        # It would be the same the next time: whoever is there is not slow, but something else.
                        said = f"{_place(self._url)} let it connect and said no welcome: no hub is there"
                        raise SessionEnded(said) from None
                    raise
                message = _read(text)
                if message is None:
                    continue
                try:
                    events = await self._told(socket, message)
                except (KeyError, TypeError, AttributeError) as error:
                    said = f"{_place(self._url)} speaks another protocol: {harmless(message['type'])} cannot be read"
                    raise SessionEnded(said) from error
                for event in events:
                    yield event

    async def _told(self, socket: ClientConnection, message: dict[str, Any]) -> list[Event]:
        match message["type"]:
            case "ping":
                ts = {"ts": message["ts"]} if "ts" in message else {}
                await socket.send(json.dumps({"type": "pong", **ts}))
                return []
            case "welcome":
                heartbeat = message["heartbeat"]
                self._silence = (heartbeat["interval"] + heartbeat["timeout"]) / 1000 + _SLACK
                self._welcomed = asyncio.get_running_loop().time()
                again, self._been_in = self._been_in, True
                for room in self._rooms:
                    await self._join(socket, room)
                return [Connected(message, again)]
            case "room_joined" if message.get("room") in self._rooms:
                return await self._joined(socket, message)
            case "error" if message.get("id") in self._asked:
                return self._refused(socket, message)
            case "room_left" if message.get("room") in self._rooms:
                raise SessionEnded(f"put out of {message['room']}: {message.get('reason') or 'no reason given'}")
            case "closing":
                self._retry_after = _seconds(message.get("retry_after"), 1000)
                return []
            case _:
                return [self._heard(message)]

    async def _join(self, socket: ClientConnection, room: str) -> None:
        since = self._rooms[room].place.since()
        asked = {
            "type": "join_room",
            "room": room,
            "id": self._ids[room],
            **({} if since is None else {"since": since}),
        }
        await socket.send(json.dumps(asked))

    async def _joined(self, socket: ClientConnection, message: dict[str, Any]) -> list[Event]:
        name = str(message["room"])
        room = self._rooms[name]
        if message.get("id") == self._ids[name] + 1:
            room.caught_up = True
            return [CaughtUp(name)]
        again = room.joined
        asked = message.get("id") == self._ids[name]
        # Where it is without `since`, there was no position: nothing is kept, and what was said meanwhile is gone.
        lost = asked and (message.get("recovered") is False or (again and "recovered" not in message))
        if asked:
            room.place.joined(message)
            room.joined = True
            if not room.caught_up and "recovered" in message:
                # Answered when all has been handed over that comes before it.
                await socket.send(json.dumps({"type": "join_room", "room": name, "id": self._ids[name] + 1}))
        return [Joined(name, message, again and asked, lost)]

    def _refused(self, socket: ClientConnection, message: dict[str, Any]) -> list[Event]:
        room = self._asked[message["id"]]
        said = f"cannot join {room}: {message.get('code')}: {message.get('message')}"
        if message.get("code") not in _LATER or not self._rooms[room].joined:
            raise SessionEnded(said)
        wait = self._returning.after_failure()
        loop = asyncio.get_running_loop()
        self._later[room] = loop.call_later(wait, lambda: loop.create_task(self._join_later(socket, room)))
        return [Away(said, wait)]

    async def _join_later(self, socket: ClientConnection, room: str) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._join(socket, room)

    def _heard(self, message: dict[str, Any]) -> Heard:
        room = self._rooms.get(str(message.get("room")))
        if room is None:
            return Heard(message)
        if message["type"] == "gap":
            room.place.gap(message)
            return Heard(message)
        return Heard(message, kept=room.place.came(message))


def connect_options(url: str) -> dict[str, Any]:
    """For `websockets.connect`, of whatever version: no compression, and no proxy before this machine itself."""
    options: dict[str, Any] = {
        "compression": None,
        "open_timeout": OPENING,
        "close_timeout": 1.0,
        # The protocol has a heartbeat of its own.
        "ping_interval": None,
        "max_size": _LARGEST,
    }
    if "proxy" in inspect.signature(connect.__init__).parameters:
        host = urlsplit(url).hostname
        options["proxy"] = None if host in ("localhost", "::1") or str(host).startswith("127.") else True
    return options


def _read(text: str | bytes) -> dict[str, Any] | None:
    """A message; None for what is none, which this protocol never sends."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else None


def _seconds(value: Any, of: int = 1) -> float | None:
    try:
        return max(0.0, float(value) / of)
    except (TypeError, ValueError):
        return None


def _place(url: str) -> str:
    """Without what may be a credential in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _said(error: BaseException) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _refusal(refused: InvalidStatus) -> str:
    """The status, and what the answer says for itself where it is short and readable."""
    response = refused.response
    said = ""
    with contextlib.suppress(ValueError, AttributeError):
        body = json.loads(response.body or b"")
        told = body.get("detail") or body.get("message") or ""
        said = f": {str(told)[:200]}" if told else ""
    return f"the server refused the handshake with {response.status_code} {response.reason_phrase}{said}"
