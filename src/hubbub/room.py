"""A room, as the application sees it: a handle that costs nothing, unchecked, good on any worker."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from hubbub.closes import short
from hubbub.ports.broker import Broker
from hubbub.sending import Exclude, send
from hubbub.types import Position, RoomName, User, room_topic
from hubbub.wire.envelope import Envelope, Kind


class Room:
    """`hub.room(name)`. Nothing is checked: whoever can call this may send."""

    def __init__(self, name: RoomName, broker: Broker, *, payload: int) -> None:
        self.name = name
        self._broker = broker
        self._payload = payload
        self._topic = room_topic(name)

    def __repr__(self) -> str:
        return f"<Room {self.name!r}>"

    async def send(
        self, message: Mapping[str, Any] | BaseModel, *, exclude: Exclude = None, key: str | None = None
    ) -> Position | None:
        """To every member on every worker; never waits for one. The position, None where there is no history.

        `key`: which value this is, in a room with `slow="latest"`: for a reader that is behind it replaces the one it
        has not got yet. 1 to 128 bytes without controls; None is one more value. In other rooms it means nothing.

        Raises TypeError or ValueError (see `hubbub.wire.messages.compose`), Unavailable where the broker is away.
        """
        return await send(
            self._broker, self._topic, message, exclude=exclude, limit=self._payload, room=self.name, key=key
        )

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
