"""A clock that the test moves, so that what takes a day takes no time and comes in the same order each time.

    clock = ManualClock()
    hub = Hub(clock=clock)
    await clock.advance(35.0)      # a heartbeat, and the answer to it that did not come

Everything in a hub that waits for its clock waits for this one; waiting for sockets, threads and tasks goes on as ever.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable

from hubbub.testing.one_loop import OneLoop

# Serial of the loop that are enough for everything that can run, on a loop that does not say what is ready.
_TURNS = 100


class _Alarm:
    __slots__ = ("cancelled", "ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        self.ring: Callable[[], None] = ring
        self.cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """`start` is `now`, and `wall` Unix time, at the beginning; they move together.

    It belongs to one event loop: whatever is asked of it in another, but the time, raises ConfigurationError.
    """

    def __init__(self, *, start: float = 0.0, wall: float = 1_000_000_000.0) -> None:
        self._now = start
        self._wall = wall - start
        self._alarms: list[tuple[float, int, _Alarm]] = []
        self._order = itertools.count()
        self._loop = OneLoop("ManualClock")

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall + self._now

    def call_at(self, when: float, ring: Callable[[], None]) -> _Alarm:
        self._loop.check()
        alarm = _Alarm(ring)
        heapq.heappush(self._alarms, (when, next(self._order), alarm))
        return alarm

    async def sleep(self, seconds: float) -> None:
        """Until the test has moved the clock so far."""
        woken = asyncio.get_running_loop().create_future()
        alarm = self.call_at(self._now + seconds, lambda: None if woken.done() else woken.set_result(None))
        try:
            await woken
        finally:
            alarm.cancel()

    async def advance(self, seconds: float) -> None:
        """Move on. What is due meanwhile rings in order, each at its time, and what it begins runs until it waits."""
        self._loop.check()
        until = self._now + seconds
        await settle()
        while self._ring_next(until):
            await settle()
        self._now = until
        await settle()

    def move(self, seconds: float) -> None:
        """As `advance`, but nothing that an alarm begins runs before the time has come; `settle` lets it."""
        self._loop.check()
        until = self._now + seconds
        while self._ring_next(until):
            pass
        self._now = until

    @property
    def alarms(self) -> list[float]:
        """When what was asked for rings, in order."""
        return sorted(when for when, _, alarm in self._alarms if not alarm.cancelled)

    def _ring_next(self, until: float) -> bool:
        """Whether there was one that is due by then."""
        while self._alarms and self._alarms[0][0] <= until:
            when, _, alarm = heapq.heappop(self._alarms)
            self._now = max(self._now, when)
            if not alarm.cancelled:
                alarm.ring()
                return True
        return False


async def settle() -> None:
    """Let everything run that can, until all of it waits for a socket, a thread or a clock."""
    ready = getattr(asyncio.get_running_loop(), "_ready", None)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
        if ready is not None and not ready:
            return
