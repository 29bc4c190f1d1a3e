"""A coroutine that is run at once, and what it can tell of that: nothing."""

import asyncio
import contextvars
import weakref
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest

from hubbub.testing import settle
from tests.kit.kept import Kept, note
from tests.kit.loop import called

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")
HEAVY: contextvars.ContextVar[object] = contextvars.ContextVar("HEAVY")


async def test_what_waits_for_nothing_is_done_at_once_and_no_task(kept: Kept) -> None:
    def begin() -> None:
        for number in range(100):
            assert kept.eager.begin(note(kept, number)) is None
            assert kept.notes[-1] == number

    await called(begin)
    assert kept.tasks == []


async def test_what_waits_has_begun_at_once_and_goes_on_as_one_task(kept: Kept) -> None:
    gate = asyncio.Event()

    async def work(number: int) -> None:
        me = asyncio.current_task()
        assert me is not None
        kept.notes.append(("begun", number))
        await gate.wait()
        assert asyncio.current_task() is me
        await asyncio.sleep(0)
        assert asyncio.current_task() is me
        await asyncio.sleep(0.001)
        assert asyncio.current_task() is me
        kept.notes.append(("ended", number, me))

    def begin() -> None:
        for number in range(3):
            kept.eager.begin(work(number))
            assert kept.notes[-1] == ("begun", number)
            assert asyncio.current_task() is None

    await called(begin)
    gate.set()
    await kept.done()
    assert kept.notes[3:] == [("ended", number, task) for number, task in enumerate(kept.tasks)]
    assert len(set(kept.tasks)) == 3


@pytest.mark.parametrize("seconds", [0, -1, 0.001])
async def test_a_timeout_in_the_first_step(kept: Kept, seconds: float) -> None:
    async def work() -> None:
        try:
            async with asyncio.timeout(seconds):
                await asyncio.Event().wait()
        except TimeoutError:
            kept.notes.append("timeout")
        me = asyncio.current_task()
        assert me is not None
        assert not me.cancelling()
        await asyncio.sleep(0)
        kept.notes.append("went on")

    await kept.begin(work())
    await kept.done()
    assert kept.notes == ["timeout", "went on"]


@pytest.mark.parametrize("seconds", [0, -1, 0.001])
async def test_anyios_scopes_in_the_first_step(kept: Kept, seconds: float) -> None:
    async def work() -> None:
        with anyio.move_on_after(seconds) as scope:
            await anyio.sleep_forever()
        kept.notes.append(scope.cancelled_caught)
        with pytest.raises(TimeoutError), anyio.fail_after(seconds):
            await anyio.sleep_forever()
        async with anyio.create_task_group() as group:
            group.start_soon(note, kept, "child")
            group.start_soon(anyio.sleep_forever)
            await anyio.sleep(0.001)
            group.cancel_scope.cancel()
        kept.notes.append("went on")

    await kept.begin(work())
    await kept.done()
    assert kept.notes == [True, "child", "went on"]


async def test_a_task_group_in_the_first_step(kept: Kept) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            children = [group.create_task(asyncio.sleep(0, number)) for number in range(3)]
        kept.notes.append([child.result() for child in children])
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.Event().wait()
        except* ZeroDivisionError:
            kept.notes.append("failed")
        await asyncio.sleep(0)
        kept.notes.append("went on")

    await kept.begin(work())
    await kept.done()
    assert kept.notes == [[0, 1, 2], "failed", "went on"]


async def test_a_thread_in_the_first_step(kept: Kept) -> None:
    async def work(number: int) -> None:
        VARIABLE.set(f"of {number}")
        kept.notes.append(await asyncio.to_thread(VARIABLE.get))
        kept.notes.append(await anyio.to_thread.run_sync(VARIABLE.get))

    await kept.begin(work(1))
    await kept.done()
    assert kept.notes == ["of 1", "of 1"]


async def test_what_one_sets_in_its_context_the_next_does_not_find(kept: Kept) -> None:
    async def work(number: int, *, waits: bool) -> None:
        kept.notes.append(VARIABLE.get())
        VARIABLE.set(f"of {number}")
        if waits:
            await asyncio.sleep(0)
            kept.notes.append(VARIABLE.get())
            VARIABLE.set(f"later of {number}")
            await asyncio.sleep(0.001)
            kept.notes.append(VARIABLE.get())

    await kept.begin(work(1, waits=False), work(2, waits=True), work(3, waits=False))
    await kept.done()
    assert kept.notes == ["unset", "unset", "unset", "of 2", "later of 2"]
    assert VARIABLE.get() == "unset"


@pytest.mark.parametrize("given", [True, False])
async def test_what_is_set_in_the_context_given_is_found_and_never_what_the_caller_has_set(
    kept: Kept, *, given: bool
) -> None:
    async def work() -> None:
        kept.notes.append(VARIABLE.get())
        await asyncio.sleep(0)
        kept.notes.append(VARIABLE.get())

    context = contextvars.copy_context()
    context.run(VARIABLE.set, "given")

    def begin() -> None:
        VARIABLE.set("the caller's")
        kept.eager.begin(work(), context if given else None)

    await called(lambda: contextvars.copy_context().run(begin))
    await kept.done()
    assert kept.notes == ["given" if given else "unset"] * 2


async def test_what_the_caller_has_set_is_not_kept_alive_by_what_stands_by(kept: Kept) -> None:
    class Heavy:
        pass

    gone: list[weakref.ref[Heavy]] = []

    def begin() -> None:
        heavy = Heavy()
        gone.append(weakref.ref(heavy))
        HEAVY.set(heavy)
        kept.eager.begin(asyncio.sleep(0))

    await called(lambda: contextvars.copy_context().run(begin))
    await kept.done()
    kept.tasks.clear()
    await settle()
    assert gone[0]() is None


class Odd:
    """An awaitable that yields what no task can wait for."""

    def __await__(self) -> Iterator[Any]:
        yield "nonsense"


async def test_what_no_task_can_wait_for_is_told_to_the_one_who_tried(kept: Kept) -> None:
    async def work() -> None:
        try:
            await Odd()
        except RuntimeError:
            kept.notes.append("told")
        await asyncio.sleep(0)
        kept.notes.append("went on")

    await kept.begin(work())
    await kept.done()
    assert kept.notes == ["told", "went on"]
