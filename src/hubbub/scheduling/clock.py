"""The system's time: the clock port as it is outside of tests; and how a task waits by any clock."""

import asyncio
import contextvars
import time
from collections.abc import Callable

from hubbub.ports.clock import Alarm, Clock


class SystemClock:
    """Its alarms ring in the context in which it was made: one rings for many, and may be set for an hour."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    def __init__(self) -> None:
        self._context = contextvars.copy_context()

    def call_at(self, when: float, ring: Callable[[], None]) -> Alarm:
        loop = asyncio.get_running_loop()
        return loop.call_later(max(0.0, when - self.now()), ring, context=self._context)


async def wait_until(clock: Clock, when: float, over: asyncio.Event) -> None:
    """Until the clock says `when`, or somebody sets `over`; it is set then."""
    alarm = clock.call_at(when, over.set)
    try:
        await over.wait()
    finally:
        alarm.cancel()
