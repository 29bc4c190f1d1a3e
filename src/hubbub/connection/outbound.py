"""What leaves a connection: the short way past the outbox, the long way through it, and what a slow reader comes to.

A connection is `clear` while nothing waits in its outbox or in its socket. Then what is sent to it is written at the
end of this turn of the event loop, with what the others get (`delivery/batch.py`). What its socket does not take goes
into the outbox, and so does all that follows until the peer has read. Nothing here waits or raises towards the sender.
What the outbox does not take closes this connection, with 1013, and nobody else's, unless the room it was sent to has
another policy (`delivery/outbox.py`).

This is the connection as rooms, presence and delivery know it: the recipient that is registered. What it is asked for
stands in `connection.py`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from hubbub import closes
from hubbub.closes import Close
from hubbub.delivery.batch import Batcher
from hubbub.delivery.message import Outgoing
from hubbub.delivery.outbox import Lane, Outbox
from hubbub.ports.metrics import Count, Metrics
from hubbub.ports.transport import Transport, Writer
from hubbub.protocol.codec import Prepared
from hubbub.protocol.features import NONE, Features
from hubbub.rooms.room import Room
from hubbub.types import ConnectionId, RoomName, User

_SEES_ALL: frozenset[RoomName] = frozenset()
_NONE: Mapping[str, Room] = MappingProxyType({})


class Owner(Protocol):
    """Whose outbound side it is."""

    def close(self, close: Close) -> None: ...

    def left_out(self, count: int) -> None: ...

    def put_out(self, room: RoomName, reason: str) -> None: ...

    def put_in(self, room: RoomName) -> None: ...

    def take_out(self, room: RoomName) -> None: ...


class Outbound:
    """`limit`: bytes that may wait unsent. `user` is there once somebody is authenticated."""

    __slots__ = (
        "_batcher",
        "_limit",
        "_metrics",
        "_outbox",
        "_relief",
        "blind",
        "clear",
        "closed",
        "connection",
        "features",
        "id",
        "rooms",
        "text",
        "transport",
        "user",
        "welcomed",
        "writer",
    )

    user: User

    def __init__(
        self,
        connection: Owner,
        id: ConnectionId,
        batcher: Batcher,
        metrics: Metrics,
        *,
        text: bool,
        limit: int,
    ) -> None:
        self.connection: Owner = connection
        self.id: ConnectionId = id
        self.text: bool = text
        """It speaks a language of its own, in which the hub has nothing to say."""
        self.features: Features = NONE
        """What it understands and asked for."""
        self.blind: frozenset[RoomName] = _SEES_ALL
        """Rooms in which it may not see who is there."""
        self.clear: bool = False
        self.closed: bool = False
        self.welcomed: bool = False
        """Let in. What comes before that waits."""
        self.rooms: Mapping[str, Room] = _NONE
        """The rooms it is in, as the registry has them."""
        self.transport: Transport | None = None
        self.writer: Writer | None = None
        self._batcher = batcher
        self._metrics = metrics
        self._limit = limit
        self._outbox: Outbox | None = None
        """There while something is to go through it."""
        self._relief: asyncio.Future[None] | None = None

    # What anybody may ask.

    @property
    def unsent(self) -> int:
        """Bytes that wait, or were taken and not yet sent."""
        return 0 if self._outbox is None else self._outbox.unsent

    @property
    def waiting(self) -> bool:
        """Whether anything waits to be sent."""
        return self._outbox is not None and self._outbox.waiting

    @property
    def unrelieved(self) -> bool:
        """Whether somebody waits in `relieved`."""
        return self._relief is not None

    @property
    def loaded(self) -> bool:
        """Whether a quarter of what may wait unsent does."""
        return self.unsent > self._limit // 4

    # What the hub and delivery call.

    def offer(self, message: Prepared) -> None:
        """Send with what else leaves in this turn; closes with 1013 where the peer has too much unread."""
        if not self.closed:
            self._batcher.say(self, message)

    def answer(self, message: Prepared) -> None:
        """As `offer`, for what the hub itself says; nothing on a route that speaks its own language."""
        if not (self.text or self.closed):
            self._batcher.say(self, message)

    def queue(self, messages: Sequence[Outgoing]) -> None:
        """The long way: before `welcome`, and where the transport has not sent all that came before."""
        if self.closed:
            return
        for outgoing in messages:
            if not self._long_way().offer(outgoing.message, self._lane(outgoing)):
                self._too_slow()
                return
        self._count_refused()
        if self.welcomed:
            self._flush()

    def put_back(self, messages: Sequence[Outgoing]) -> None:
        """The socket did not take these: they come before all that is sent from now on."""
        if self.closed:
            return
        self.clear = False
        if not self._long_way().put_back([(outgoing.message, self._lane(outgoing)) for outgoing in messages]):
            self._too_slow()
            return
        self._count_refused()
        self._flush()

    async def relieved(self) -> None:
        """Returns when the peer has taken most of what it was sent, or is gone.

        Who comes back to many rooms and reads slowly would else be closed for what it is handed.
        """
        self._batcher.flush()
        if self.loaded and not self.closed:
            self._relief = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._relief,))

    def close(self, close: Close) -> None:
        """Close the connection."""
        self.connection.close(close)

    def put_out(self, room: RoomName, reason: str) -> None:
        """The application closed the room, or took this user out of it."""
        self.connection.put_out(room, reason)

    def put_in(self, room: RoomName) -> None:
        """The application puts this user into the room."""
        self.connection.put_in(room)

    def take_out(self, room: RoomName) -> None:
        """The application takes this user out of the room."""
        self.connection.take_out(room)

    # What the connection calls.

    def attach(self, transport: Transport) -> None:
        """The socket is accepted."""
        self.transport = transport
        self.writer = transport.writer

    def welcome(self, message: Prepared) -> None:
        """Let in: `message` goes first, then what has come meanwhile."""
        self.welcomed = True
        if not self.text:
            self._long_way().first(message)
        self._flush()

    def end(self) -> None:
        """Nothing is sent any more but what waits already."""
        self.closed = True
        self.clear = False
        self._relieve()

    # What the transport calls, by way of the connection.

    def take(self, size: int) -> list[Prepared]:
        return self._outbox.take(size) if self.welcomed and self._outbox is not None else []

    def sent(self, size: int) -> None:
        self._long_way().sent(size)
        if self._relief is not None and not self.loaded:
            self._relieve()

    def drained(self) -> None:
        self.clear = self.welcomed and not self.closed
        if not (self.waiting or self.unsent):
            self._outbox = None

    def blocked(self) -> None:
        self.clear = False

    # How it works.

    def _long_way(self) -> Outbox:
        if self._outbox is None:
            self._outbox = Outbox(self._limit)
        return self._outbox

    def _flush(self) -> None:
        if self.transport is not None:
            self.transport.flush()

    def _relieve(self) -> None:
        relief, self._relief = self._relief, None
        if relief is not None and not relief.done():
            relief.set_result(None)

    def _lane(self, outgoing: Outgoing) -> Lane | None:
        # Who speaks another language cannot be told of a gap, so for him there is none.
        return None if self.text else outgoing.lane

    def _too_slow(self) -> None:
        self._count_refused()
        self._metrics.count(Count.SLOW)
        self._long_way().clear()
        self.close(closes.TOO_SLOW)

    def _count_refused(self) -> None:
        dropped, superseded = self._long_way().refused()
        if dropped:
            self._metrics.count(Count.DROPPED, dropped)
            self.connection.left_out(dropped)
        if superseded:
            self._metrics.count(Count.SUPERSEDED, superseded)
