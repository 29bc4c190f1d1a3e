"""The hub's own messages: what each looks like going out, and which types an application may not use."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from hubbub.closes import Close
from hubbub.errors import InvalidMessage, UnknownRoom, WrongAnswer
from hubbub.options import MOST_PRESENCE, Heartbeat
from hubbub.protocol import presence
from hubbub.protocol.codec import Prepared, as_mapping, encode
from hubbub.protocol.fast_path import acknowledged, written
from hubbub.protocol.features import Features
from hubbub.types import OWN_ROOM, Position, RoomName, User

SUBPROTOCOL = "hubbub.v1"

#: An `id` of a request: a string of at most 128 bytes, or an integer that every JSON reader keeps exact.
RequestId: TypeAlias = str | int
_MAX_ID_BYTES = 128
_MAX_KEY_BYTES = 128
MAX_EXACT = 2**53

#: The types of the protocol's two tables. An application can neither send nor handle them.
RESERVED: frozenset[str] = frozenset(
    {
        "auth",
        "join_room",
        "leave_room",
        "ping",
        "pong",
        "welcome",
        "room_joined",
        "room_left",
        "user_joined_room",
        "user_left_room",
        "presence_diff",
        "user_connected",
        "user_disconnected",
        "ack",
        "error",
        "gap",
        "closing",
    }
)

#: What of an application's message is the protocol's, and reaches a model only where that declares it.
ENVELOPE: frozenset[str] = frozenset({"id", "idempotency_key"})


def check_id(fields: dict[str, Any]) -> RequestId | None:
    """The `id` of a client's message. Raises InvalidMessage with `field="id"`."""
    id = fields.get("id")
    if id is None:
        return None
    if isinstance(id, int):
        if not isinstance(id, bool) and -MAX_EXACT <= id <= MAX_EXACT:
            return id
    elif isinstance(id, str) and len(id.encode()) <= _MAX_ID_BYTES:
        return id
    raise InvalidMessage("id is a string of at most 128 bytes or an integer within 2^53", field="id")


def check_name(name: object, *, limit: int, field: str) -> str:
    """A room name or user id: 1 to `limit` bytes of UTF-8, no control characters. Raises InvalidMessage."""
    if not isinstance(name, str):
        raise InvalidMessage(f"{field} is a string", field=field)
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidMessage(f"{field} is not valid Unicode", field=field) from None
    if not 1 <= size <= limit:
        raise InvalidMessage(f"{field} has 1 to {limit} bytes", field=field)
    if not name.isprintable() and any(unicodedata.category(char) == "Cc" for char in name):
        raise InvalidMessage(f"{field} has no control characters", field=field)
    return name


def check_room(name: object, *, limit: int) -> RoomName:
    """As `check_name`, for a room."""
    return RoomName(check_name(name, limit=limit, field="room"))


def check_shared(name: object, *, limit: int, field: str = "room") -> RoomName:
    """As `check_room`, of a room that can be named from outside. Raises InvalidMessage also for a user's own."""
    room = RoomName(check_name(name, limit=limit, field=field))
    if is_own_room(room):
        raise InvalidMessage(f"{room} is each user's own, and no room to others: name the user", field=field)
    return room


def check_joinable(name: object, *, limit: int) -> RoomName:
    """As `check_room`, of a room that the application may put somebody into. Raises UnknownRoom for the user's own."""
    room = check_room(name, limit=limit)
    if is_own_room(room):
        raise UnknownRoom(field="room")
    return room


def check_user(user: object, *, limit: int, shows: int = MOST_PRESENCE) -> User:
    """What an authenticator of the application's made: a User with an id as names are, and an end that is a time.

    `shows`: bytes that its presence may have. Raises WrongAnswer, which names the field: the application's mistake, not
    the client's.
    """
    if not isinstance(user, User):
        raise WrongAnswer(f"an authenticator gives a User, not {type(user).__name__}")
    # A row's id often is a number.
    if not isinstance(user.id, str):
        raise WrongAnswer(f"User.id is a string, not {type(user.id).__name__}")
    try:
        check_name(user.id, limit=limit, field="User.id")
    except InvalidMessage as error:
        raise WrongAnswer(error.message) from None
    for name, time in (("expires", user.expires), ("issued", user.issued)):
        if time is not None and not (isinstance(time, int | float) and abs(time) <= MAX_EXACT):
            raise WrongAnswer(f"User.{name} is a Unix time in seconds, or None")
    for name, text in (("token_id", user.token_id), ("session", user.session)):
        if not (text is None or isinstance(text, str)):
            raise WrongAnswer(f"User.{name} is a string, or None, not {type(text).__name__}")
    if user.presence is not None:
        try:
            presence.shown(user.presence, limit=shows)
        except InvalidMessage as error:
            raise WrongAnswer(f"User.{error.message}") from None
    return user


def check_key(key: object, *, field: str = "key") -> str | None:
    """The `key` of a value in a `latest` room, or an idempotency key, given by the application: as names are, or None.

    Raises ValueError, which names the field.
    """
    if key is None:
        return None
    try:
        return check_name(key, limit=_MAX_KEY_BYTES, field=field)
    except InvalidMessage as error:
        raise ValueError(error.message) from None


def is_own_room(room: str) -> bool:
    return room == OWN_ROOM


