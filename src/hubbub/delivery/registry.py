"""Who is connected to this worker: the two-way index of connections, users and rooms.

Pure bookkeeping over opaque keys; each direction is kept so that no question needs a scan. Empty entries go at once.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any, Generic, TypeVar

C = TypeVar("C", bound=Hashable)


class _Tabs(Collection[C]):
    """The connections of one user, as they are whenever this is asked."""

    __slots__ = ("_user", "_users")

    def __init__(self, users: Mapping[str, C | dict[C, None]], user: str) -> None:
        self._users = users
        self._user = user

    def __contains__(self, connection: object) -> bool:
        return connection in self._now()

    def __iter__(self) -> Iterator[C]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def _now(self) -> Collection[C]:
        there = self._users.get(self._user, {})
        return there if isinstance(there, dict) else (there,)


class Registry(Generic[C]):
    def __init__(self) -> None:
        # Dicts stand for sets with an order: everybody is served first come, first served, and tests repeat.
        self._rooms: dict[C, dict[str, Any]] = {}
        self._users: dict[str, C | dict[C, None]] = {}
        """A dict for one connection, and most users have no more, would be a quarter of a kilobyte of each."""
        self._user_of: dict[C, str] = {}
        self._members: dict[str, dict[C, None]] = {}
        self.version: int = 0
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
        if user not in self._users:
            self._users[user] = connection
        elif isinstance(there := self._users[user], dict):
            there[connection] = None
        else:
            self._users[user] = {there: None, connection: None}
        rooms = self._rooms[connection] = {}
        return rooms

    def discard(self, connection: C) -> tuple[str, ...]:
        """The connection is gone; the rooms it was in. Nothing happens where it is not registered."""
        user = self._user_of.pop(connection, None)
        if user is None:
            return ()
        self.version += 1
        there = self._users[user]
        if isinstance(there, dict) and len(there) > 1:
            del there[connection]
        else:
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
        return _Tabs(self._users, user)

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
