"""What a `join_room` asks for: one room, or several at once."""

from dataclasses import dataclass
from typing import Any, TypeAlias, final

from hubbub.errors import InvalidMessage
from hubbub.options import Limits
from hubbub.protocol import messages
from hubbub.protocol.messages import RequestId
from hubbub.types import RoomName

# A `join_room` may name so many times the rooms that a connection may be in: each beyond those is answered for itself.
# Not any number, because what a room costs to name is little beside what its answer takes.
_TIMES = 4


@dataclass(frozen=True, slots=True)
class Since:
    """Where a client was in a room it comes back to: `epoch` None asks for all that is kept after `offset`."""

    epoch: str | None
    offset: int


@dataclass(frozen=True, slots=True)
class Join:
    room: RoomName
    since: Since | None
    id: RequestId | None
    several: bool = False
    """It is one of several that have the `id`: a refusal names the room as well."""


@final
@dataclass(frozen=True, slots=True)
class JoinSeveral:
    """Several at once: each is done and answered for itself."""

    joins: tuple[Join, ...]


_Asked: TypeAlias = dict[str, Any]


def read_joins(fields: _Asked, id: RequestId | None, limits: Limits) -> Join | JoinSeveral:
    """What these fields of a `join_room` ask for. Raises InvalidMessage naming the field."""
    rooms = fields.get("rooms")
    if rooms is None:
        return _join(fields, id, limits)
    for field in ("room", "since"):
        if fields.get(field) is not None:
            raise InvalidMessage(f"{field} stands in each of rooms, or rooms is left out", field=field)
    if not isinstance(rooms, list) or not rooms:
        raise InvalidMessage("rooms is a list of objects, each with a room, of at least one", field="rooms")
    most = _TIMES * limits.rooms
    if len(rooms) > most:
        raise InvalidMessage(f"rooms names at most {most} rooms", field="rooms")
    joins: dict[RoomName, Join] = {}
    for at, each in enumerate(rooms):
        place = f"rooms.{at}"
        if not isinstance(each, dict):
            raise InvalidMessage("each of rooms is an object with a room", field=place)
        join = _join(each, id, limits, f"{place}.")
        if join.room in joins:
            raise InvalidMessage("the room is named twice", field=f"{place}.room")
        joins[join.room] = join
    return JoinSeveral(tuple(joins.values()))


def _join(fields: _Asked, id: RequestId | None, limits: Limits, within: str = "") -> Join:
    room = messages.check_name(fields.get("room"), limit=limits.name, field=f"{within}room")
    return Join(RoomName(room), _since(fields.get("since"), f"{within}since"), id, several=bool(within))


def named(request: object) -> RoomName | None:
    """The room that a refusal of this request has to name."""
    return request.room if type(request) is Join and request.several else None


def _since(since: object, field: str) -> Since | None:
    if since is None:
        return None
    if not isinstance(since, dict):
        raise InvalidMessage(f"{field} is an object", field=field)
    epoch, offset = since.get("epoch"), since.get("offset")
    if epoch is not None and not isinstance(epoch, str):
        raise InvalidMessage(f"{field}.epoch is a string", field=f"{field}.epoch")
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:
        raise InvalidMessage(f"{field}.offset is an integer, 0 or more", field=f"{field}.offset")
    return Since(epoch, offset)
