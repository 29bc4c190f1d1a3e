"""Waiting for a broker that is away: in order, not too many, and not too long."""

import asyncio
from typing import Any

import pytest

from hubbub.errors import Unavailable
from hubbub.options import History
from hubbub.rooms.publish_queue import PublishQueue
from hubbub.rooms.publishing import Sender
from hubbub.rooms.retention import Retention
from hubbub.scheduling.home_loop import HomeLoop
from hubbub.testing import settle
from hubbub.types import EVERYONE, Position, RoomName, room_topic
from tests.kit.scripted import cancel
from tests.kit.stopwatch import Stopwatch

LONG = 60.0


class Away:
    """Ready when it is said; publishes what it is given, or fails as often as `fails` says, having done it or not."""

    def __init__(self, *, ready: bool = False) -> None:
        self.ready = ready
        self.published: list[tuple[str, str | None]] = []
        self.fails = 0

    async def publish(
        self, topic: str, data: bytes, *, keep: History | None, idempotency_key: str | None
    ) -> Position | None:
        self.published.append((data[4:].decode(), idempotency_key))
        if self.fails:
            self.fails -= 1
            raise Unavailable
        return Position("e", len(self.published)) if keep else None


class Queued:
    def __init__(self, *, limit: int = 10, keep: History | None = None) -> None:
        self.broker: Any = Away()
        self.looks = 0
        self.queue = PublishQueue(self._look, limit=limit)
        self.sender = Sender(
            EVERYONE if keep is None else room_topic("r"),
            self.broker,
            self.queue,
            HomeLoop(),
            Retention(),
            limit=100,
            room=None if keep is None else RoomName("r"),
            own=keep,
        )

    def _look(self) -> bool:
        self.looks += 1
        return bool(self.broker.ready)

    async def wait(self, within: float = LONG) -> asyncio.Task[None]:
        task = asyncio.create_task(self.queue.wait(within))
        await settle()
        return task

    async def send(self, type: str, *, patience: float = LONG, **fields: Any) -> asyncio.Task[Position | None]:
        task = asyncio.create_task(self.sender.send({"type": type}, exclude=None, patience=patience, **fields))
        await settle()
        return task

    def back_for_a_moment(self) -> None:
        """And away again before anything has left."""
        self.broker.ready = True
        self.queue.look()
        self.broker.ready = False

    async def back(self) -> None:
        self.broker.ready = True
        self.queue.look()
        await settle()


KEEP = History(size=10, ttl=60)


async def test_a_broker_that_is_there_is_not_waited_for() -> None:
    s = Queued()
    s.broker.ready = True
    await s.queue.wait(0.0)
    assert len(s.queue) == 0


async def test_all_who_wait_go_on_in_their_order_when_it_is_back() -> None:
    s = Queued()
    sent = [await s.send(type) for type in "abc"]
    assert len(s.queue) == 3
    assert s.broker.published == []
    await s.back()
    assert [task.done() for task in sent] == [True] * 3
    assert [data for data, _ in s.broker.published] == [f'{{"type":"{type}"}}' for type in "abc"]
    assert len(s.queue) == 0


async def test_who_comes_while_others_wait_goes_behind_them() -> None:
    s = Queued()
    first = await s.send("a")
    s.broker.ready = True
    second = await s.send("b")
    assert not second.done()
    s.queue.look()
    await settle()
    assert first.done()
    assert second.done()
    assert [data for data, _ in s.broker.published] == ['{"type":"a"}', '{"type":"b"}']


async def test_no_more_wait_than_may() -> None:
    s = Queued(limit=2)
    waiting = [await s.wait() for _ in range(2)]
    with pytest.raises(Unavailable, match="2 messages wait"):
        await s.queue.wait(LONG)
    await s.back()
    assert [task.exception() for task in waiting] == [None, None]


async def test_patience_ends() -> None:
    s = Queued()
    watch = Stopwatch()
    with pytest.raises(Unavailable):
        await s.queue.wait(0.05)
    assert watch.wall > 0.04
    assert watch.own < 5
    assert len(s.queue) == 0


