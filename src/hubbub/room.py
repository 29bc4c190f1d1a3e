"""A room, as the application sees it: a handle that costs nothing, unchecked, good on any worker."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from hubbub.closes import short
from hubbub.fanout import Recipient
from hubbub.ports.broker import Broker
from hubbub.types import Position, RoomName, User, room_topic
from hubbub.wire import messages
from hubbub.wire.envelope import Envelope, Kind

#: Whom a message is kept from: a connection (that tab alone), a user (all tabs), a user id, or several of these.
Exclude: TypeAlias = "Recipient | User | str | Iterable[Recipient | User | str] | None"


def exclusion(exclude: Exclude) -> tuple[frozenset[str], frozenset[str]]:
    """The user ids and the connection ids meant by `exclude`. Raises TypeError."""
    users: set[str] = set()
    connections: set[str] = set()
    several = exclude if isinstance(exclude, Iterable) and not isinstance(exclude, str) else (exclude,)
    for one in several:
        match one:
            case None:
                pass
            case str():
                users.add(one)
            case User():
                users.add(one.id)
            case _ if isinstance(getattr(one, "user", None), User):
                connections.add(one.id)
            case _:
                raise TypeError(f"exclude takes connections, users and user ids, not {type(one).__name__}")
    return frozenset(users), frozenset(connections)


class Room:
    """`hub.room(name)`. Nothing is checked: whoever can call this may send."""

    def __init__(self, name: RoomName, broker: Broker, *, payload: int) -> None:
        self.name = name
        self._broker = broker
        self._payload = payload
        self._topic = room_topic(name)

    def __repr__(self) -> str:
        return f"<Room {self.name!r}>"

    async def send(self, message: Mapping[str, Any] | BaseModel, *, exclude: Exclude = None) -> Position | None:
        """To every member on every worker; never waits for one. The position, None where there is no history.

        Raises TypeError or ValueError (see `hubbub.wire.messages.compose`), Unavailable where the broker is away.
        """
        data = messages.compose(message, limit=self._payload, room=self.name)
        users, connections = exclusion(exclude)
        envelope = Envelope(Kind.MESSAGE, data, without_users=users, without_connections=connections)
        return await self._broker.publish(self._topic, envelope.encode())

    async def members(self) -> list[str]:
        """The ids of the users in it, sorted; empty for a room without presence. Raises Unavailable."""
        return await self._broker.members(self._topic)

    async def count(self) -> int:
        """How many users are in it, without fetching them; 0 for a room without presence. Raises Unavailable."""
        return await self._broker.count(self._topic)

    async def close(self, reason: str = "the room was closed") -> None:
        """Put every member out; each is told `room_left` with at most 123 bytes of the reason. Raises Unavailable."""
        await self._broker.publish(self._topic, Envelope(Kind.CLOSE_ROOM, short(reason).encode()).encode())

    async def remove(self, user: User | str, reason: str = "removed from the room") -> None:
        """Put all tabs of one user out. Raises Unavailable."""
        only = frozenset({user.id if isinstance(user, User) else user})
        await self._broker.publish(self._topic, Envelope(Kind.REMOVE, short(reason).encode(), only=only).encode())
