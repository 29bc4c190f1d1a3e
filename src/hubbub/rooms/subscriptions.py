"""Which topics this worker hears: those it has a local reason to, and no others.

Reasons are counted. Who acquires the first asks the broker and waits until the subscription stands. When the last is
released the subscription lingers for a while before it is ended, because rooms that empty and fill are common and
subscribing is not free. Changes of one topic never overlap: a reason that comes while the broker is being told to stop
waits for that and then asks anew.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from hubbub.errors import Unavailable
from hubbub.ports.broker import Broker
from hubbub.ports.clock import Alarm, Clock
from hubbub.ports.logs import Event, fields
from hubbub.scheduling.tasks import Spawn
from hubbub.types import Topic

_log = logging.getLogger("hubbub.subscriptions")


@dataclass(slots=True)
class _Topic:
    """Changed within `async with` it: by one at a time."""

    reasons: int = 0
    stands: bool = False
    lingering: Alarm | None = None
    change: asyncio.Lock | None = None
    """There while somebody changes it, or waits to."""
    changing: int = 0

    async def __aenter__(self) -> None:
        if self.change is None:
            self.change = asyncio.Lock()
        self.changing += 1
        try:
            await self.change.acquire()
        except BaseException:
            self._one_less()
            raise

    async def __aexit__(self, *_: object) -> None:
        if self.change is not None:
            self.change.release()
        self._one_less()

    def _one_less(self) -> None:
        self.changing -= 1
        if not self.changing:
            self.change = None


class Subscriptions:
    """`ended` is told of every topic that is heard no more."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        spawn: Spawn,
        *,
        linger: float = 1.0,
        ended: Callable[[Topic], None] = lambda _: None,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._spawn = spawn
        self.linger: float = linger
        """Seconds from the last reason for a topic to its end."""
        self._ended = ended
        self._topics: dict[Topic, _Topic] = {}

    def __len__(self) -> int:
        return len(self._topics)

    async def acquire(self, topic: Topic) -> None:
        """One more reason. Returns when the subscription stands; raises Unavailable, and the reason is void."""
        if not self._broker.ready:
            # What stood before the broker was lost does not stand now, and nothing would say what is missed.
            raise Unavailable
        entry = self._topics.setdefault(topic, _Topic())
        entry.reasons += 1
        if entry.lingering is not None:
            entry.lingering.cancel()
            entry.lingering = None
        if entry.stands and not (entry.change is not None and entry.change.locked()):
            return
        try:
            async with entry:
                if not entry.stands:
                    await self._broker.subscribe(topic)
                    entry.stands = True
        except BaseException:
            self.release(topic)
            raise

    def release(self, topic: Topic) -> None:
        """One reason less."""
        entry = self._topics[topic]
        entry.reasons -= 1
        if entry.reasons == 0 and entry.lingering is None:
            entry.lingering = self._clock.call_at(
                self._clock.now() + self.linger, lambda: self._look_again(topic, entry)
            )

    def stop(self) -> None:
        """Nothing lingers any more: the broker is about to end every subscription at once."""
        for entry in self._topics.values():
            if entry.lingering is not None:
                entry.lingering.cancel()
        self._topics.clear()

    def _look_again(self, topic: Topic, entry: _Topic) -> None:
        entry.lingering = None
        if entry.reasons == 0:
            self._spawn(self._end(topic, entry))

    async def _end(self, topic: Topic, entry: _Topic) -> None:
        async with entry:
            if entry.reasons:
                return
            if entry.stands:
                entry.stands = False
                self._ended(topic)
                try:
                    await self._broker.unsubscribe(topic)
                except Unavailable:
                    # The broker is away, and with it the subscription; what it would still bring has no recipient.
                    _log.debug("could not unsubscribe, the broker is away", extra=fields(Event.NOT_UNSUBSCRIBED))
            if not entry.reasons and entry.lingering is None:
                self._topics.pop(topic, None)
