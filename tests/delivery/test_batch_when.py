"""When a batch leaves: at the end of the turn, at once where it is much, a little later where that pays."""

from collections.abc import Sequence

import pytest

from hubbub.delivery.message import Outgoing
from hubbub.protocol.codec import Prepared
from hubbub.types import RoomName, room_topic
from tests.kit.batches import BatchedRooms, company

ENOUGH = 256 * 1024


@pytest.mark.parametrize("sizes", [[ENOUGH + 1], [ENOUGH, 1], [ENOUGH // 2] * 2 + [1]])
def test_what_is_enough_leaves_at_once(sizes: Sequence[int]) -> None:
    s = BatchedRooms("ann", "bob")
    topic = room_topic(RoomName("a"))
    for size in sizes:
        assert company(s.readers[0]) == []
        s.turn.batcher.spread(topic, Outgoing(Prepared(b"x" * size)), s.readers, 0)
    assert [sum(map(len, reader.writer.read)) for reader in s.readers] == [ENOUGH + 1] * 2
    s.spread()
    assert len(company(s.readers[0])) == 1  # the rest at the end of the turn
    s.turn.end()
    assert [len(company(reader)) for reader in s.readers] == [2, 2]


def test_what_was_enough_begins_again_at_nothing() -> None:
    s = BatchedRooms("ann")
    [ann] = s.readers
    for _ in range(2):
        s.turn.batcher.hand(ann, Outgoing(Prepared(b"x" * (ENOUGH + 1))))
        s.turn.batcher.hand(ann, Outgoing(Prepared(b"x" * (ENOUGH - 1))))
        s.turn.end()
    assert len(ann.writer.writes) == 4


def test_the_end_of_the_turn_is_asked_for_once_and_again_in_the_next() -> None:
    s = BatchedRooms("ann")
    [ann] = s.readers
    for turn in (1, 2, 3):
        for _ in range(3):
            s.say(ann)
            s.spread()
        assert (s.turn.asked, s.turn.pauses) == (1, [])
        s.turn.end()
        assert len(ann.writer.writes) == turn


@pytest.mark.parametrize(("took", "pause"), [(0.001, None), (0.0012, 0.0006), (0.003, 0.0015), (1.0, 0.002)])
def test_with_patience_a_topic_waits_for_a_part_of_what_its_last_write_took(took: float, pause: float | None) -> None:
    s = BatchedRooms("ann", pause_share=0.5)
    [ann] = s.readers
    s.turn.takes = took
    s.spread()
    assert (s.turn.asked, s.turn.pauses) == (1, [])
    s.turn.end()
    s.turn.takes = 0.0
    for _ in range(3):
        s.spread()
    assert s.turn.pauses == ([] if pause is None else [pytest.approx(pause)])
    assert s.turn.asked == (pause is None)
    assert ann.told == [1, 2, 3, 4]
    assert len(ann.writer.writes) == 2
    s.spread()
    assert (s.turn.asked, s.turn.pauses) == (1, [])  # that was fast


def test_without_patience_nothing_waits_however_long_it_took() -> None:
    s = BatchedRooms("ann")
    s.turn.takes = 10.0
    for _ in range(2):
        s.spread()
        assert (s.turn.asked, s.turn.pauses) == (1, [])
        s.turn.end()


def test_an_answer_does_not_wait_and_takes_along_in_order_what_does() -> None:
    s = BatchedRooms("ann", "bob", pause_share=1.0)
    ann, bob = s.readers
    s.turn.takes = 0.002
    s.spread()
    s.turn.end()
    s.spread()
    assert s.turn.asked == 0
    s.say(ann)
    assert s.turn.asked == 1
    s.spread()
    s.turn.end()
    assert (ann.told, bob.told) == ([1, 2, 3, 4], [1, 2, 4])


def test_what_waits_is_no_more_than_enough() -> None:
    s = BatchedRooms("ann", pause_share=1.0)
    [ann] = s.readers
    topic = room_topic(RoomName("a"))
    s.turn.takes = 0.002
    s.spread()
    s.turn.end()
    for _ in range(2):
        s.turn.batcher.spread(topic, Outgoing(Prepared(b"x" * (ENOUGH // 2))), s.readers, 0)
        assert len(ann.writer.writes) == 1
    s.spread()
    assert [len(writes) for writes in ann.writer.writes] == [1, 3]
