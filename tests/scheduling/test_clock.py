import asyncio
import contextvars
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


async def test_an_alarm_rings_where_the_clock_was_made_whoever_set_it() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    clock = SystemClock()
    found: list[str] = []
    rung = asyncio.Event()

    def ring() -> None:
        found.append(variable.get())
        rung.set()

    def message() -> None:
        variable.set("the message's")
        clock.call_at(clock.now(), ring)

    contextvars.copy_context().run(message)
    await asyncio.wait_for(rung.wait(), 5)
    assert found == ["unset"]
