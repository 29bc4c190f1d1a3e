"""The dialect `hubbub.v1`, against the showcase or any application whose messages have another shape."""

import json
from collections.abc import Callable, Sequence

from hubbub.errors import ConfigurationError
from hubbub.loadtest.dialect import Step

ROOM_MESSAGE = '{"type":"room_message","room":"{room}","content":"{content}"}'

_PROTOCOL = "hubbub.v1"
_SLOTS = ("room", "content", "user")


class HubbubV1:
    """Connections of `user-0`, `user-1` and so on.

    path: where the endpoint is; `{user}` is replaced by the user's name. Default `/ws`.
    credential: gives the token of connection `i`; None (the default) for servers that ask for none.
    message: JSON text of what a member sends; `{room}`, `{content}` and `{user}` are replaced. Default: the showcase's.

    Raises ConfigurationError for a message that is no JSON object with `type`, or without `{content}`.
    """

    delivery = b""

    def __init__(
        self,
        *,
        path: str = "/ws",
        credential: Callable[[int], str] | None = None,
        message: str = ROOM_MESSAGE,
    ) -> None:
        if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
            raise ConfigurationError(f"the path is like /ws or /ws/chat/{{user}}, percent-encoded, not {path!r}")
        try:
            shape = json.loads(message)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"the message is not JSON: {error}") from None
        if not isinstance(shape, dict) or not isinstance(shape.get("type"), str):
            raise ConfigurationError(f"the message is a JSON object with a type, like {ROOM_MESSAGE}")
        if "{content}" not in message:
            raise ConfigurationError("the message needs {content} in it: it is how a delivery is recognised")
        self._path = path
        self._credential = credential
        self._shape = shape

    @property
    def subprotocols(self) -> Sequence[str]:
        return (_PROTOCOL,)

    def path(self, i: int) -> str:
        return self._path.replace("{user}", user(i))

    def headers(self, i: int) -> list[tuple[str, str]]:
        if self._credential is None:
            return []
        return [("Sec-WebSocket-Protocol", f"{_PROTOCOL}, hubbub.bearer.{self._credential(i)}")]

    def opening(self, i: int, room: str | None) -> list[Step]:
        steps = [Step(None, lambda payload: b'"welcome"' in payload and _type(payload) == "welcome")]
        if room is not None:
            ask = json.dumps({"type": "join_room", "room": room})
            steps.append(Step(ask, lambda payload: b'"room_joined"' in payload and _type(payload) == "room_joined"))
        return steps

    def message(self, i: int, room: str, content: str, id: str | None) -> str:
        slots = {"room": room, "content": content, "user": user(i)}
        filled = {name: _filled(each, slots) for name, each in self._shape.items()}
        if id is not None:
            filled["id"] = id
        return json.dumps(filled, separators=(",", ":"), ensure_ascii=False)

    def answer(self, payload: bytes) -> str | None:
        if b'"ping"' not in payload:
            return None
        said = _object(payload)
        if said.get("type") != "ping":
            return None
        return json.dumps({"type": "pong", "ts": said["ts"]} if "ts" in said else {"type": "pong"})

    def refusal(self, payload: bytes) -> str | None:
        if b'"error"' not in payload and b'"closing"' not in payload:
            return None
        said = _object(payload)
        match said.get("type"):
            case "error":
                return f"{said.get('code')}: {said.get('message')}"
            case "closing":
                return f"closing: {said.get('reason')}"
            case _:
                return None


class HubbubV1Requests(HubbubV1):
    """The same for the workload `request`, where what counts is the `ack` that echoes the `id`."""

    delivery = b'"ack"'


def user(i: int) -> str:
    """The user's id of connection `i`; what a token for it is signed for."""
    return f"user-{i}"


def _filled(value: object, slots: dict[str, str]) -> object:
    match value:
        case str():
            for name in _SLOTS:
                value = value.replace(f"{{{name}}}", slots[name])
            return value
        case list():
            return [_filled(each, slots) for each in value]
        case dict():
            return {name: _filled(each, slots) for name, each in value.items()}
        case _:
            return value


def _type(payload: bytes) -> object:
    return _object(payload).get("type")


def _object(payload: bytes) -> dict[str, object]:
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
