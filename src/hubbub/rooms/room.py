"""A room, as the application sees it: a handle that costs nothing, unchecked, good on any worker."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from hubbub.closes import short
from hubbub.history.page import Page, page
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.protocol.presence import fields_of
from hubbub.rooms.publishing import Exclude, Sender, send_away
from hubbub.types import Position, RoomName, User

#: Returns where this client may publish in this room now, and raises Refused elsewhere.
MayPublish: TypeAlias = Callable[[], Awaitable[None]]


class Room:
    """`hub.room(name)`. Nothing is checked: whoever can call this may send.

    What is awaited belongs to the hub's event loop, and raises ConfigurationError in any other.
    """

    def __init__(self, name: RoomName, sender: Sender) -> None:
        self.name = name
        self._sender = sender
        self._topic = sender.topic

    def __repr__(self) -> str:
        return f"<Room {self.name!r}>"

    async def send(
        self,
        message: Mapping[str, Any] | BaseModel,
        *,
        exclude: Exclude = None,
        key: str | None = None,
        keep: bool = True,
        idempotency_key: str | None = None,
        patience: float = 0.0,
    ) -> Position | None:
        """To every member on every worker; never waits for one. The position, None where there is no history.

        `key`: which value this is, in a room with `slow="latest"`: for a reader that is behind it replaces the one it
        has not got yet. 1 to 128 bytes without controls; None is one more value. In other rooms it means nothing.
        `keep`: False for what is good for this moment alone, as who is typing or where a cursor is: in a room with
        history it is not kept, has no offset, and leaves what is kept as it is.
        `idempotency_key`: sent again with the same one within five minutes, it is delivered once, and the position is
        the first one's; where there is no history it means nothing, and with `keep=False` it is refused.
        `patience`: how many seconds to wait for a broker that is away, in order with others (at most `Limits.queued`);
        default 0.

        Raises TypeError or ValueError (see `hubbub.protocol.messages.compose`), RateLimited for more than the room's
        rate (`RoomRate`), for which `patience` waits too, and Unavailable where the broker is away: then it may or may
        not have been sent, and with an idempotency key it can be sent again.
        """
        return await self._sender.send(
            message, exclude=exclude, key=key, keep=keep, idempotency_key=idempotency_key, patience=patience
        )

    def send_sync(
        self,
        message: Mapping[str, Any] | BaseModel,
        *,
        exclude: Exclude = None,
        key: str | None = None,
        keep: bool = True,
        idempotency_key: str | None = None,
        patience: float = 0.0,
        timeout: float = 10.0,
    ) -> Position | None:
        """`send`, from a thread: a plain `def` path operation or handler, a `threading.Thread`. Waits for the outcome.

        Raises as `send` does, Unavailable also after `timeout` seconds beside the patience, and ConfigurationError in
        the event loop of the hub, where it would wait for itself.
        """
        work = self.send(
            message, exclude=exclude, key=key, keep=keep, idempotency_key=idempotency_key, patience=patience
        )
        return self._sender.home.run(work, timeout=timeout, patience=patience)

    async def history(self, *, since: Position | None = None, limit: int = 100, reverse: bool = False) -> Page:
        """The kept messages after `since`, oldest first, at most `limit`; `reverse`: those before it, newest first.

        Without `since` from the oldest kept, or with `reverse` from the newest; then the page's last message is where
        the next page begins. A room without history has none. Raises ValueError for a `limit` below 1, Unavailable.
        """
        return await page(
            self._sender.broker, self._topic, self._sender.keep or None, since=since, limit=limit, reverse=reverse
        )

    async def members(self) -> list[str]:
        """The ids of the users in it, sorted; empty for a room without presence. Raises Unavailable."""
        return await self._sender.broker.members(self._topic)

    async def presence(self) -> dict[str, dict[str, Any]]:
        """The users in it, sorted, and what each shows; empty where that is nothing. Raises Unavailable."""
        shown = await self._sender.broker.shown(self._topic)
        return {user: fields_of(shown[user]) for user in sorted(shown)}

    async def count(self) -> int:
        """How many users are in it, without fetching them; 0 for a room without presence. Raises Unavailable."""
        return await self._sender.broker.count(self._topic)

    async def close(self, reason: str = "the room was closed") -> None:
        """Put every member out; each is told `room_left` with at most 123 bytes of the reason. Raises Unavailable.

        Whose join was asked for before is refused with `forbidden`, whatever its check says.
        """
        closed = Envelope(Kind.CLOSE_ROOM, short(reason).encode())
        await send_away(self._sender.broker, self._topic, closed, room=self.name)

    async def remove(self, user: User | str, reason: str = "removed from the room") -> None:
        """Put all tabs of one user out, and refuse those on the way in, as `close` does. Raises Unavailable."""
        only = frozenset({user.id if isinstance(user, User) else user})
        removed = Envelope(Kind.REMOVE, short(reason).encode(), only=only)
        await send_away(self._sender.broker, self._topic, removed, users=only, room=self.name)


class MemberRoom(Room):
    """`connection.room(name)`, where not all who are in it may publish: as a `Room`, and asked before each message."""

    def __init__(self, name: RoomName, sender: Sender, may_publish: MayPublish) -> None:
        super().__init__(name, sender)
        self._may_publish = may_publish

    async def send(
        self,
        message: Mapping[str, Any] | BaseModel,
        *,
        exclude: Exclude = None,
        key: str | None = None,
        keep: bool = True,
        idempotency_key: str | None = None,
        patience: float = 0.0,
    ) -> Position | None:
        """As `Room.send`. Raises Forbidden as well, and whatever else Refused `may_publish` comes to."""
        await self._may_publish()
        return await super().send(
            message, exclude=exclude, key=key, keep=keep, idempotency_key=idempotency_key, patience=patience
        )
