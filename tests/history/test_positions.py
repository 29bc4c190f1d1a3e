"""What one worker does about each way in which a topic's messages can go missing."""

import asyncio

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
