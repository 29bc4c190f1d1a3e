"""What who comes is handed, and what it costs the broker."""

import asyncio

import pytest

from hubbub.errors import Unavailable
from hubbub.history.topic import Standing
from hubbub.protocol.join_room import Since
from hubbub.testing import settle
from hubbub.types import Position
from tests.kit.one_room import TOPIC, OneRoom, offsets


async def test_five_thousand_that_come_back_at_once_cost_a_few_looks() -> None:
    s = OneRoom()
    s.lose(100)
    joins = [asyncio.create_task(s.join(Since("e1", number % 100))) for number in range(5_000)]
    found = await asyncio.gather(*joins)
    assert all(offsets(standing) == list(range(number % 100 + 1, 101)) for number, standing in enumerate(found))
    assert s.broker.reads <= 2
    # While clients come back, what is passed on is at hand.
    s.publish()
    assert offsets(await s.join(Since("e1", 99))) == [100, 101]
    assert s.broker.reads <= 2


async def test_nothing_is_at_hand_when_nobody_has_asked_for_a_while() -> None:
    s = OneRoom()
    s.lose(3)
    await s.join(Since("e1", 0))
    for _ in range(30):
        await s.rounds(1)
        s.publish()
        assert not s.positions.replaying or s.clock.now() < 100 + 12
    reads = s.broker.reads
    assert len((await s.join(Since("e1", 30))).missed) == 3
    assert s.broker.reads == reads + 1


async def test_more_than_a_joiner_is_handed_is_not_recovered() -> None:
    s = OneRoom()
    s.lose(301)
    assert await s.join(Since("e1", 0)) == Standing(Position("e1", 301), False, ())
    found = await s.join(Since("e1", 1))
    assert (found.recovered, offsets(found)) == (True, list(range(2, 302)))


async def test_more_than_fits_half_an_outbox_is_not_recovered() -> None:
    s = OneRoom(outbox=400, payload=200)  # with its offset, a message here has 29 bytes
    s.lose(9)
    found = await s.join(Since("e1", 3))
    assert (found.recovered, offsets(found)) == (True, [4, 5, 6, 7, 8, 9])
    assert await s.join(Since("e1", 2)) == Standing(Position("e1", 9), False, ())


async def test_what_was_trimmed_is_not_recovered() -> None:
    s = OneRoom()
    s.lose(10)
    del s.stream.entries[:4]
    assert await s.join(Since("e1", 3)) == Standing(Position("e1", 10), False, ())
    found = await s.join(Since("e1", 4))
    assert (found.recovered, offsets(found)) == (True, [5, 6, 7, 8, 9, 10])


async def test_all_that_is_kept_is_handed_to_who_asks_from_nothing() -> None:
    s = OneRoom()
    s.lose(10)
    found = await s.join(Since(None, 0))
    assert (found.recovered, offsets(found)) == (True, list(range(1, 11)))
    s = OneRoom()
    s.lose(10)
    del s.stream.entries[:4]
    found = await s.join(Since(None, 0))
    assert (found.recovered, offsets(found)) == (False, [5, 6, 7, 8, 9, 10])
    s = OneRoom()
    s.lose(305)
    found = await s.join(Since(None, 0))
    assert (found.recovered, offsets(found)) == (False, list(range(6, 306)))


async def test_before_the_first_message_there_is_nothing_to_miss() -> None:
    s = OneRoom()
    first = await s.join(Since(None, 0))
    assert first == Standing(Position("e1", 0), True, ())
    again = await s.join(Since("e1", 0))
    assert again == Standing(Position("e1", 0), True, ())
    s.publish()
    assert offsets(await s.join(Since("e1", 0))) == [1]


@pytest.mark.parametrize("since", [Since("other", 3), Since("e1", 6), Since(None, 6)])
async def test_what_is_not_known_here_is_asked_for_before_it_is_said_to_be_lost(since: Since) -> None:
    s = OneRoom()
    await s.join()
    for _ in range(5):
        s.publish()
    reads = s.broker.reads
    assert await s.join(since) == Standing(Position("e1", 5), False, ())
    assert s.broker.reads > reads


async def test_a_client_that_is_ahead_of_this_worker_is_not_told_that_it_lost_something() -> None:
    """It comes from another worker, which heard the last message a moment earlier."""
    s = OneRoom()
    await s.join()
    s.publish(bring=False)
    assert await s.join(Since("e1", 1)) == Standing(Position("e1", 1), True, ())
    assert s.offsets == [1]


