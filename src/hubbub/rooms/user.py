"""A user, as the application sees them: all their tabs, whichever worker they are on."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from hubbub.closes import short
from hubbub.history.page import Page, page
from hubbub.protocol import messages
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.rooms.publishing import Exclude, Sender, send_away
from hubbub.types import ONLINE, ConnectionId, Position, UserId


class UserHandle:
    """`hub.user(id)`. What is awaited belongs to the hub's event loop, as `Room`'s."""

    def __init__(self, id: UserId, sender: Sender, *, name: int) -> None:
        """`name`: the longest name of a room, in bytes."""
        self.id = id
        self._sender = sender
        self._name = name
        self._topic = sender.topic

    def __repr__(self) -> str:
        return f"<UserHandle {self.id!r}>"

    async def send(
        self,
        message: Mapping[str, Any] | BaseModel,
        *,
        exclude: Exclude = None,
        keep: bool = True,
        idempotency_key: str | None = None,
        patience: float = 0.0,
    ) -> Position | None:
        """To every tab of the user; where there is none, nothing happens unless the hub has an inbox.

        Then it is kept, and the position returned; the parameters are those of `Room.send`. Raises TypeError or
        ValueError (see `hubbub.protocol.messages.compose`), RateLimited and Unavailable as `Room.send` does.
        """
        return await self._sender.send(
            message, exclude=exclude, keep=keep, idempotency_key=idempotency_key, patience=patience
        )

    def send_sync(
        self,
        message: Mapping[str, Any] | BaseModel,
        *,
        exclude: Exclude = None,
        keep: bool = True,
        idempotency_key: str | None = None,
        patience: float = 0.0,
        timeout: float = 10.0,
    ) -> Position | None:
        """`send`, from a thread, as `Room.send_sync`."""
        work = self.send(message, exclude=exclude, keep=keep, idempotency_key=idempotency_key, patience=patience)
        return self._sender.home.run(work, timeout=timeout, patience=patience)

    async def history(self, *, since: Position | None = None, limit: int = 100, reverse: bool = False) -> Page:
        """What is in the user's inbox, as `Room.history`."""
        return await page(
            self._sender.broker, self._topic, self._sender.keep or None, since=since, limit=limit, reverse=reverse
        )

    async def is_online(self) -> bool:
        """Whether there is a connection on any worker, or was one within `Leaving.grace`. Raises Unavailable."""
        return await self._sender.broker.contains(ONLINE, self.id)

    async def connections(self) -> list[ConnectionId]:
        """The ids of the user's connections on all workers, sorted. Raises Unavailable."""
        return [ConnectionId(id) for id in await self._sender.broker.members(self._topic)]

    async def last_seen(self) -> datetime | None:
        """When the user was there last, in UTC: now, where `is_online`; else when the last tab counted as gone.

        By the broker's clock, after the grace, and kept for 30 days; None where it is not known. Raises Unavailable.
        """
        if await self.is_online():
            return datetime.now(UTC)
        left = await self._sender.broker.last_left(self.id)
        return None if left is None else datetime.fromtimestamp(left, UTC)

    async def join(self, room: str) -> None:
        """Put every tab that the user has now, on whichever worker, into a room without asking anyone.

        Each client is told by `room_joined`, soon; a tab that comes later is not put in. One that is in as many rooms
        as it may be, or that the broker fails, stays out, and its worker's log says so. Raises InvalidMessage for a bad
        name, UnknownRoom for `@me`, Unavailable.
        """
        await self._sender.broker.publish(self._topic, self._moving(Kind.PUT_IN, room))

    async def leave(self, room: str) -> None:
        """Have every tab of the user leave the room it is in or on its way in; each client is told by `room_left`.

        Raises as `join` does.
        """
        await self._sender.broker.publish(self._topic, self._moving(Kind.TAKE_OUT, room))

    async def disconnect(self, reason: str = "") -> None:
        """Close every connection of the user with 4003, those too that are on their way in. Raises Unavailable.

        Who comes back with a credential that is good is let in: see `Hub.revoke`.
        """
        told = Envelope(Kind.DISCONNECT, short(reason).encode())
        await send_away(self._sender.broker, self._topic, told, users=frozenset({self.id}))

    def _moving(self, kind: Kind, name: str) -> bytes:
        return Envelope(kind, messages.check_joinable(name, limit=self._name).encode()).encode()
