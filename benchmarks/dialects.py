"""How each server under test is spoken to: dialects of `hubbub.loadtest.dialect`."""

import json
from collections.abc import Callable, Sequence
from functools import partial

from hubbub.auth.jwt import JWTAuth
from hubbub.loadtest.dialect import Dialect, Step
from hubbub.loadtest.v1 import ROOM_MESSAGE, HubbubV1, HubbubV1Requests, user

# As a browser's JSON.stringify writes it.
_json = partial(json.dumps, separators=(",", ":"))


def _says(kind: str) -> Callable[[bytes], bool]:
    wanted = f'"type":"{kind}"'.encode()
    return lambda payload: wanted in payload


def _begins(prefix: bytes) -> Callable[[bytes], bool]:
    return lambda payload: payload.startswith(prefix)


class Ours(HubbubV1):
    """`hubbub.v1` with a signed token for each connection. `prefix` goes before the tool's name of a room."""

    def __init__(self, secret: str, *, prefix: str = "room:", message: str = ROOM_MESSAGE) -> None:
        super().__init__(credential=lambda i: self._auth.sign(user(i)), message=message)
        self._auth = JWTAuth(secret)
        self._prefix = prefix

    def opening(self, i: int, room: str | None) -> list[Step]:
        return super().opening(i, None if room is None else self._prefix + room)

    def message(self, i: int, room: str, content: str, id: str | None) -> str:
        return super().message(i, self._prefix + room, content, id)


class OursRequests(Ours):
    """A typed request; the reply that counts is the `ack`, not an `error` with the same id."""

    delivery = HubbubV1Requests.delivery

    def __init__(self, secret: str) -> None:
        super().__init__(secret, message='{"type":"request","content":"{content}"}')


class Relay:
    """The peers that pass on whatever a member sends: the first text is the room's name."""

    subprotocols: Sequence[str] = ()
    delivery = b""

    def path(self, i: int) -> str:
        return "/rooms"

    def headers(self, i: int) -> list[tuple[str, str]]:
        return []

    def opening(self, i: int, room: str | None) -> list[Step]:
        return [] if room is None else [Step(room, _says("room_joined"))]

    def message(self, i: int, room: str, content: str, id: str | None) -> str:
        return _json({"type": "room_message", "content": content, "room": room})

    def answer(self, payload: bytes) -> str | None:
        return None

    def refusal(self, payload: bytes) -> str | None:
        return None


class Bare(Relay):
    """A route that echoes what it gets, or only accepts."""

    def __init__(self, path: str) -> None:
        self._path = path

    def path(self, i: int) -> str:
        return self._path

    def opening(self, i: int, room: str | None) -> list[Step]:
        return []

    def message(self, i: int, room: str, content: str, id: str | None) -> str:
        return _json({"type": "request", "id": id, "content": content})


class SocketIO:
    """Socket.IO 5 over Engine.IO 4, by WebSocket from the first byte."""

    subprotocols: Sequence[str] = ()
    delivery = b"room_message"

    def path(self, i: int) -> str:
        return "/socket.io/?EIO=4&transport=websocket"

    def headers(self, i: int) -> list[tuple[str, str]]:
        return []

    def opening(self, i: int, room: str | None) -> list[Step]:
        steps = [Step(ready=_begins(b"0{")), Step("40", _begins(b"40"))]
        if room is not None:
            steps.append(Step(f'420["join",{_json(room)}]', _begins(b"430")))
        return steps

    def message(self, i: int, room: str, content: str, id: str | None) -> str:
        return "42" + _json(["room_message", {"content": content, "room": room}])

    def answer(self, payload: bytes) -> str | None:
        return "3" if payload == b"2" else None

    def refusal(self, payload: bytes) -> str | None:
        return payload.decode()[:200] if payload.startswith((b"44", b"41")) else None


def dialect(name: str, secret: str) -> Dialect:
    """The dialect of that name. Raises KeyError."""
    made: dict[str, Callable[[], Dialect]] = {
        "ours": partial(Ours, secret),
        "ours-presence": partial(Ours, secret, prefix="present:"),
        "ours-kept": partial(Ours, secret, prefix="kept:"),
        "ours-request": partial(OursRequests, secret),
        "ours-everyone": partial(Ours, secret, message='{"type":"everyone","content":"{content}"}'),
        "relay": Relay,
        "echo": partial(Bare, "/echo"),
        "accept": partial(Bare, "/accept"),
        "socketio": SocketIO,
    }
    return made[name]()