async def test_a_client_of_an_epoch_this_worker_has_not_heard_of_yet() -> None:
    s = OneRoom()
    await s.join()
    s.publish()
    s.stream.begin_anew()
    s.lose(2)
    found = await s.join(Since("e2", 1))
    assert (found.position, found.recovered, offsets(found)) == (Position("e2", 2), True, [2])
    assert s.offsets == [1, ("e2", 0, 2)]


async def test_who_comes_back_to_a_worker_that_is_far_behind_does_not_keep_it_there() -> None:
    """The look for the newest does not reach back to where the worker is, and all who come back ask for the newest."""
    s = OneRoom()
    await s.join()
    s.publish()
    s.broker.at_once = False
    s.lose(400)
    s.positions.resumed()
    joins = [asyncio.create_task(s.join(Since("e1", number))) for number in (200, 300, 401)]
    for _ in range(4):
        await settle()
        s.broker.answer_all()
    await settle()
    assert s.offsets == list(range(1, 402))
    assert [(await join).recovered for join in joins] == [True, True, True]


async def test_one_who_stops_waiting_leaves_the_look_to_the_others() -> None:
    s = OneRoom()
    s.broker.at_once = False
    first, second = (asyncio.create_task(s.join()) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    s.broker.answer_all()
    await settle()
    assert second.result() == Standing(Position("e1", 0), None, ())


async def test_a_joiner_is_refused_where_the_broker_does_not_answer_and_the_next_asks_anew() -> None:
    s = OneRoom()
    s.broker.at_once = False
    joining = asyncio.create_task(s.join())
    await settle()
    s.broker.fail(s.broker.pending[0])
    await settle()
    assert isinstance(joining.exception(), Unavailable)
    s.broker.at_once = True
    assert (await s.join()).position == Position("e1", 0)


async def test_a_stream_that_changes_under_the_hands_of_a_joiner_is_looked_at_a_few_times() -> None:
    s = OneRoom()
    s.broker.at_once = False
    joining = asyncio.create_task(s.join())
    await settle()
    for _ in range(20):
        for asked in s.broker.pending[:1]:
            s.broker.do(asked)
            s.positions.missed(TOPIC)
            s.broker.answer(asked)
            await settle()
        if joining.done():
            break
    assert isinstance(joining.exception(), Unavailable)
    s.positions.stop()
    s.broker.answer_all()
    await settle()


async def test_a_topic_that_is_heard_no_more_is_forgotten_while_it_is_looked_up() -> None:
    s = OneRoom()
    await s.join()
    await s.miss_one()
    s.positions.forget(TOPIC)
    s.positions.forget(TOPIC)
    s.broker.answer_all()
    await settle()
    assert (s.offsets, len(s.positions), len(s.background)) == ([], 0, 0)
    await s.rounds(2)
    assert not s.clock.alarms
    s.broker.at_once = True
    assert (await s.join()).position == Position("e1", 2)
    assert s.clock.alarms


async def test_nothing_is_looked_after_once_it_is_stopped() -> None:
    s = OneRoom()
    s.positions.stop()
    await s.join()
    s.positions.stop()
    assert not s.clock.alarms
    assert len(s.positions) == 0


@pytest.mark.parametrize("since", [Since("nonsense", 3), Since("e1", 10**15)])
async def test_what_never_was_is_not_looked_for_among_all_that_is_kept(since: Since) -> None:
    s = OneRoom()
    s.lose(100)
    await s.join()
    s.broker.at_once = False
    joining = asyncio.create_task(s.join(since))
    await settle()
    assert [(asked.since, asked.reverse) for asked in s.broker.pending] == [(99, False)]
    s.broker.answer_all()
    assert await joining == Standing(Position("e1", 100), False, ())


async def test_who_missed_more_than_a_joiner_is_handed_costs_no_look_again_and_again() -> None:
    s = OneRoom()
    s.lose(400)
    assert (await s.join(Since("e1", 1))).recovered is False
    reads = s.broker.reads
    for _ in range(10):
        assert (await s.join(Since("e1", 1))).recovered is False
    assert s.broker.reads == reads


async def test_a_look_that_failed_does_not_make_the_next_joiner_lose_what_is_kept() -> None:
    """It left the newest messages open, with nothing in them yet."""
    s = OneRoom()
    s.lose(10)
    await s.join()
    s.broker.at_once = False
    joining = asyncio.create_task(s.join(Since("e1", 2)))
    await settle()
    [asked] = s.broker.pending
    asked.end.set_exception(Unavailable())
    with pytest.raises(Unavailable):
        await joining
    s.broker.at_once = True
    s.positions.resumed()
    found = await s.join(Since("e1", 2))
    assert (found.recovered, offsets(found)) == (True, list(range(3, 11)))