async def test_who_stops_waiting_leaves_its_place() -> None:
    s = Queued(limit=1)
    await cancel(await s.wait())
    assert len(s.queue) == 0
    last = await s.wait()
    await s.back()
    assert last.exception() is None


async def test_without_patience_the_broker_is_asked_at_once() -> None:
    s = Queued()
    s.broker.fails = 1
    task = await s.send("a", patience=0.0)
    assert isinstance(task.exception(), Unavailable)
    assert s.broker.published == [('{"type":"a"}', None)]


async def test_what_is_kept_is_sent_again_under_its_key_where_the_broker_went_away_meanwhile() -> None:
    """It may have gone out: the key sees to it that it does so once."""
    s = Queued(keep=KEEP)
    task = await s.send("a", idempotency_key="once")
    s.broker.fails = 1
    s.back_for_a_moment()
    await settle()
    assert not task.done()
    await s.back()
    assert task.result() == Position("e", 2)
    assert s.broker.published == [('{"type":"a","room":"r"}', "once")] * 2


async def test_what_is_kept_gets_a_key_of_its_own_where_it_has_none() -> None:
    s = Queued(keep=KEEP)
    tasks = [await s.send("a"), await s.send("a")]
    s.broker.fails = 2
    s.back_for_a_moment()
    await settle()
    await s.back()
    assert all(task.done() for task in tasks)
    keys = [key for _, key in s.broker.published]
    assert len(keys) == 4
    assert len(set(keys)) == 2
    assert None not in keys


async def test_what_is_not_kept_is_not_sent_twice() -> None:
    s = Queued()
    task = await s.send("a")
    s.broker.fails = 1
    s.back_for_a_moment()
    await settle()
    assert isinstance(task.exception(), Unavailable)
    assert len(s.broker.published) == 1


async def test_a_broker_that_is_there_and_fails_is_not_asked_for_ever() -> None:
    s = Queued(keep=KEEP)
    s.broker.fails = 1_000_000
    s.broker.ready = True
    watch = Stopwatch()
    with pytest.raises(Unavailable):
        await (await s.send("a", patience=0.5))
    assert watch.wall >= 0.5
    assert watch.own < 5
    assert 2 <= len(s.broker.published) <= 5


async def test_what_is_kept_is_sent_again_where_nobody_has_noticed_yet_that_the_broker_is_away() -> None:
    s = Queued(keep=KEEP)
    s.broker.fails = 1
    s.broker.ready = True
    assert await (await s.send("a")) == Position("e", 2)
    [(_, first), (_, second)] = s.broker.published
    assert first == second is not None


async def test_patience_is_not_begun_anew_with_each_try() -> None:
    s = Queued(keep=KEEP)
    s.broker.fails = 10
    watch = Stopwatch()
    task = asyncio.create_task(s.sender.send({"type": "a"}, exclude=None, patience=0.1))
    while not task.done() and watch.own < 5:
        s.back_for_a_moment()
        await asyncio.sleep(0.01)
    assert isinstance(task.exception(), Unavailable)
    assert watch.own < 1


async def test_who_stops_waiting_in_the_turn_in_which_it_is_over() -> None:
    s = Queued()
    first, second = await s.wait(), await s.wait()
    first.cancel()
    await s.back()
    assert first.cancelled()
    assert second.exception() is None
    assert len(s.queue) == 0


async def test_who_comes_while_the_others_are_being_told_does_not_pass_them() -> None:
    s = Queued()
    tasks = [await s.send(type) for type in ("a", "b")]
    s.broker.ready = True
    s.queue.look()
    # In the same turn, as a handler does that is begun within it.
    await s.sender.send({"type": "c"}, exclude=None, patience=LONG)
    await asyncio.gather(*tasks)
    assert [data for data, _ in s.broker.published] == [f'{{"type":"{type}"}}' for type in ("a", "b", "c")]


async def test_however_many_came_and_went_it_is_looked_as_often() -> None:
    s = Queued()
    for _ in range(20):
        waiting = await s.wait()
        await cancel(waiting)
    s.looks = 0
    with pytest.raises(Unavailable):
        await s.queue.wait(0.2)
    assert s.looks <= 6
