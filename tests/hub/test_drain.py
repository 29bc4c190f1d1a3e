"""Who is sent away when, and when they are to come back: on a clock that the test moves."""

import itertools
from collections import Counter

import pytest

from hubbub import closes
from hubbub.testing import settle
from tests.kit.crowd import Crowd, Peer, emptying


async def test_each_is_told_once_when_to_come_back_and_closed_with_1012() -> None:
    crowd = Crowd(100)
    await crowd.until(emptying(crowd, 10.0))
    assert {peer.close_with for peer in crowd.all} == {closes.RESTARTING}
    for peer in crowd.all:
        [told] = peer.told
        assert told == {"type": "closing", "code": 1012, "reason": "restarting", "retry_after": told["retry_after"]}


async def test_the_closes_are_spread_over_half_the_window() -> None:
    crowd = Crowd(1000)
    ended = await crowd.until(emptying(crowd, 10.0))
    assert 4.9 <= ended <= 5.1
    steps = Counter(peer.closed_at for peer in crowd.all)
    assert len(steps) >= 95
    assert max(steps.values()) <= 12  # 1,000 over 100 steps, and what is left over from rounding
    by_second = Counter(int(peer.closed_at) for peer in crowd.all)
    assert max(by_second.values()) <= 212


async def test_few_are_spread_as_well() -> None:
    crowd = Crowd(5)
    await crowd.until(emptying(crowd, 10.0))
    at = sorted(peer.closed_at for peer in crowd.all)
    assert all(later - earlier >= 0.5 for earlier, later in itertools.pairwise(at))


async def test_the_returns_are_spread_evenly_over_the_window_and_in_no_order() -> None:
    crowd = Crowd(1000)
    await crowd.until(emptying(crowd, 10.0))
    returns = crowd.returns()
    assert Counter(each // 1000 for each in returns) == dict.fromkeys(range(10), 100)
    assert returns not in (sorted(returns), sorted(returns, reverse=True))
    first = returns[:200]
    assert min(first) < 1000
    assert max(first) > 9000


async def test_who_comes_meanwhile_is_sent_away_too() -> None:
    crowd = Crowd(10)
    task = emptying(crowd, 4.0)
    await settle()
    await crowd.moves(1.0)
    late = [crowd.come() for _ in range(20)]
    await crowd.until(task)
    assert not crowd.here
    assert all(0 <= peer.told[0]["retry_after"] <= 4000 for peer in late)


async def test_who_was_being_let_in_while_the_last_went_is_not_forgotten() -> None:
    crowd = Crowd(0)
    crowd.come(stays=True)
    task = emptying(crowd, 2.0)
    await settle()
    await crowd.moves(2.0)
    assert not task.done()
    late = crowd.come()
    await crowd.until(task)
    assert late.closed
    assert 0 <= late.told[0]["retry_after"] <= 2000


async def test_who_has_left_by_himself_is_not_told() -> None:
    crowd = Crowd(2)
    crowd.all[0].closed = True
    await crowd.until(emptying(crowd, 1.0))
    assert crowd.all[0].told == []


async def test_it_waits_for_the_sockets_as_long_as_a_transport_does() -> None:
    crowd = Crowd(9, closing=3.0)
    crowd.come(stays=True)
    ended = await crowd.until(emptying(crowd, 2.0))
    assert 4.0 <= ended <= 4.5


async def test_it_waits_no_longer_than_they_are_there() -> None:
    crowd = Crowd(0, closing=3.0)
    peer = crowd.come(stays=True)
    task = emptying(crowd, 2.0)
    await settle()
    await crowd.moves(2.0)
    assert peer.closed
    assert not task.done()
    crowd.here.clear()
    assert await crowd.until(task) <= 2.2


async def test_nobody_there_takes_no_time() -> None:
    crowd = Crowd(0)
    assert await crowd.until(emptying(crowd, 10.0)) <= 0.1


async def test_without_a_window_all_go_at_once_and_come_back_within_a_second() -> None:
    crowd = Crowd(100)
    crowd.come(stays=True)
    assert await crowd.until(emptying(crowd, 0.0)) == 0
    assert all(peer.closed for peer in crowd.all)
    assert {each // 100 for each in crowd.returns()} == set(range(10))


async def test_at_once_the_returns_are_still_spread_over_the_window() -> None:
    crowd = Crowd(10)
    assert crowd.drain.close_all(closes.RESTARTING, window=10.0) == 10
    assert sorted(crowd.returns()) == [500 + 1000 * each for each in range(10)]
    assert crowd.drain.close_all(closes.RESTARTING, window=10.0) == 0


async def test_in_a_hurry_the_rest_goes_at_once_and_nobody_is_waited_for() -> None:
    crowd = Crowd(100)
    crowd.come(stays=True)
    task = emptying(crowd, 10.0)
    await settle()
    await crowd.moves(1.0)
    assert 10 <= sum(peer.closed for peer in crowd.all) <= 30
    crowd.drain.hurry()
    await settle()
    assert task.done()
    assert all(peer.closed and peer.told for peer in crowd.all)


async def test_a_hurry_ends_the_wait_for_sockets() -> None:
    crowd = Crowd(0)
    crowd.come(stays=True)
    task = emptying(crowd, 1.0)
    await settle()
    await crowd.moves(1.0)
    assert not task.done()
    crowd.drain.hurry()
    await settle()
    assert task.done()


async def test_a_loop_that_was_held_up_does_not_catch_up_in_a_burst() -> None:
    crowd = Crowd(1000)
    task = emptying(crowd, 10.0)
    await settle()
    await crowd.moves(1.0)
    crowd.clock.move(2.0)
    await settle()
    await crowd.until(task)
    steps = Counter(peer.closed_at for peer in crowd.all)
    assert max(steps.values()) <= 25  # 800 over the 40 steps that were left
    assert crowd.elapsed <= 5.2


@pytest.mark.parametrize("window", [0.0, 4.0])
async def test_one_that_cannot_be_sent_away_holds_up_nobody(window: float, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = Crowd(20)
    broken = {crowd.come(), crowd.come()}
    tell, close = Peer.answer, Peer.close

    def breaks(self: Peer, *_: object) -> None:
        raise RuntimeError("not in order")

    monkeypatch.setattr(Peer, "answer", lambda self, message: (breaks if self in broken else tell)(self, message))
    monkeypatch.setattr(Peer, "close", lambda self, code: (breaks if self in broken else close)(self, code))
    await crowd.until(emptying(crowd, window))
    assert crowd.here == broken
    assert all(len(peer.told) == 1 for peer in crowd.all if peer not in broken)
