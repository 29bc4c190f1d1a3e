"""A broker of a `Network`: a memory broker with a line between it and what it shares, and faults on that line.

What is delivered passes `_heard`, what is asked passes `_asked`; there the faults are, and nowhere else. A broker that
was killed asks a store of its own, in which nothing is: the hub ends as it always does, and the others see none of it.
"""

import functools
import inspect
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.memory.store import Store
from hubbub.errors import Unavailable
from hubbub.ports.broker import Deliver
from hubbub.ports.clock import Alarm, Clock
from hubbub.testing.one_loop import OneLoop
from hubbub.types import Position, Topic

DEAF = 10.0
"""Seconds without a word after which a broker that is deaf says that it is not ready."""


class NetworkBroker(MemoryBroker):
    """Made by `Network.broker`. The faults stay until they are taken back; chance is the network's seed.

    loop: that of all brokers of the network, for what one of them is told the others hear.
    """

    def __init__(self, store: Store, clock: Clock, chance: random.Random, loop: OneLoop | None = None) -> None:
        super().__init__(store)
        self._loop = loop or OneLoop("Network")
        self._clock = clock
        self._chance = chance
        self._resumed: Callable[[], None] = lambda: None
        self._since: float | None = None
        self._away = False
        self._dead = False
        self._underway: deque[tuple[float, Topic, bytes, Position | None]] = deque()
        self._alarm: Alarm | None = None
        self.delay: float = 0.0
        """Seconds until a message arrives. Those of one broker never overtake each other."""
        self.jitter: float = 0.0
        """Seconds more, at most."""
        self.lose: float = 0.0
        """The share of messages that never arrive."""
        self.repeat: float = 0.0
        """The share of messages that arrive twice."""
        self.lose_next: int = 0
        """So many messages more are lost."""
        self.mute: bool = False
        """What is asked is done, and the answer never comes: Unavailable."""

    @property
    def shared(self) -> bool:
        return True

    @property
    def ready(self) -> bool:
        return super().ready and not self._away and self.deaf_for < DEAF

    @property
    def deaf_for(self) -> float:
        return 0.0 if self._since is None else self._clock.now() - self._since

    async def start(self, deliver: Deliver, resumed: Callable[[], None], missed: Callable[[Topic], None]) -> None:
        self._loop.check()
        self._resumed = resumed
        await super().start(deliver, resumed, missed)

    async def stop(self) -> None:
        self._drop()
        await super().stop()

    # The faults.

    def partition(self) -> None:
        """Cut off: every call raises Unavailable, nothing arrives, what was on its way is lost, leases run out."""
        self._away = True
        self.deafen()

    def deafen(self) -> None:
        """Nothing arrives any more, though every call is answered; `deaf_for` counts."""
        self._loop.check()
        if self._since is None:
            self._since = self._clock.now()
            self._drop()
            self._unsubscribe_all()

    def heal(self) -> None:
        """In touch again: subscribed to what it was, and `resumed`. Messages of the time between are not brought."""
        self._loop.check()
        if self._since is not None and not self._dead:
            self._away, self._since = False, None
            self.reconnect()

    def reconnect(self) -> None:
        """The connection was lost for a moment and is there again; what was on its way is lost."""
        self._loop.check()
        if self._since is None and not self._dead:
            self._drop()
            for topic in self._subscribed:
                self._store.subscribe(topic, self._heard)
            if super().ready:
                self._resumed()

    def kill(self) -> None:
        """Its process is dead. What it says from now on nobody hears, itself included."""
        self._loop.check()
        self._drop()
        self._unsubscribe_all()
        self._dead = True
        self._away, self._since, self.mute = False, None, False
        self._store = Store(clock=self._store.clock)

    # How it works.

    async def _asked(self, call: Callable[..., Awaitable[Any]], /, *arguments: Any, **options: Any) -> Any:
        self._loop.check()
        if self._away:
            raise Unavailable
        answer = await call(self, *arguments, **options)
        if self.mute:
            raise Unavailable
        return answer

    def _heard(self, topic: Topic, data: bytes, position: Position | None) -> None:
        if self._since is not None or self._dead:
            return
        if self.lose_next > 0:
            self.lose_next -= 1
            return
        # Asked for every message, whatever the shares are, so that one fault does not change what another hits.
        lost, repeated, later = self._chance.random(), self._chance.random(), self._chance.random()
        if lost < self.lose:
            return
        for _ in range(2 if repeated < self.repeat else 1):
            self._arrive(self.delay + self.jitter * later, topic, data, position)

    def _arrive(self, after: float, topic: Topic, data: bytes, position: Position | None) -> None:
        if after <= 0 and not self._underway:
            super()._heard(topic, data, position)
            return
        due = self._clock.now() + after
        if self._underway:
            due = max(due, self._underway[-1][0])
        self._underway.append((due, topic, data, position))
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is None and self._underway:
            self._alarm = self._clock.call_at(self._underway[0][0], self._ring)

    def _ring(self) -> None:
        self._alarm = None
        while self._underway and self._underway[0][0] <= self._clock.now():
            _, topic, data, position = self._underway.popleft()
            super()._heard(topic, data, position)
        self._set_alarm()

    def _drop(self) -> None:
        self._underway.clear()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _unsubscribe_all(self) -> None:
        for topic in self._subscribed:
            self._store.unsubscribe(topic, self._heard)

    async def unsubscribe(self, topic: Topic) -> None:
        # Whatever comes of the call: the next connection does not ask for it again.
        self._subscribed.discard(topic)
        await self._asked(MemoryBroker.unsubscribe, topic)


def _over_the_line(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(call)
    async def asked(self: NetworkBroker, *arguments: Any, **options: Any) -> Any:
        return await self._asked(call, *arguments, **options)

    return asked


# Every call of the port goes the same way, so it is said once.
for _name, _call in vars(MemoryBroker).items():
    if inspect.iscoroutinefunction(_call) and _name not in vars(NetworkBroker):
        setattr(NetworkBroker, _name, _over_the_line(_call))
