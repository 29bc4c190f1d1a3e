"""Who is connected to this worker: the two-way index of connections, users and rooms.

Pure bookkeeping over opaque keys; each direction is kept so that no question needs a scan. Empty entries go at once.
"""

from collections.abc import Collection, Hashable, Mapping
from typing import Any, Generic, TypeVar

C = TypeVar("C", bound=Hashable)


class Registry(Generic[C]):
    def __init__(self) -> None:
        # Dicts stand for sets with an order: everybody is served first come, first served, and tests repeat.
        self._rooms: dict[C, dict[str, Any]] = {}
        self._users: dict[str, dict[C, None]] = {}
        self._user_of: dict[C, str] = {}
        self._members: dict[str, dict[C, None]] = {}
        self.version = 0
        """Changes with every change: as long as it is the same, so is every answer given here."""

    def touch(self) -> None:
        """Something that is not known here changed who gets what."""
        self.version += 1

    def __len__(self) -> int:
        return len(self._user_of)

    def __contains__(self, connection: C) -> bool:
        return connection in self._user_of

    def add(self, connection: C, user: str) -> Mapping[str, Any]:
        """A connection of a user is there. Its rooms, as a live view. Raises ValueError where it is already."""
        if connection in self._user_of:
            raise ValueError("this connection is registered already")
        self.version += 1
        self._user_of[connection] = user
        self._users.setdefault(user, {})[connection] = None
        rooms = self._rooms[connection] = {}
        return rooms

    def discard(self, connection: C) -> tuple[str, ...]:
        """The connection is gone; the rooms it was in. Nothing happens where it is not registered."""
        user = self._user_of.pop(connection, None)
        if user is None:
            return ()
        self.version += 1
        self._users[user].pop(connection)
        if not self._users[user]:
            del self._users[user]
        rooms = tuple(self._rooms[connection])
        for room in rooms:
            self.leave(connection, room)
        del self._rooms[connection]
        return rooms

    def join(self, connection: C, room: str, handle: object = None) -> bool:
        """False where it was in the room already. Raises KeyError for a connection that is not registered.

        `handle`: what the connection finds under the name as long as it is in the room.
        """
        rooms = self._rooms[connection]
        if room in rooms:
            return False
        self.version += 1
        rooms[room] = handle
        self._members.setdefault(room, {})[connection] = None
        return True

    def leave(self, connection: C, room: str) -> bool:
        """False where it was not in the room."""
        rooms = self._rooms.get(connection)
        if rooms is None or room not in rooms:
            return False
        self.version += 1
        del rooms[room]
        members = self._members[room]
        del members[connection]
        if not members:
            del self._members[room]
        return True

    def in_room(self, connection: C, room: str) -> bool:
        return room in self._rooms.get(connection, ())

    def rooms(self, connection: C) -> Collection[str]:
        return self._rooms.get(connection, {}).keys()

    def members(self, room: str) -> Collection[C]:
        """The room's connections on this worker: a live view, so copy it before anything that may change it."""
        return self._members.get(room, {}).keys()

    def of_user(self, user: str) -> Collection[C]:
        """The user's connections on this worker: a live view."""
        return self._users.get(user, {}).keys()

    def everyone(self) -> Collection[C]:
        """All connections of this worker: a live view."""
        return self._user_of.keys()

    @property
    def users(self) -> int:
        return len(self._users)

    @property
    def entries(self) -> tuple[Collection[C], Collection[str], Collection[str]]:
        """Connections, users, and rooms that have an entry: live views."""
        return self._rooms.keys(), self._users.keys(), self._members.keys()
