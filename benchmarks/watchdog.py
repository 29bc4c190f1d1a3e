"""`python -m benchmarks.watchdog`: what it costs to watch an event loop, as a share of one core.

The same loop for the same time, watched and not, in turns: idle, and as busy as a loop can be. What is counted is the
processor time of the whole process while idle, and the turns of the loop while busy.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from hubbub.ports.metrics import Tally
from hubbub.scheduling.watchdog import Watchdog
from hubbub.types import NodeId

SECONDS = 2.0
ROUNDS = 7


async def idle() -> float:
    """Processor seconds a second."""
    began = time.process_time()
    await asyncio.sleep(SECONDS)
    return (time.process_time() - began) / SECONDS


async def busy() -> float:
    """Turns of the loop a processor second."""
    turns, began, until = 0, time.process_time(), time.process_time() + SECONDS
    while time.process_time() < until:
        turns += 1
        await asyncio.sleep(0)
    return turns / (time.process_time() - began)


async def both(measured: Callable[[], Awaitable[float]], limit: float) -> tuple[float, float]:
    """Not watched, watched: the medians."""
    without, watched = list[float](), list[float]()
    for _ in range(ROUNDS):
        without.append(await measured())
        watchdog = Watchdog(limit, Tally(), NodeId("measured"))
        watchdog.start()
        try:
            watched.append(await measured())
        finally:
            watchdog.stop()
    return statistics.median(without), statistics.median(watched)


async def main() -> None:
    for limit in (0.1, 0.5):
        without, watched = await both(idle, limit)
        print(f"limit {limit:g} s, idle: {100 * (watched - without):.3f} % of a core")
        without, watched = await both(busy, limit)
        print(f"limit {limit:g} s, busy: {watched / without:.4f} of the turns")


if __name__ == "__main__":
    asyncio.run(main())
