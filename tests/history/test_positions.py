"""What one worker does about each way in which a topic's messages can go missing, and how it finds out."""

import asyncio
import logging

import pytest

from hubbub import closes
from hubbub.errors import Unavailable
from hubbub.history.topic import Standing
from hubbub.ports.metrics import Count
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.testing import settle
from hubbub.types import Position
from tests.kit.one_room import TOPIC, OneRoom


async def test_what_comes_in_order_is_passed_on_with_its_offset_and_the_broker_is_not_asked() -> None:
    s = OneRoom()
    assert await s.join() == Standing(Position("e1", 0), None, ())
    for _ in range(3):
        s.publish()
    assert s.offsets == [1, 2, 3]
    assert await s.join() == Standing(Position("e1", 3), None, ())
    assert s.broker.reads == 1


async def test_of_a_topic_without_history_everything_is_passed_on_as_it_comes() -> None:
    s = OneRoom()
    data = Envelope(Kind.MESSAGE, b'{"type":"m"}').encode()
    s.positions.deliver(TOPIC, data)
    s.positions.deliver(TOPIC, data, Position("e1", 7))
    s.positions.missed(TOPIC)
    s.positions.resumed()
    await settle()
    assert s.offsets == ["m", 7]
    assert s.broker.reads == 0


async def test_what_comes_twice_is_counted_and_not_delivered() -> None:
    s = OneRoom()
    await s.join()
    for _ in range(2):
        s.publish()
    for position, data in ((Position("e1", entry.offset), entry.data) for entry in s.stream.entries):
        s.positions.deliver(TOPIC, data, position)
    assert s.offsets == [1, 2]
    assert s.metrics.counts[Count.REPEATED] == 2


async def test_a_hole_is_filled_from_history_in_order() -> None:
    s = OneRoom()
    await s.join()
    s.publish()
    s.lose(2)
    s.publish()
    assert s.offsets == [1]
    await settle()
    assert s.offsets == [1, 2, 3, 4]
    s.publish()
    assert s.offsets == [1, 2, 3, 4, 5]
    assert s.metrics.counts[Count.GAPS] == 0


async def test_a_hole_that_history_has_not_got_any_more_is_told() -> None:
    s = OneRoom()
    await s.join()
    s.publish()
    s.lose(4)
    s.publish()
    del s.stream.entries[:4]
    await settle()
    assert s.offsets == [1, ("e1", 1, 4), 5, 6]
    assert s.metrics.counts[Count.GAPS] == 1


async def test_a_hole_at_the_end_of_what_is_kept_is_told() -> None:
    """All has grown too old, and the position is remembered."""
    s = OneRoom()
    await s.join()
    s.publish()
    s.lose(4)
    s.stream.entries.clear()
    s.positions.missed(TOPIC)
    await settle()
    assert s.offsets == [1, ("e1", 1, 5)]
    s.publish()
    assert s.offsets[2:] == [6]


async def test_a_long_hole_takes_several_reads() -> None:
    s = OneRoom(per_read=10)
    await s.join()
    s.lose(35)
    s.positions.missed(TOPIC)
    await settle()
    assert s.offsets == list(range(1, 36))
    assert s.broker.reads == 1 + 4


async def test_what_comes_while_the_broker_is_asked_waits_and_loses_nothing() -> None:
    s = OneRoom()
    await s.join()
    s.broker.at_once = False
    s.lose(1)
    s.publish()
    notice = Envelope(Kind.NOTICE, b'{"type":"n"}').encode()
    s.positions.deliver(TOPIC, notice)
    await settle()
    [asked] = s.broker.pending
    s.broker.do(asked)
    s.publish()
    s.positions.deliver(TOPIC, notice)
    assert s.offsets == []
    s.broker.answer(asked)
    await settle()
    assert s.offsets == [1, 2, "n", 3, "n"]
    assert s.broker.pending == []


async def test_notices_are_let_past_where_too_many_wait() -> None:
    s = OneRoom(buffered=2)
    await s.join()
    s.broker.at_once = False
    s.positions.missed(TOPIC)
    for number in range(4):
        s.positions.deliver(TOPIC, Envelope(Kind.NOTICE, b'{"type":"n%d"}' % number).encode())
    # In the order in which they came: one who left and came back must not end as one who left.
    assert s.offsets == ["n0", "n1", "n2"]
    await settle()
    s.broker.answer_all()
    await settle()
    assert s.offsets == ["n0", "n1", "n2", "n3"]


async def test_while_a_joiner_looks_for_the_first_time_nothing_is_passed_on() -> None:
    """Its position stands for all that came before."""
    s = OneRoom()
    s.broker.at_once = False
    joining = asyncio.create_task(s.join())
    await settle()
    s.broker.do(s.broker.pending[0])
    s.publish()
    await settle()
    assert not joining.done()
    assert s.offsets == []
    s.broker.answer_all()
    await settle()
    assert s.offsets == [1]
    assert joining.result() == Standing(Position("e1", 1), None, ())


# How the worker finds out.


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
    s.broker.at_once = False
    s.lose(1)
    s.publish()
    await settle()
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
    s.broker.at_once = False
    s.lose(1)
    s.publish()
    await settle()
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
