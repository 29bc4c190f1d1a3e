"""How fast is published into a room, to a user or to everyone: the publisher is refused before a reader falls.

A reader has no more unsent than it may, as long as no more is sent to it than it reads. One member that publishes as
fast as its own allowance lets it could else have every slower one closed with 1013, and stay.

What clients bring about is bounded everywhere, so that nobody need declare anything; one of them has half of it in the
long run, so that it can neither expel nor silence the others. What the application publishes of its own accord is
bounded where it declared a rate for the room: a dashboard knows best how fast it is. The bounds are those of one
worker, which knows at once who publishes through it.
"""

import asyncio
import logging
import math
from contextvars import ContextVar

from hubbub.errors import RateLimited
from hubbub.options import RoomRate
from hubbub.ports.clock import Clock
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics
from hubbub.scheduling.allowance import Allowance, forget_some
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.types import Topic, UserId, room_of

#: Whose message or join is being handled, and what is begun by that; None for what the application does of its own.
PUBLISHER: ContextVar[UserId | None] = ContextVar("hubbub_publisher", default=None)

#: Of what a room regains one publisher has this part.
_SHARE = 0.5

_log = logging.getLogger("hubbub.rates")


class _Topic:
    __slots__ = ("all", "publishers", "rate")

    def __init__(self, rate: RoomRate, now: float) -> None:
        self.rate = rate
        self.all = _allowance(rate, now)
        self.publishers: dict[UserId, Allowance] = {}

    def full(self, now: float) -> bool:
        return self.all.full(now) and all(each.full(now) for each in self.publishers.values())


class RoomRates:
    """`usual`: the rate of what clients bring about, where none is declared; None in development."""

    def __init__(self, usual: RoomRate | None, clock: Clock, metrics: Metrics) -> None:
        self._usual = usual
        self._metrics = metrics
        self._told = LimitedLog(_log, clock)
        self.clock = clock
        self.topics: dict[Topic, _Topic] = {}

    def __len__(self) -> int:
        return len(self.topics)

    def of(self, declared: RoomRate | None) -> "Rate | None":
        """What holds for a topic of which so much was declared; None where that is nothing."""
        rate = declared or self._usual
        return None if rate is None else Rate(self, rate, always=declared is not None)

    def refuse(self, topic: Topic, wait: float) -> RateLimited:
        """To be raised: it may be published after so many seconds."""
        publisher = PUBLISHER.get()
        self._metrics.count(Count.PUBLISHING_LIMITED)
        self._told.tell(
            "too much was published" if publisher is None else "clients published too much",
            "%s is refused to publish to %s: more than its rate (RoomRate, Hub(room_rate=), @hub.rooms(rate=))",
            "the application" if publisher is None else f"user {publisher!r}",
            "a user or everyone" if room_of(topic) is None else f"room {room_of(topic)!r}",
            level=logging.WARNING,
            extra=fields(Event.PUBLISHING_LIMITED, user=publisher, room=room_of(topic)),
        )
        return RateLimited("more than may be published here", retry_after=math.ceil(wait * 1000))

    def stop(self) -> None:
        self._told.stop()


class Rate:
    """Of one topic. `always`: also for what the application does of its own accord."""

    __slots__ = ("_always", "_rate", "_rates")

    def __init__(self, rates: RoomRates, rate: RoomRate, *, always: bool) -> None:
        self._rates = rates
        self._rate = rate
        self._always = always

    def spend(self, topic: Topic, size: int) -> float:
        """A message of so many bytes goes out: 0.0, or the seconds until it may."""
        publisher = PUBLISHER.get()
        if publisher is None and not self._always:
            return 0.0
        now, topics = self._rates.clock.now(), self._rates.topics
        here = topics.get(topic)
        if here is None or here.rate is not self._rate:
            forget_some(topics, now)
            here = topics[topic] = _Topic(self._rate, now)
        if publisher is not None:
            mine = here.publishers.get(publisher)
            if mine is None:
                forget_some(here.publishers, now)
                mine = here.publishers[publisher] = _allowance(self._rate, now, _SHARE)
            # First: one who is over its own is not to use up the others'.
            if wait := mine.spend(now, size):
                return wait
            if wait := here.all.spend(now, size):
                # Nor to pay for what others left no room for, as often as it tries.
                mine.take(-1, -size)
            return wait
        return here.all.spend(now, size)

    async def spend_patiently(self, topic: Topic, size: int, patience: float) -> float:
        """As soon as it may, within so many seconds: those that are left. Raises RateLimited."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while wait := self.spend(topic, size):
            if loop.time() + wait > until:
                raise self._rates.refuse(topic, wait)
            await asyncio.sleep(wait)
        return max(0.0, until - loop.time())

    def refuse(self, topic: Topic, wait: float) -> RateLimited:
        """To be raised where it may be published after so many seconds only."""
        return self._rates.refuse(topic, wait)


def _allowance(rate: RoomRate, now: float, share: float = 1.0) -> Allowance:
    """`share`: in the long run. At once one may say what all may: it is regained faster than one alone goes on."""
    return Allowance(rate.messages * share, rate.bytes * share, rate.burst, rate.burst_bytes, now)
