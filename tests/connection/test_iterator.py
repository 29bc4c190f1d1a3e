"""Messages handed to a route one at a time."""

import asyncio
from typing import Any

import pytest

from hubbub.connection.iterator import MessageIterator
from hubbub.testing import settle
from tests.kit.scripted import cancel


async def start(work: Any) -> asyncio.Task[Any]:
    task = asyncio.ensure_future(work)
    await settle()
    return task


async def test_the_next_is_handed_when_it_is_asked_for() -> None:
    handed = MessageIterator()
    first = await start(handed.hand(1))
    assert not first.done()
    assert await handed.next() == 1
    await settle()
    assert not first.done()
    asking = await start(handed.next())
    assert first.done()
    assert not asking.done()
    second = await start(handed.hand(2))
    assert asking.result() == 2
    assert not second.done()


async def test_the_end_comes_after_what_is_left() -> None:
    handed = MessageIterator()
    left = await start(handed.hand(1))
    handed.end()
    await left
    assert await handed.next() == 1
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await handed.next()
    await handed.hand(2)
    with pytest.raises(StopAsyncIteration):
        await handed.next()


async def test_the_end_wakes_who_waits() -> None:
    handed = MessageIterator()

    async def read() -> list[Any]:
        items = []
        try:
            while True:
                items.append(await handed.next())
        except StopAsyncIteration:
            return items

    reading = await start(read())
    handing = await start(handed.hand(1))
    assert handing.done()  # the route has asked for the next
    handed.end()
    await settle()
    assert reading.result() == [1]


async def test_a_wait_that_was_given_up_loses_nothing() -> None:
    handed = MessageIterator()
    asking = await start(handed.next())
    await cancel(asking)
    await start(handed.hand(1))
    assert await handed.next() == 1
    asking = asyncio.ensure_future(handed.next())
    await settle()
    await start(handed.hand(2))
    assert asking.result() == 2


async def test_what_was_taken_last_is_handled_when_the_route_returns() -> None:
    handed = MessageIterator()
    handled: list[int] = []
    first = await start(handed.hand(1, lambda: handled.append(1)))
    assert await handed.next() == 1
    assert not handled
    handed.finish()
    await first
    assert handled == [1]
    handed.finish()
    handed.end()
    assert handled == [1]


async def test_what_was_being_handled_at_the_end_is_not_acknowledged() -> None:
    handed = MessageIterator()
    handled: list[int] = []
    first = await start(handed.hand(1, lambda: handled.append(1)))
    assert await handed.next() == 1
    handed.end()
    handed.finish()
    await first
    assert not handled


async def test_two_do_not_wait_for_one_message() -> None:
    handed = MessageIterator()
    first = await start(handed.next())
    second = await start(handed.next())
    assert isinstance(second.exception(), RuntimeError)
    assert "two tasks" in str(second.exception())
    await start(handed.hand(1))
    assert first.result() == 1
    third = await start(handed.next())
    assert not third.done()
    await start(handed.hand(2))
    assert third.result() == 2