def prepare(type: str, id: RequestId | None = None, **fields: Any) -> Prepared:
    """A message of the hub's. Fields that are None are left out, `id` stands where the request had one."""
    message: dict[str, Any] = {"type": type}
    message.update((key, value) for key, value in fields.items() if value is not None)
    if id is not None:
        message["id"] = id
    return Prepared(encode(message))


def welcome(
    *,
    connection: str,
    user: str,
    node: str,
    heartbeat: Heartbeat,
    id: RequestId | None,
    features: Features | None = None,
) -> Prepared:
    """`features`: those of what the client asked for that the hub will use; None where it asked for nothing."""
    beat = {"interval": round(heartbeat.interval * 1000), "timeout": round(heartbeat.timeout * 1000)}
    used = None if features is None else sorted(features)
    return prepare(
        "welcome",
        id,
        status="authenticated",
        connection=connection,
        user=user,
        node=node,
        heartbeat=beat,
        features=used,
    )


def room_joined(
    room: str,
    *,
    members: Iterable[str] | None,
    position: Position | None,
    recovered: bool | None,
    id: RequestId | None,
) -> Prepared:
    present = None if members is None else sorted(members)
    epoch, offset = (None, None) if position is None else (position.epoch, position.offset)
    return prepare("room_joined", id, room=room, members=present, epoch=epoch, offset=offset, recovered=recovered)


def with_presence(joined: Prepared, shown: Mapping[str, bytes], *, limit: int) -> Prepared:
    """A `room_joined` for one who asked for it: with what members show, JSON, in at most `limit` bytes."""
    seen, left_out = presence.of_some(shown, limit=limit)
    told = b'%b,"presence_left_out":%d}' % (joined.data[:-1], left_out) if left_out else joined.data
    return Prepared(presence.beside(told, seen))


def room_left(room: str, *, reason: str | None = None, id: RequestId | None = None) -> Prepared:
    return prepare("room_left", id, room=room, reason=reason)


def expiring(left: float) -> Prepared:
    """The credential ends in so many seconds, and with it the connection, unless it is renewed."""
    return prepare("expiring", expires_in=max(0, round(left * 1000)))


def pong(fields: dict[str, Any], id: RequestId | None) -> Prepared:
    """The answer to a client's `ping`, whose `ts`, if it has one, comes back unchanged, be it null."""
    message = {"type": "pong"} | {key: fields[key] for key in ("ts",) if key in fields}
    return Prepared(encode(message if id is None else message | {"id": id}))


def ping(ts: int) -> Prepared:
    return prepare("ping", ts=ts)


def ack(id: RequestId, result: Any, *, limit: int | None = None) -> Prepared:
    """Raises ValueError for a result that JSON cannot say, and where that makes more than `limit` bytes."""
    if result is None:
        return Prepared(b'{"type":"ack","id":%d}' % id if type(id) is int else encode({"type": "ack", "id": id}))
    data = acknowledged(id, result) or encode({"type": "ack", "result": result, "id": id})
    return Prepared(data if limit is None or len(data) <= limit else within(data, limit))


def dropped(room: str, count: int) -> Prepared:
    """The `gap` of a room without history: so many messages were not sent to this client, which was too slow."""
    return prepare("gap", room=room, dropped=count)


def gap(room: str, *, epoch: str, after: int, upto: int) -> Prepared:
    """In a room with history: the messages after the one offset, up to the other, were not sent to this client."""
    return prepare("gap", room=room, epoch=epoch, after=after, upto=upto)


def with_offset(payload: bytes, offset: int) -> bytes:
    """A message made by `compose`, with the offset it was given. It has a `type`, so it is not empty."""
    return b'%b,"offset":%d}' % (payload[:-1], offset)


def closing(close: Close, *, retry_after: float) -> Prepared:
    """Before a close that is no fault of the client's, which may come back in so many seconds."""
    return prepare("closing", code=close.code, reason=close.reason, retry_after=round(retry_after * 1000))


Notice: TypeAlias = Literal["user_joined_room", "user_left_room", "user_connected", "user_disconnected"]


def notice(type: Notice, user: str, room: str | None = None) -> bytes:
    """What others are told of a user who comes or goes."""
    return prepare(type, room=room, user=user).data


def compose(message: Mapping[str, Any] | BaseModel, *, limit: int, room: str | None = None) -> bytes:
    """An application's message as it goes on the wire, with `room` added where it is sent to one.

    Raises TypeError for what is no message, ValueError for a missing or reserved `type`, a `room` that differs, an
    `offset`, what JSON cannot say, and more than `limit` bytes.
    """
    # As `as_mapping` does, without the call.
    fields = message.copy() if type(message) is dict else as_mapping(message)
    named = fields.get("type")
    if not isinstance(named, str):
        raise ValueError("a message needs a string `type`")  # noqa: TRY004 - a field's value, not an argument's type
    if named in RESERVED:
        raise ValueError(f"the type {named!r} belongs to the protocol")
    if room is not None:
        if fields.setdefault("room", room) != room:
            raise ValueError(f"`room` is {fields['room']!r}, but the message is sent to another room")
        if "offset" in fields:
            raise ValueError("`offset` is the hub's to add")
    data = written(fields) or encode(fields)
    return data if len(data) <= limit else within(data, limit)


def within(data: bytes, limit: int) -> bytes:
    """The same bytes. Raises ValueError where they are more than a message may have."""
    if len(data) > limit:
        raise ValueError(f"the message has {len(data)} bytes, more than the {limit} a message may have")
    return data
