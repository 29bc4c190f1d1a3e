import asyncio
import contextvars
import logging

import pytest

from hubbub.scheduling.tasks import Background, is_our_end
from hubbub.testing import settle
from tests.kit.loop import called
from tests.kit.stopwatch import Stopwatch

VARIABLE = contextvars.ContextVar("variable", default="unset")


def tasks() -> set[asyncio.Task[object]]:
    """All but those of the plugin that runs the tests, which has a new one for each phase."""
    return {task for task in asyncio.all_tasks() if "TestRunner" not in task.get_coro().__qualname__}  # type: ignore[union-attr]


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
    watch = Stopwatch()
    await background.end(within=0.02)
    assert watch.own < 5
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


@pytest.mark.parametrize("how", ["spawn", "begin"])
async def test_what_outlives_a_message_does_not_have_its_variables(how: str) -> None:
    background = Background()
    found: list[str] = []

    async def work() -> None:
        found.append(VARIABLE.get())
        VARIABLE.set("the work's")
        await asyncio.sleep(0)
        if len(found) < 2:
            # One that was begun within the hub's own work begins another.
            getattr(background, how)(work())

    def message() -> None:
        VARIABLE.set("the message's")
        getattr(background, how)(work())

    await called(lambda: contextvars.copy_context().run(message))
    await background.end(within=5)
    assert found == ["unset"] * 2


class Odd(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError(), SystemExit(1), Odd(), asyncio.CancelledError(), GeneratorExit()])
async def test_what_a_function_raises_is_its_own_while_nobody_ends_us(error: BaseException) -> None:
    assert not is_our_end(error)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()])
async def test_a_task_that_is_cancelled_is_being_ended(error: BaseException) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    assert is_our_end(error)
    assert not is_our_end(SystemExit(1))
    task.uncancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt()])
def test_without_a_loop_a_coroutine_is_being_ended(error: BaseException) -> None:
    assert is_our_end(error)


async def test_an_interrupt_is_the_operators() -> None:
    assert is_our_end(KeyboardInterrupt())
