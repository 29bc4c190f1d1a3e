import asyncio
import time

from hubbub.scheduling.clock import SystemClock


async def test_the_clock_rings() -> None:
    clock = SystemClock()
    assert abs(clock.wall() - time.time()) < 5
    rung: list[float] = []
    clock.call_at(clock.now() + 1000, lambda: rung.append(0)).cancel()
    when = clock.now() + 0.02
    clock.call_at(when, lambda: rung.append(clock.now()))
    clock.call_at(when - 1000, lambda: rung.append(-1))
    await asyncio.sleep(0.1)
    assert rung[0] == -1
    assert rung[1] >= when - 0.002
    assert len(rung) == 2
