import asyncio

from hubbub.testing import ManualClock, settle
from hubbub.testing.clock import _TURNS


async def test_what_is_due_rings_in_order_at_its_time() -> None:
    clock = ManualClock(wall=1000.0)
    rung: list[tuple[str, float]] = []
    for when, name in ((3.0, "c"), (1.0, "a"), (2.0, "b"), (9.0, "never"), (1.0, "a, set later")):
        clock.call_at(when, lambda name=name: rung.append((name, clock.now())))
    clock.call_at(2.5, lambda: rung.append(("cancelled", 0))).cancel()
    await clock.advance(5.0)
    assert rung == [("a", 1.0), ("a, set later", 1.0), ("b", 2.0), ("c", 3.0)]
    assert (clock.now(), clock.wall()) == (5.0, 1005.0)


async def test_what_an_alarm_sets_rings_in_the_same_advance() -> None:
    clock = ManualClock()
    rung: list[float] = []

    def again() -> None:
        rung.append(clock.now())
        clock.call_at(clock.now() + 1, again)

    clock.call_at(1.0, again)
    await clock.advance(3.5)
    assert rung == [1.0, 2.0, 3.0]


async def test_what_is_overdue_rings_without_turning_time_back() -> None:
    clock = ManualClock()
    await clock.advance(5.0)
    rung: list[float] = []
    clock.call_at(1.0, lambda: rung.append(clock.now()))
    await clock.advance(1.0)
    assert rung == [5.0]


async def test_who_sleeps_is_woken_and_runs_before_the_next_alarm() -> None:
    clock = ManualClock()
    story: list[tuple[str, float]] = []

    async def sleeper() -> None:
        await clock.sleep(1.0)
        for _ in range(40):
            await asyncio.sleep(0)
        story.append(("slept", clock.now()))

    task = asyncio.create_task(sleeper())
    await settle()
    clock.call_at(1.5, lambda: story.append(("alarm", clock.now())))
    await clock.advance(2.0)
    assert story == [("slept", 1.0), ("alarm", 1.5)]
    await task


async def test_who_is_cancelled_while_it_sleeps_leaves_no_alarm() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1.0))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await clock.advance(2.0)
    assert task.cancelled()


async def test_settling_ends_where_something_never_waits() -> None:
    turns = 0

    async def busy() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(busy())
    await settle()
    assert 0 < turns <= _TURNS + 1
    task.cancel()


async def test_a_clock_that_is_moved_rings_in_order_and_lets_nothing_run_meanwhile() -> None:
    clock = ManualClock(start=100.0, wall=1000.0)
    rung: list[tuple[str, float]] = []
    task = asyncio.create_task(clock.sleep(0.5))
    await settle()
    clock.call_at(102.0, lambda: rung.append(("late", clock.now())))
    clock.call_at(101.0, lambda: rung.append(("early", clock.now())))
    clock.call_at(101.5, lambda: rung.append(("cancelled", 0))).cancel()
    clock.call_at(109.0, lambda: rung.append(("never", 0)))
    assert clock.alarms == [100.5, 101.0, 102.0, 109.0]
    clock.move(5.0)
    assert rung == [("early", 101.0), ("late", 102.0)]
    assert (clock.now(), clock.wall(), clock.alarms) == (105.0, 1005.0, [109.0])
    assert not task.done()
    await settle()
    assert task.done()
