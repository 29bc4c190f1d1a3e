"""One question at a time, and its answer for all who asked before it was put."""

import asyncio
import logging

import pytest

from hubbub.errors import Unavailable
from hubbub.scheduling.single_flight import SingleFlight
from hubbub.scheduling.tasks import Background
from hubbub.testing import settle
from tests.kit.scripted import cancel


class Questions:
    def __init__(self) -> None:
        self.background = Background()
        self.asked: list[asyncio.Future[int]] = []
        self.idle = 0
        self.look: SingleFlight[int] = SingleFlight(self.background.spawn, self._once, idle=self._over)

    async def _once(self) -> int:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.asked.append(future)
        return await future

    def _over(self) -> None:
        self.idle += 1

    async def ask(self, several: int = 1) -> list[asyncio.Task[int]]:
        tasks = [asyncio.create_task(self.look()) for _ in range(several)]
        await settle()
        return tasks


async def test_all_who_ask_at_once_share_one_and_who_comes_later_shares_the_next() -> None:
    s = Questions()
    first, late = await s.ask(3), await s.ask(2)
    assert len(s.asked) == 1
    assert s.look.on_its_way
    s.asked[0].set_result(1)
    await settle()
    assert [task.result() for task in first] == [1, 1, 1]
    assert not any(task.done() for task in late)
    assert (len(s.asked), s.idle) == (2, 0)
    s.asked[1].set_result(2)
    await settle()
    assert [task.result() for task in late] == [2, 2]
    assert (s.look.on_its_way, s.idle, len(s.background)) == (False, 1, 0)


async def test_who_asks_when_nobody_does_begins_anew() -> None:
    s = Questions()
    for number in range(3):
        [task] = await s.ask()
        s.asked[number].set_result(number)
        await settle()
        assert task.result() == number
    assert s.idle == 3


async def test_what_is_not_answered_is_told_to_those_who_shared_it_alone() -> None:
    s = Questions()
    first, late = await s.ask(2), await s.ask()
    s.asked[0].set_exception(Unavailable())
    await settle()
    assert all(isinstance(task.exception(), Unavailable) for task in first)
    s.asked[1].set_result(7)
    await settle()
    assert late[0].result() == 7


async def test_one_who_stops_waiting_takes_it_from_nobody() -> None:
    s = Questions()
    [first, second] = await s.ask(2)
    await cancel(first)
    s.asked[0].set_result(1)
    await settle()
    assert second.result() == 1
    [last] = await s.ask()
    await cancel(last)
    s.asked[1].set_result(2)
    await settle()
    assert (s.look.on_its_way, s.idle) == (False, 2)


async def test_a_failure_nobody_expected_is_of_those_who_shared_it_too(caplog: pytest.LogCaptureFixture) -> None:
    s = Questions()
    first, late = await s.ask(2), await s.ask()
    with caplog.at_level(logging.DEBUG):
        s.asked[0].set_exception(ZeroDivisionError())
        await settle()
    assert all(isinstance(task.exception(), ZeroDivisionError) for task in first)
    assert caplog.records == []
    s.asked[1].set_result(1)
    await settle()
    assert late[0].result() == 1


async def test_when_the_hub_ends_nobody_is_left_waiting() -> None:
    s = Questions()
    tasks = [*await s.ask(), *await s.ask()]
    await s.background.end(within=0.01)
    await settle()
    assert all(isinstance(task.exception(), Unavailable) for task in tasks)
    assert s.idle == 1
