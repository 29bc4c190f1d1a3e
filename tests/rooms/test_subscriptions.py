"""Topics are heard exactly while there is a reason, whatever comes in between."""

import asyncio

import pytest

from hubbub.errors import Unavailable
from hubbub.rooms.subscriptions import Subscriptions
from hubbub.scheduling.tasks import Background
from hubbub.testing import ManualClock, settle
from tests.kit.scripted import ScriptedBroker, cancel


class Topics:
    def __init__(self) -> None:
        self.broker, self.clock, self.background = ScriptedBroker(), ManualClock(), Background()
        self.subscriptions = Subscriptions(
            self.broker, self.clock, self.background.spawn, linger=1.0, ended=self._ended
        )
        self.ended: list[tuple[str, int]] = []
        """What was told to be heard no more, and how many calls the broker had had then."""

    def _ended(self, topic: str) -> None:
        self.ended.append((topic, len(self.broker.log)))

    async def acquire(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self.subscriptions.acquire("t"))
        await settle()
        return task

    async def held(self) -> None:
        task = await self.acquire()
        await self.broker.only("subscribe t").ok()
        await task

    async def linger(self) -> None:
        self.clock.move(1.0)
        await settle()


async def test_the_first_subscribes_and_the_last_leaves_after_a_pause() -> None:
    s = Topics()
    first = await s.acquire()
    second = await s.acquire()
    assert not first.done()
    assert not second.done()
    await s.broker.only("subscribe t").ok()
    assert first.done()
    assert second.done()
    assert (await s.acquire()).done()
    for _ in range(3):
        assert not s.clock.alarms
        s.subscriptions.release("t")
    s.clock.move(0.99)
    await settle()
    assert s.broker.log == ["subscribe t"]
    s.clock.move(0.01)
    await settle()
    # Before the broker is asked: what it brings from now on is of no use to anybody.
    assert s.ended == [("t", 1)]
    await s.broker.only("unsubscribe t").ok()
    assert len(s.subscriptions) == 0
    assert not s.background
    assert s.ended == [("t", 1)]


async def test_one_who_comes_in_the_pause_keeps_it() -> None:
    s = Topics()
    await s.held()
    s.subscriptions.release("t")
    assert (await s.acquire()).done()
    await s.linger()
    assert s.broker.log == ["subscribe t"]
    s.subscriptions.release("t")
    s.clock.move(0.5)
    assert (await s.acquire()).done()
    s.subscriptions.release("t")
    s.clock.move(0.6)
    await settle()
    assert s.broker.log == ["subscribe t"]
    s.clock.move(0.4)
    await settle()
    await s.broker.only("unsubscribe t").ok()
    assert len(s.subscriptions) == 0


@pytest.mark.parametrize("fails", [True, False])
async def test_one_who_comes_while_it_ends_asks_anew(fails: bool) -> None:
    s = Topics()
    await s.held()
    s.subscriptions.release("t")
    await s.linger()
    ending = s.broker.only("unsubscribe t")
    late = await s.acquire()
    assert not late.done()
    await (ending.fail() if fails else ending.ok())
    await s.broker.only("subscribe t").ok()
    assert late.done()
    assert s.broker.log == ["subscribe t", "unsubscribe t", "subscribe t"]
    s.subscriptions.release("t")
    await s.linger()
    await s.broker.only("unsubscribe t").fail()
    assert len(s.subscriptions) == 0


async def test_one_who_comes_and_goes_while_it_ends() -> None:
    s = Topics()
    await s.held()
    s.subscriptions.release("t")
    await s.linger()
    ending = s.broker.only("unsubscribe t")
    late = await s.acquire()
    await cancel(late)
    await ending.ok()
    assert not s.broker.pending
    await s.linger()
    assert s.broker.log == ["subscribe t", "unsubscribe t"]
    assert len(s.subscriptions) == 0


async def test_a_failure_voids_the_reason_and_the_next_tries_again() -> None:
    s = Topics()
    first, second = await s.acquire(), await s.acquire()
    await s.broker.only("subscribe t").fail()
    assert isinstance(first.exception(), Unavailable)
    assert not second.done()
    await s.broker.only("subscribe t").ok()
    assert second.done()
    s.subscriptions.release("t")
    await s.linger()
    await s.broker.only("unsubscribe t").ok()
    assert len(s.subscriptions) == 0


async def test_what_never_stood_is_not_ended() -> None:
    s = Topics()
    task = await s.acquire()
    await s.broker.only("subscribe t").fail()
    assert task.exception()
    await s.linger()
    assert s.broker.log == ["subscribe t"]
    assert s.ended == []
    assert len(s.subscriptions) == 0


async def test_a_cancelled_caller_leaves_the_others() -> None:
    s = Topics()
    first, second = await s.acquire(), await s.acquire()
    await cancel(first)
    await s.broker.only("subscribe t").ok()
    assert second.done()
    assert not second.exception()
    assert not s.clock.alarms
    third = await s.acquire()
    assert third.done()


async def test_nothing_stands_while_the_broker_is_away() -> None:
    s = Topics()
    await s.held()
    s.broker.ready = False
    assert isinstance((await s.acquire()).exception(), Unavailable)
    s.broker.ready = True
    assert not (await s.acquire()).exception()
    for _ in range(2):
        s.subscriptions.release("t")
    await s.linger()
    await s.broker.only("unsubscribe t").ok()
    assert len(s.subscriptions) == 0


async def test_stopped_in_a_pause() -> None:
    s = Topics()
    await s.held()
    s.subscriptions.release("t")
    s.subscriptions.stop()
    assert not s.clock.alarms
    assert len(s.subscriptions) == 0
    await s.linger()
    assert s.broker.log == ["subscribe t"]
