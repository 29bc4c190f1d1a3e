"""How one worker finds out that a topic's messages went missing, and what it does where it cannot."""

import asyncio
import logging

import pytest

from hubbub import closes
from hubbub.errors import Unavailable
from hubbub.ports.metrics import Count
from hubbub.testing import settle
from tests.kit.one_room import TOPIC, OneRoom


async def test_after_the_broker_came_back_all_topics_are_looked_up_before_anything_is_passed_on() -> None:
    s = OneRoom()
    await s.join()
    s.publish()
    s.lose(3)
    s.positions.resumed()
    s.publish()
    assert s.offsets == [1]
    await settle()
    assert s.offsets == [1, 2, 3, 4, 5]


async def test_what_is_lost_at_the_end_is_found_within_half_a_minute() -> None:
    s = OneRoom()
    await s.join()
    s.publish()
    s.lose(2)
    await s.rounds(24)
    assert s.offsets == [1]
    await s.rounds(6)
    assert s.offsets == [1, 2, 3]


async def test_a_room_that_talks_is_not_asked_after() -> None:
    s = OneRoom()
    await s.join()
    for _ in range(10):
        await s.rounds(20)
        s.publish()
    assert s.broker.reads == 1
    await s.rounds(100)
    assert s.broker.reads == 1 + 4


async def test_a_look_during_which_the_subscription_was_doubted_proves_nothing() -> None:
    s = OneRoom()
    await s.join()
    s.broker.at_once = False
    s.positions.missed(TOPIC)
    await settle()
    [asked] = s.broker.pending
    s.broker.do(asked)
    s.lose(1)
    s.positions.missed(TOPIC)
    s.broker.answer(asked)
    await settle()
    assert s.offsets == []
    s.broker.answer_all()
    await settle()
    assert s.offsets == [1]


async def test_a_look_that_fails_is_taken_up_in_the_next_round() -> None:
    s = OneRoom()
    await s.join()
    await s.miss_one()
    s.broker.fail(s.broker.pending[0])
    await settle()
    assert s.broker.pending == []
    s.broker.at_once = True
    await s.rounds(1)
    assert s.offsets == [1, 2]


async def test_while_the_broker_is_away_nothing_is_asked_and_nobody_is_sent_away() -> None:
    s = OneRoom()
    await s.join()
    s.broker.ready = False
    s.positions.missed(TOPIC)
    await settle()
    reads = s.broker.reads
    await s.rounds(120)
    assert (s.broker.reads, s.ann.closes) == (reads, [])


@pytest.mark.parametrize("answer", ["none", "failing"])
async def test_members_are_sent_away_where_history_cannot_be_read_for_half_a_minute(
    answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    s = OneRoom()
    await s.join()
    s.broker.at_once = False
    s.positions.missed(TOPIC)
    for _ in range(29):
        await s.rounds(1)
        for asked in tuple(s.broker.pending) if answer == "failing" else ():
            s.broker.fail(asked)
    assert s.ann.closes == []
    with caplog.at_level(logging.WARNING):
        await s.rounds(1)
    assert s.ann.closes == [closes.POSITION_LOST]
    assert len(caplog.records) == 1
    s.broker.answer_all()
    await s.rounds(40)
    assert s.ann.closes == [closes.POSITION_LOST]


async def test_a_read_is_counted_when_it_is_known_what_became_of_it() -> None:
    """Complete is told by what did not fail, and a counter that goes down looks as if the worker had begun anew."""
    s = OneRoom()
    s.broker.at_once = False
    reads = [asyncio.create_task(s.join())]
    await settle()
    [asked] = s.broker.pending
    assert s.metrics.counts[Count.HISTORY_READS] == 0
    s.broker.fail(asked)
    await asyncio.wait(reads)
    assert isinstance(reads[0].exception(), Unavailable)
    assert s.metrics.counts[Count.HISTORY_READS] == s.metrics.counts[Count.HISTORY_READS_FAILED] == 1


async def test_a_busy_room_is_caught_up_with_by_one_look() -> None:
    s = OneRoom()
    await s.join()
    await s.miss_one()
    [asked] = s.broker.pending
    s.broker.do(asked)
    for _ in range(100):
        s.publish()
    s.broker.answer(asked)
    await settle()
    assert s.offsets == list(range(1, 103))
    assert s.broker.pending == []


async def test_nobody_is_sent_away_from_a_room_that_only_talks_faster_than_it_can_be_read() -> None:
    """Each read is overtaken, and each brings the members forward."""
    s = OneRoom(buffered=0)
    await s.join()
    s.broker.at_once = False
    s.positions.missed(TOPIC)
    await settle()
    for _ in range(100):
        [asked] = s.broker.pending
        s.broker.do(asked)
        s.publish()
        s.broker.answer(asked)
        await s.rounds(1)
    assert s.ann.closes == []
    assert s.offsets == list(range(1, 100))
