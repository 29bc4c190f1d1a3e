"""What this worker does at the broker for each member of a room, and what it takes back when the member leaves.

The room's topic is heard, the room counts as occupied, and where it has presence the member's user is present in it.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeAlias

from hubbub.delivery.fanout import Recipient
from hubbub.presence.tracker import PresenceTracker
from hubbub.rooms.joins import Joining
from hubbub.rooms.presences import Presences
from hubbub.rooms.subscriptions import Subscriptions
from hubbub.types import OCCUPIED, RoomName, Topic, room_topic

#: How presence is told that a member is no longer there: `PresenceTracker.leave` or `linger`.
_Leave: TypeAlias = Callable[[Topic, str], None]


class Attendance:
    def __init__(self, subscriptions: Subscriptions, presence: PresenceTracker, presences: Presences) -> None:
        self._subscriptions = subscriptions
        self._presence = presence
        self._presences = presences
        self._present: dict[RoomName, set[Recipient]] = {}

    def __len__(self) -> int:
        """How many members are in rooms with presence, each counted for each room."""
        return sum(map(len, self._present.values()))

    async def begin(self, join: Joining, undo: ExitStack) -> None:
        """Returns when the broker knows. What takes each step back is left in `undo`. Raises Unavailable."""
        member, room, topic = join.member, join.room, join.topic
        await self._subscriptions.acquire(topic)
        undo.callback(self._subscriptions.release, topic)
        await self._presence.enter(OCCUPIED, room)
        undo.callback(self._presence.leave, OCCUPIED, room)
        if join.options.presence:
            anew = False
            if join.options.presence_data:
                anew = self._presences.begin(member, room)
                undo.callback(self._unseen, member, room)
            await self._presence.enter(topic, member.user.id, anew=anew)
            self._present.setdefault(room, set()).add(member)
            undo.callback(self._absent, member, room, self._presence.leave)

    def end(self, member: Recipient, room: RoomName, *, lost: bool) -> None:
        """The member left, or is `lost`: then its user may come back before anybody is told."""
        leave = self._presence.linger if lost else self._presence.leave
        self._absent(member, room, leave)
        self._unseen(member, room)
        leave(OCCUPIED, room)
        self._subscriptions.release(room_topic(room))

    def _absent(self, member: Recipient, room: RoomName, leave: _Leave) -> None:
        present = self._present.get(room)
        if present is not None and member in present:
            present.discard(member)
            if not present:
                del self._present[room]
            leave(room_topic(room), member.user.id)

    def _unseen(self, member: Recipient, room: RoomName) -> None:
        if self._presences.end(member, room):
            self._presence.touch(room_topic(room), member.user.id)
