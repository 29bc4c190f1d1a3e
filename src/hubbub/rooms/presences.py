"""What a connection shows in the rooms with presence data that it is in, or about to be in.

It is set for one room, or for all of them and those it joins later; until then it is what the authenticator gave. Here
stands who shows what; `presence/showing.py` knows whose is to be seen, and the tracker makes the broker know it.
"""

import asyncio

from hubbub.delivery.fanout import Recipient
from hubbub.delivery.registry import Registry
from hubbub.errors import InvalidMessage, NotJoined
from hubbub.presence.showing import Key, Showing
from hubbub.presence.tracker import PresenceTracker
from hubbub.protocol.presence import NOTHING, shown
from hubbub.types import RoomName, room_topic


class Presences:
    """`limit`: bytes that a tab may show, as JSON."""

    def __init__(
        self, registry: Registry[Recipient], showing: Showing, tracker: PresenceTracker, *, limit: int
    ) -> None:
        self._registry = registry
        self._showing = showing
        self._tracker = tracker
        self._limit = limit
        self._usual: dict[Recipient, bytes] = {}
        """What each shows in rooms it joins, where it was set."""
        self._rooms: dict[Recipient, set[RoomName]] = {}

    def __len__(self) -> int:
        return len(self._usual) + len(self._rooms) + len(self._showing)

    def begin(self, member: Recipient, room: RoomName) -> bool:
        """It is about to be in a room with presence data. Whether what is to be seen of its user has changed."""
        usual = self._usual_of(member)
        self._rooms.setdefault(member, set()).add(room)
        return self._showing.show(_key(member, room), member, usual)

    def end(self, member: Recipient, room: RoomName) -> bool:
        """It is there no more. Whether something else is to be seen of its user now."""
        rooms = self._rooms.get(member, set())
        if room not in rooms:
            return False
        rooms.discard(room)
        if not rooms:
            del self._rooms[member]
        return self._showing.end(_key(member, room), member)

    def gone(self, member: Recipient) -> None:
        """The connection is no more."""
        self._usual.pop(member, None)

    async def set(self, member: Recipient, presence: bytes, room: RoomName | None) -> None:
        """Returns when the broker knows. `room` None: in all its rooms with presence data, and those it joins later.

        Raises NotJoined, InvalidMessage for a room without presence data, and Unavailable where the broker is away: it
        is told when it is back.
        """
        rooms = self._rooms.get(member, set())
        if room is None:
            self._usual[member] = presence
        elif room in rooms:
            rooms = {room}
        elif self._registry.in_room(member, room):
            raise InvalidMessage("this room has no presence data", field="room")
        else:
            raise NotJoined(field="room")
        keys = [_key(member, each) for each in rooms]
        changed = [key for key in keys if self._showing.show(key, member, presence)]
        told = await asyncio.gather(*(self._tracker.show(*key) for key in changed), return_exceptions=True)
        for error in told:
            if error is not None:
                raise error

    def _usual_of(self, member: Recipient) -> bytes:
        usual = self._usual.get(member)
        if usual is not None:
            return usual
        return shown(member.user.presence, limit=self._limit) if member.user.presence else NOTHING


def _key(member: Recipient, room: RoomName) -> Key:
    return room_topic(room), member.user.id
