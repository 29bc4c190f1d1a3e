"""A worker that does not hear the others: who is sent elsewhere when, on a clock that the test moves."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from hubbub import closes
from hubbub.hub.drain import DEAF
from hubbub.testing import settle
from tests.kit.crowd import Crowd, emptying
from tests.kit.scripted import cancel


class Broker:
    deaf_for = 0.0


def watching(crowd: Crowd, broker: Any, window: float = 10.0) -> "asyncio.Task[None]":
    return asyncio.create_task(crowd.drain.while_deaf(broker, window=window))


async def test_a_worker_that_is_deaf_for_ten_seconds_sends_its_clients_elsewhere() -> None:
    crowd, broker = Crowd(100), Broker()
    task = watching(crowd, broker)
    broker.deaf_for = DEAF - 0.1
    await settle()
    await crowd.moves(3.0)
    assert len(crowd.here) == 100
    broker.deaf_for = DEAF
    await crowd.moves(6.5)
    assert not crowd.here
    for peer in crowd.all:
        assert peer.close_with is not None
        assert peer.close_with.code == 1013
        [told] = peer.told
        assert (told["type"], told["code"]) == ("closing", 1013)
        assert told["reason"] == peer.close_with.reason
        assert 0 <= told["retry_after"] <= 10_000
    late = crowd.come()
    await crowd.moves(8.0)
    assert late.closed
    await cancel(task)


async def test_it_stops_where_the_broker_is_heard_again_and_begins_anew_where_it_is_not() -> None:
    crowd, broker = Crowd(100), Broker()
    broker.deaf_for = DEAF
    task = watching(crowd, broker)
    await settle()
    await crowd.moves(2.0)
    broker.deaf_for = 0.0
    await crowd.moves(0.1)
    left = len(crowd.here)
    assert 40 <= left <= 80
    await crowd.moves(20.0)
    assert len(crowd.here) == left
    broker.deaf_for = DEAF + 1
    await crowd.moves(7.0)
    assert not crowd.here
    await cancel(task)


@pytest.mark.parametrize("window", [0.0, 1.0])
async def test_a_deaf_worker_takes_five_seconds_at_least(window: float) -> None:
    crowd, broker = Crowd(100), Broker()
    broker.deaf_for = DEAF
    task = watching(crowd, broker, window)
    await settle()
    await crowd.moves(1.0)
    assert len(crowd.here) >= 50
    await crowd.moves(2.0)
    assert not crowd.here
    assert max(crowd.returns()) > 4500
    await cancel(task)


@pytest.mark.parametrize("at_once", [False, True])
async def test_at_the_end_nobody_is_told_that_the_worker_is_deaf(at_once: bool) -> None:
    crowd, broker = Crowd(100), Broker()
    broker.deaf_for = DEAF
    task = watching(crowd, broker)
    await settle()
    await crowd.moves(1.0)
    before = sum(peer.closed for peer in crowd.all)
    assert before
    if at_once:
        crowd.drain.close_all(closes.RESTARTING, window=1.0)
    else:
        await crowd.until(emptying(crowd, 4.0))
    codes = Counter(peer.close_with.code for peer in crowd.all if peer.close_with is not None)
    assert codes == {1013: before, 1012: 100 - before}
    await crowd.moves(2.0)
    assert task.done()
    task.result()
