"""The system's time: the clock port as it is outside of tests."""

import asyncio
import time
from collections.abc import Callable

from hubbub.ports.clock import Alarm


class SystemClock:
    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    def call_at(self, when: float, ring: Callable[[], None]) -> Alarm:
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), ring)
