"""Who comes and goes, one notice for each: read again where they are collected, and written where they are few.

An envelope that crosses the broker is ready to be delivered, because most are. Of whom it speaks stands beside it: that
user is the one who does not get it.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from hubbub.errors import InvalidMessage
from hubbub.presence.changes import Diff, Shown
from hubbub.protocol.codec import Prepared, decode, encode
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.protocol.messages import notice, prepare
from hubbub.protocol.presence import NOTHING, beside, of_each, owner
from hubbub.types import RoomName

_Type = Literal["user_joined_room", "user_left_room", "user_connected", "user_disconnected"]
_COMES: dict[bytes, bool] = {
    b'{"type":"user_joined_room"': True,
    b'{"type":"user_left_room"': False,
    b'{"type":"user_connected"': True,
    b'{"type":"user_disconnected"': False,
}
# Levels of JSON above what a user shows: the message, and whose it is.
_LEVELS = 34


class News(NamedTuple):
    """`here`: the user is there now, or not; None where that has not changed. `shown`: None where nothing is said."""

    user: str
    here: bool | None
    shown: Shown | None


def read(envelope: Envelope, *, shows: bool) -> News | None:
    """What a notice says; None where it is none that is known here. `shows`: who comes shows something, or nothing."""
    try:
        if envelope.kind is Kind.SHOWN:
            [(user, fields)] = decode(envelope.payload.decode(), depth=_LEVELS)["presence"].items()
            return News(user, None, Shown(encode(fields) if fields else NOTHING, anew=True))
        here = _COMES[envelope.payload.partition(b",")[0]]
        [user] = envelope.without_users
        shown = Shown(NOTHING) if shows and here else None
        if envelope.presence is not None:
            shown = Shown(owner(envelope.presence)[1])
    except (KeyError, ValueError, AttributeError, InvalidMessage):
        return None
    return News(user, here, shown)


def written(room: RoomName | None, diff: Diff, *, presence: bool) -> Iterator[Prepared]:
    """One for each. `room` None: of everyone's. `presence`: for those who asked to be told what is shown."""
    came: _Type = "user_connected" if room is None else "user_joined_room"
    went: _Type = "user_disconnected" if room is None else "user_left_room"
    for user in diff.left:
        yield Prepared(notice(went, user, room))
    told = set(diff.joined)
    for user in diff.joined:
        plain, shown = notice(came, user, room), diff.shown.get(user)
        yield Prepared(beside(plain, of_each({user: shown.data})) if presence and shown and shown.data else plain)
    if presence:
        for user, shown in diff.shown.items():
            if user not in told:
                plain = prepare("user_presence", room=room, user=user).data
                yield Prepared(beside(plain, of_each({user: shown.data})))
