"""What a coroutine that was begun at once raises, and how it is cancelled: as in any task."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hubbub.testing import settle
from tests.kit.kept import Kept, note
from tests.kit.loop import called


@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError, KeyError, TimeoutError])
@pytest.mark.parametrize("waits", [False, True])
async def test_what_it_raises_is_in_its_task(kept: Kept, error: type[BaseException], *, waits: bool) -> None:
    async def fail() -> None:
        if waits:
            await asyncio.sleep(0)
        raise error

    [task, fine] = await kept.begin(fail(), note(kept, "fine"))
    assert fine is None
    assert kept.notes == ["fine"]
    assert kept.tasks == [task]
    assert task is not None
    await kept.done()
    if error is asyncio.CancelledError:
        assert task.cancelled()
    else:
        assert type(task.exception()) is error


async def test_who_has_failed_at_once_can_no_longer_be_cancelled(kept: Kept) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    def begin() -> None:
        task = kept.eager.begin(fail())
        assert task is not None
        task.cancel()

    await called(begin)
    await kept.done()
    assert type(kept.tasks[0].exception()) is ZeroDivisionError


def asleep() -> Coroutine[Any, Any, Any]:
    return asyncio.sleep(0)


def waiting() -> Coroutine[Any, Any, Any]:
    return asyncio.Event().wait()


@pytest.mark.parametrize("wait", [asleep, waiting])
async def test_who_cancels_himself_is_cancelled_where_he_waits(kept: Kept, wait: Callable[[], Any]) -> None:
    async def work() -> None:
        me = asyncio.current_task()
        assert me is not None
        me.cancel("enough")
        kept.notes.append("on to the first wait")
        try:
            await wait()
        except asyncio.CancelledError as error:
            kept.notes.append(error.args)
            me.uncancel()
        await asyncio.sleep(0)
        kept.notes.append("went on")

    await kept.begin(work(), note(kept, "the next"))
    await kept.done()
    assert kept.notes == ["on to the first wait", "the next", ("enough",), "went on"]
    assert not kept.tasks[0].cancelled()


@pytest.mark.parametrize("undone", [False, True])
async def test_who_cancels_himself_and_ends_harms_nobody(kept: Kept, *, undone: bool) -> None:
    async def work() -> None:
        me = asyncio.current_task()
        assert me is not None
        me.cancel()
        if undone:
            me.uncancel()

    async def long() -> None:
        await asyncio.sleep(0.001)
        kept.notes.append("unharmed")

    await kept.begin(work(), long(), work())
    await kept.begin(long())
    await asyncio.wait_for(asyncio.gather(*(task for task in kept.tasks), return_exceptions=True), 5)
    assert kept.notes == ["unharmed"] * 2


@pytest.mark.parametrize("when", ["in the same turn", "in the next", "later"])
@pytest.mark.parametrize("wait", [asleep, waiting])
async def test_a_cancellation_from_outside_reaches_it(kept: Kept, when: str, wait: Callable[[], Any]) -> None:
    async def work() -> None:
        try:
            await wait()
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            kept.notes.append(error.args)
            raise
        finally:
            kept.notes.append("tidied")

    def begin() -> None:
        task = kept.eager.begin(work())
        assert task is not None
        if when == "in the same turn":
            task.cancel("why")
        elif when == "in the next":
            asyncio.get_running_loop().call_soon(task.cancel, "why")

    await called(begin)
    [task] = kept.tasks
    if when == "later":
        await settle()
        task.cancel("why")
    await kept.done()
    assert task.cancelled()
    assert kept.notes == [("why",), "tidied"]


async def test_a_cancellation_in_the_same_turn_reaches_what_is_waited_for(kept: Kept) -> None:
    inner = asyncio.get_running_loop().create_future()

    async def work() -> None:
        await inner

    await called(lambda: kept.eager.begin(work()).cancel())  # type: ignore[union-attr]
    await kept.done()
    assert inner.cancelled()
    assert kept.tasks[0].cancelled()


async def test_a_cancellation_may_be_refused(kept: Kept) -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            kept.notes.append("refused")
        await asyncio.sleep(0)
        kept.notes.append("went on")

    await called(lambda: kept.eager.begin(work()).cancel())  # type: ignore[union-attr]
    await kept.done()
    assert kept.notes == ["refused", "went on"]
    assert not kept.tasks[0].cancelled()
