"""What one coroutine ties to its task the next does not find, and in the end nothing is left."""

import asyncio
import contextvars
import gc
import sys
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hubbub.testing import settle
from tests.kit.kept import Kept, note, tasks

VARIABLE: contextvars.ContextVar[int] = contextvars.ContextVar("VARIABLE", default=-1)
BY_HAND = sys.version_info < (3, 12)

KEEPING: dict[str, Callable[[asyncio.Task[Any]], object]] = {
    "a reference": lambda task: task,
    "a weak reference": weakref.ref,
    "a weak dictionary": lambda task: weakref.WeakKeyDictionary({task: 1}),
    "a callback": lambda task: task.add_done_callback(lambda _: None),
    "a name": lambda task: task.set_name("of the first"),
    "a cancellation": lambda task: task.cancel(),
    "a cancellation taken back": lambda task: (task.cancel(), task.uncancel()),
}


@pytest.mark.parametrize("keep", KEEPING.values(), ids=KEEPING)
async def test_what_one_ties_to_its_task_the_next_does_not_find(
    kept: Kept, keep: Callable[[asyncio.Task[Any]], object]
) -> None:
    ties: list[object] = []
    ids: list[int] = []

    async def first() -> None:
        me = asyncio.current_task()
        assert me is not None
        ids.append(id(me))
        ties.append(me if BY_HAND is False else None)  # so that an address is not given twice
        ties.append(keep(me))

    async def second() -> None:
        me = asyncio.current_task()
        assert me is not None
        ids.append(id(me))
        assert me.get_name() != "of the first"
        assert not me.cancelling()
        await asyncio.sleep(0.001)
        kept.notes.append("unharmed")

    await kept.begin(first(), second())
    await kept.done()
    assert ids[0] != ids[1]
    assert kept.notes == ["unharmed"]


async def test_a_callback_of_who_ended_at_once_is_called_before_long(kept: Kept) -> None:
    async def work() -> None:
        me = asyncio.current_task()
        assert me is not None
        me.add_done_callback(lambda _: kept.notes.append("called"))

    await kept.begin(work(), note(kept, "the next"))
    await settle()
    assert kept.notes == ["the next", "called"]


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("deep", [1, 2, 6])
async def test_one_begun_in_the_step_of_another_is_another_task_in_its_middle(
    kept: Kept, deep: int, *, waits: bool
) -> None:
    async def work(level: int) -> None:
        me = asyncio.current_task()
        VARIABLE.set(level)
        kept.notes.append(("begins", level))
        if level < deep:
            task = kept.eager.begin(work(level + 1))
            assert (task is not None) is waits
            assert task is not me
        assert asyncio.current_task() is me
        assert VARIABLE.get() == level
        kept.notes.append(("goes on", level))
        if waits:
            await asyncio.sleep(0.001)
            assert asyncio.current_task() is me
            assert VARIABLE.get() == level
            kept.notes.append(("ends", me))

    await kept.begin(work(0))
    await kept.done()
    assert [task.exception() for task in kept.tasks] == [None] * (deep + 1 if waits else 0)
    levels = list(range(deep + 1))
    begun = [*(("begins", level) for level in levels), *(("goes on", level) for level in reversed(levels))]
    assert kept.notes[: len(begun)] == begun
    assert {each for _, each in kept.notes[len(begun) :]} == set(kept.tasks)


async def test_within_a_task_it_is_begun_at_once_too(kept: Kept) -> None:
    me = asyncio.current_task()
    assert kept.eager.begin(note(kept, "done")) is None
    assert kept.notes == ["done"]
    assert asyncio.current_task() is me

    async def work() -> None:
        assert asyncio.current_task() is not me
        await asyncio.sleep(0)
        assert asyncio.current_task() is kept.tasks[0]
        kept.notes.append("waited")

    task = kept.eager.begin(work())
    assert asyncio.current_task() is me
    assert task is not None
    await task
    assert kept.notes == ["done", "waited"]


async def test_a_failure_in_the_middle_of_a_step_is_in_the_inner_task(kept: Kept) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def outer() -> None:
        me = asyncio.current_task()
        task = kept.eager.begin(fail())
        assert task is not None
        assert asyncio.current_task() is me
        me.cancel() if me else None
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(0)
        assert isinstance(task.exception(), ZeroDivisionError)
        kept.notes.append("fine")

    await kept.begin(outer())
    await kept.done()
    assert kept.notes == ["fine"]


async def test_what_stands_by_may_be_cancelled_with_all_tasks(kept: Kept) -> None:
    await kept.begin(note(kept, "one"))
    for task in tasks():
        task.cancel()

    async def long() -> None:
        await asyncio.sleep(0)
        kept.notes.append("three")

    await kept.begin(note(kept, "two"), long())
    await kept.done()
    assert kept.notes == ["one", "two", "three"]


async def test_it_is_found_among_all_tasks_while_it_goes_on_and_then_forgotten(kept: Kept) -> None:
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()

    [task] = await kept.begin(work())
    assert task in tasks()
    assert "work" in repr(task)
    gate.set()
    await kept.done()
    assert task not in tasks()
    reference = weakref.ref(task)
    del task
    kept.tasks.clear()
    await settle()
    gc.collect()
    assert reference() is None


async def test_whoever_is_abandoned_is_closed() -> None:
    kept, notes = Kept(), list[str]()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            notes.append("tidied")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "call_exception_handler", lambda context: None)
        await kept.begin(work())
        await settle()
        kept.eager.stop()
        await settle()
        kept.tasks.clear()
        del kept
        gc.collect()
    assert notes == ["tidied"]


if BY_HAND:  # elsewhere asyncio begins tasks itself

    async def test_a_task_that_nobody_has_kept_is_used_again(kept: Kept) -> None:
        async def work() -> None:
            kept.notes.append(id(asyncio.current_task()))

        await kept.begin(*(work() for _ in range(10)))
        assert len(set(kept.notes)) == 1

    async def test_a_task_factory_may_wrap_what_its_tasks_run() -> None:
        loop = asyncio.get_running_loop()

        async def wrapped(work: Coroutine[Any, Any, None]) -> None:
            await work
            kept.notes.append("wrapper ended")

        async def work() -> None:
            try:
                await asyncio.sleep(0)
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                kept.notes.append("cancelled")
            await asyncio.sleep(0.001)

        loop.set_task_factory(lambda loop, work, **named: asyncio.Task(wrapped(work), loop=loop, **named))  # type: ignore[arg-type]
        try:
            kept = Kept()
            await kept.begin(note(kept, "at once"))
            await settle()
            await kept.begin(work())
            await settle()
            kept.tasks[0].cancel()
            await kept.done()
            kept.eager.stop()
            await settle()
        finally:
            loop.set_task_factory(None)
        assert kept.notes == ["at once", "cancelled", "wrapper ended"]
