"""A user, as the application sees them: all their tabs, whichever worker they are on."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from hubbub.closes import short
from hubbub.ports.broker import Broker
from hubbub.sending import Exclude, send
from hubbub.types import ONLINE, ConnectionId, Position, UserId, user_topic
from hubbub.wire.envelope import Envelope, Kind


class UserHandle:
    """`hub.user(id)`."""

    def __init__(self, id: UserId, broker: Broker, *, payload: int) -> None:
        self.id = id
        self._broker = broker
        self._payload = payload
        self._topic = user_topic(id)

    def __repr__(self) -> str:
        return f"<UserHandle {self.id!r}>"

    async def send(self, message: Mapping[str, Any] | BaseModel, *, exclude: Exclude = None) -> Position | None:
        """To every tab of the user; nothing happens where there is none.

        Raises TypeError or ValueError (see `hubbub.wire.messages.compose`), Unavailable where the broker is away.
        """
        return await send(self._broker, self._topic, message, exclude=exclude, limit=self._payload)

    async def is_online(self) -> bool:
        """Whether there is a connection on any worker. Raises Unavailable."""
        return await self._broker.contains(ONLINE, self.id)

    async def connections(self) -> list[ConnectionId]:
        """The ids of the user's connections on all workers, sorted. Raises Unavailable."""
        return [ConnectionId(id) for id in await self._broker.members(self._topic)]

    async def disconnect(self, reason: str = "") -> None:
        """Close every connection of the user with 4003. Raises Unavailable."""
        await self._broker.publish(self._topic, Envelope(Kind.DISCONNECT, short(reason).encode()).encode())
