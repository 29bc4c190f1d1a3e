"""The clock, the wheel of timers and the background tasks of a running hub."""

import asyncio
import logging
import signal
import time
from types import SimpleNamespace

import pytest

from hubbub.lifecycle import Background, SystemClock, Waker, workers_of_this_server
from tests.loop import called
from tests.scripted import MovedClock, settle


def tasks() -> set[asyncio.Task[object]]:
    """All but those of the plugin that runs the tests, which has a new one for each phase."""
    return {task for task in asyncio.all_tasks() if "TestRunner" not in task.get_coro().__qualname__}  # type: ignore[union-attr]


class Ticked:
    def __init__(self) -> None:
        self.at: list[float] = []

    def tick(self, now: float) -> None:
        self.at.append(now)


def test_each_is_woken_at_its_time_by_one_alarm() -> None:
    clock = MovedClock()
    waker: Waker[Ticked] = Waker(clock, resolution=0.5)
    early, late, never = Ticked(), Ticked(), Ticked()
    waker.wake_at(late, 110.0)
    waker.wake_at(early, 105.0)
    waker.wake_at(never, 107.0)
    waker.forget(never)
    waker.forget(never)
    assert clock.set == [105.0]
    assert len(waker) == 2
    clock.advance(4.9)
    assert not early.at
    clock.advance(0.1)
    assert (early.at, late.at) == ([105.0], [])
    clock.advance(5.0)
    assert (early.at, late.at, never.at) == ([105.0], [110.0], [])
    assert len(waker) == 0
    assert clock.set == []


def test_a_time_is_moved() -> None:
    clock = MovedClock()
    waker: Waker[Ticked] = Waker(clock, resolution=0.5)
    one = Ticked()
    waker.wake_at(one, 105.0)
    waker.wake_at(one, 120.0)
    clock.advance(5.0)
    assert not one.at
    clock.advance(14.5)
    assert not one.at
    waker.wake_at(one, 119.7)  # never early, at most a resolution late
    clock.advance(0.3)
    assert not one.at
    clock.advance(0.2)
    assert one.at == [120.0]


def test_a_tick_may_ask_for_the_next() -> None:
    clock = MovedClock()
    waker: Waker[Ticked] = Waker(clock, resolution=0.5)

    class Again(Ticked):
        def tick(self, now: float) -> None:
            super().tick(now)
            if len(self.at) < 3:
                waker.wake_at(self, now + 1)

    again = Again()
    waker.wake_at(again, 101.0)
    for _ in range(5):
        clock.advance(1.0)
    assert again.at == [101.0, 102.0, 103.0]


def test_a_stopped_waker_wakes_nobody() -> None:
    clock = MovedClock()
    waker: Waker[Ticked] = Waker(clock, resolution=0.5)
    waker.stop()
    one = Ticked()
    waker.wake_at(one, 101.0)
    waker.stop()
    clock.advance(10.0)
    assert not one.at


def test_nobody_sleeps_for_longer_than_an_hour() -> None:
    clock = MovedClock()
    waker: Waker[Ticked] = Waker(clock, resolution=0.5)
    month, hour = Ticked(), Ticked()
    waker.wake_at(month, 100.0 + 30 * 86400)
    assert clock.set == [3700.0]
    waker.wake_at(hour, 3700.0)
    clock.advance(3599.0)
    assert not month.at
    clock.advance(1.0)
    assert month.at == hour.at == [3700.0]
    assert len(waker._timers._buckets) == 0


async def test_background_work_is_finished_even_what_it_begins() -> None:
    background = Background()
    done: list[str] = []

    async def child() -> None:
        await asyncio.sleep(0.01)
        done.append("child")

    async def parent() -> None:
        await asyncio.sleep(0.01)
        background.spawn(child())
        done.append("parent")

    background.spawn(parent())
    await background.end(within=5)
    assert done == ["parent", "child"]
    assert not len(background)
    await background.end(within=5)


async def test_background_work_that_does_not_end_is_cancelled() -> None:
    background = Background()
    done: list[str] = []

    async def farewell() -> None:
        done.append("farewell")
        await asyncio.sleep(1000)

    async def stubborn() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            background.spawn(farewell())

    background.spawn(stubborn())
    await settle()
    began = time.monotonic()
    await background.end(within=0.02)
    assert time.monotonic() - began < 5
    assert not len(background)


async def test_a_background_failure_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()

    async def fail() -> None:
        raise ZeroDivisionError

    background.spawn(fail())
    await settle()
    [record] = caplog.records
    assert (record.name, record.levelno) == ("hubbub.lifecycle", logging.ERROR)
    assert record.exc_info


async def test_background_work_that_is_begun_is_done_at_once_or_kept_until_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = tasks()
    background, gate = Background(), asyncio.Event()
    done: list[str] = []

    async def note() -> None:
        done.append("at once")

    async def wait() -> None:
        await gate.wait()
        done.append("waited")

    async def fail() -> None:
        raise ZeroDivisionError

    assert await called(lambda: background.begin(note())) is None
    assert (done, len(background)) == (["at once"], 0)
    task = await called(lambda: background.begin(wait()))
    assert len(background) == 1
    gate.set()
    await settle()
    assert (done, len(background)) == (["at once", "waited"], 0)
    assert task is not None
    assert task.done()
    assert not caplog.records
    await called(lambda: background.begin(fail()))
    await settle()
    [record] = caplog.records
    assert (record.name, record.levelno) == ("hubbub.lifecycle", logging.ERROR)
    assert len(background) == 0
    await background.end(within=5)
    await settle()
    assert tasks() == before


@pytest.mark.parametrize("turns", [0, 1])
async def test_background_work_that_was_begun_and_does_not_end_is_cancelled(turns: int) -> None:
    before = tasks()
    background = Background()
    done: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            done.append("cancelled")

    await called(lambda: background.begin(stubborn()))
    for _ in range(turns):
        await asyncio.sleep(0)
    await background.end(within=0)
    await settle()
    assert done == ["cancelled"]
    assert tasks() == before


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


def test_how_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HUBBUB_WORKERS", "WEB_CONCURRENCY"):
        monkeypatch.delenv(variable, raising=False)
    assert workers_of_this_server() == 1
    monkeypatch.setenv("WEB_CONCURRENCY", "nonsense")
    assert workers_of_this_server() == 1
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    assert workers_of_this_server() == 2
    monkeypatch.setenv("HUBBUB_WORKERS", "3")
    assert workers_of_this_server() == 3

    class Server:
        config = SimpleNamespace(workers=4)

        def handle_exit(self, number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, Server().handle_exit)
    try:
        assert workers_of_this_server() == 4
    finally:
        signal.signal(signal.SIGTERM, before)
