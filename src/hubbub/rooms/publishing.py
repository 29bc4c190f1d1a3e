"""A message on its way out of the application: made once, kept from whom it is to be kept from, given to the broker."""

import asyncio
import secrets
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from pydantic import BaseModel

from hubbub.delivery.fanout import Recipient
from hubbub.delivery.journeys import Journeys
from hubbub.errors import Unavailable
from hubbub.options import Keep
from hubbub.ports.broker import Broker
from hubbub.protocol import messages
from hubbub.protocol.envelope import FOR_ALL, Envelope, Kind
from hubbub.protocol.for_each_room import ForEachRoom
from hubbub.rooms.publish_queue import PublishQueue
from hubbub.rooms.rates import Rate
from hubbub.rooms.retention import Retention
from hubbub.scheduling.home_loop import HomeLoop, running_loop
from hubbub.types import EVERYONE, OWN_ROOM, WORKERS, Position, RoomName, Topic, User

#: Whom a message is kept from: a connection (that tab alone), a user (all tabs), a user id, or several of these.
Exclude: TypeAlias = "Recipient | User | str | Iterable[Recipient | User | str] | None"


class Publish(Protocol):
    """As `Broker.publish`."""

    def __call__(
        self, topic: Topic, data: bytes, /, *, keep: Keep = None, idempotency_key: str | None = None
    ) -> Awaitable[Position | None]: ...


#: Seconds before the next try where the broker seems to be there and has not taken a message.
_AGAIN = 0.2

_ALL: frozenset[str] = frozenset()


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


def check_ephemeral(keep: object, idempotency_key: str | None) -> None:
    """`keep` is no True: it is False, and then nothing is there that an idempotency key could be known by.

    Raises TypeError, or ValueError for the key.
    """
    if keep is not False:
        raise TypeError(f"keep is True or False, not {type(keep).__name__}")
    if idempotency_key is not None:
        raise ValueError("an idempotency_key is known by what is kept: leave it out, or keep=False")


async def send_away(
    broker: Broker, topic: Topic, envelope: Envelope, *, users: frozenset[str] = _ALL, room: RoomName | None = None
) -> None:
    """Publish what sends users away, to who is there, and before that to who is on the way in.

    In that order: a worker that hears the topic too late for the one has heard the other by then. Raises Unavailable.
    """
    word = Envelope(Kind.REMOVED, envelope.payload, only=users, key=room)
    await broker.publish(WORKERS, word.encode())
    await broker.publish(topic, envelope.encode())


class Sender:
    """Sends to one topic. `room` is added to what is sent, `limit` says how large it is.

    `own` is what this hub declared to be kept of it; what is kept is said by all together, and may change. `rate`: how
    fast is published to it, None for as fast as may be.
    """

    __slots__ = (
        "_as_of",
        "_broker",
        "_journeys",
        "_keep",
        "_limit",
        "_loop",
        "_name",
        "_own",
        "_publish",
        "_queue",
        "_rate",
        "_retention",
        "_room",
        "_unsure",
        "home",
        "topic",
    )

    def __init__(
        self,
        topic: Topic,
        broker: Broker,
        queue: PublishQueue,
        home: HomeLoop,
        retention: Retention,
        *,
        limit: int,
        room: RoomName | None,
        own: Keep,
        rate: Rate | None = None,
        journeys: Journeys | None = None,
    ) -> None:
        self.topic: Topic = topic
        self._journeys = journeys
        self._rate = rate
        self._broker = broker
        self._publish: Publish = broker.publish
        self._queue = queue
        self.home: HomeLoop = home
        self._loop = home.loop
        self._limit = limit
        self._name = room
        self._own = own
        self._retention = retention
        self._look()

    @property
    def keep(self) -> Keep:
        """What is kept of it now."""
        if self._as_of != self._retention.version:
            self._look()
        return self._keep

    def _look(self) -> None:
        self._as_of = self._retention.version
        self._keep = self._retention.kept(self.topic, self._own)
        self._unsure = not (self._keep or self._retention.learned or self.topic == EVERYONE)
        # A message to a user has a room where it is kept: the one in which it is asked for.
        self._room = self._name or (OWN_ROOM if self._keep else None)

    @property
    def broker(self) -> Broker:
        """For all that is not sent. Raises ConfigurationError outside of the hub's loop."""
        self.home.check()
        return self._broker

    async def send(
        self,
        message: Mapping[str, Any] | BaseModel | ForEachRoom,
        *,
        exclude: Exclude,
        key: str | None = None,
        keep: bool = True,
        idempotency_key: str | None = None,
        patience: float = 0.0,
        spent: bool = False,
    ) -> Position | None:
        """Publish it; both keys as in `hubbub.protocol.messages.check_key`, and `keep` as in `check_ephemeral`.

        `spent`: its rate was asked already, by `spend`. Raises TypeError or ValueError (see also
        `hubbub.protocol.messages.compose`), RateLimited, Unavailable, or ConfigurationError outside of the hub's loop.
        """
        if running_loop() is not self._loop:
            self.home.check()
        if self._as_of != self._retention.version:
            self._look()
        if type(message) is ForEachRoom:
            data = message.to(self._room)
        else:
            data = messages.compose(message, limit=self._limit, room=self._room)
        if exclude is None and key is None:
            envelope = FOR_ALL + data
        else:
            users, connections = exclusion(exclude)
            envelope = Envelope(Kind.MESSAGE, data, users, connections, key=messages.check_key(key)).encode()
        once = idempotency_key
        if once is not None:
            once = messages.check_key(once, field="idempotency_key")
        if keep is not True:
            check_ephemeral(keep, once)
        if patience <= 0:
            if self._unsure:
                raise Unavailable("this worker does not know yet what others keep")
            if self._rate is not None and not spent and (wait := self._rate.spend(self.topic, len(data))):
                raise self._rate.refuse(self.topic, wait)
            if once is None and self._journeys is not None and self._journeys.idle:
                return await self._publish_timed(self._journeys, envelope, keep=keep)
            return await self._publish(self.topic, envelope, keep=self._keep if keep else None, idempotency_key=once)
        if not spent:
            patience = await self.spend(len(data), patience)
        return await self._publish_patiently(envelope, once or secrets.token_hex(16), patience, keep=keep)

    async def spend(self, size: int, patience: float) -> float:
        """Of its rate so many bytes, within `patience` seconds: those that are left. Raises RateLimited."""
        return patience if self._rate is None else await self._rate.spend_patiently(self.topic, size, patience)

    async def _publish_timed(self, journeys: Journeys, envelope: bytes, *, keep: bool) -> Position | None:
        journeys.begin(self.topic, envelope)
        try:
            return await self._publish(self.topic, envelope, keep=self._keep if keep else None)
        except BaseException:
            journeys.forget(envelope)
            raise

    async def _publish_patiently(self, envelope: bytes, once: str, patience: float, *, keep: bool) -> Position | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while True:
            await self._queue.wait(until - loop.time())
            kept = self.keep if keep else None
            try:
                return await self._publish(self.topic, envelope, keep=kept, idempotency_key=once)
            except Unavailable:
                # It may have gone out. Where it is kept, the idempotency key sees to it that it does so once.
                if not kept or loop.time() >= until:
                    raise
                if self._broker.ready:
                    # Nobody has noticed yet that it is away, or it refuses.
                    await asyncio.sleep(min(_AGAIN, until - loop.time()))
