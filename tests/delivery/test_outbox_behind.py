"""Readers that are behind for long: what is put back, what it costs, and what they are told in the end."""

import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.delivery.outbox import Lane, Outbox
from hubbub.options import Slow
from hubbub.protocol.codec import Prepared
from tests.kit.outboxes import ALL, CLOSING, OLDEST, empty, gap, of, rooms, said, value, waiting


def test_what_is_put_back_comes_before_all_that_waits_and_counts() -> None:
    outbox = Outbox(100)
    assert outbox.put_back([(of(1), None), (of(2), OLDEST), (of(3), value("x"))])
    assert outbox.unsent == 6
    outbox.offer(of(4))
    assert outbox.put_back([(of(5), None), (of(6), OLDEST), (of(7), value("y"))])
    assert outbox.put_back([])
    assert said(outbox.take(ALL)) == [5, 6, 7, 1, 2, 3, 4]
    assert not outbox.put_back([(of(100), None)])


def test_what_is_put_back_is_treated_as_its_lanes_say() -> None:
    outbox = Outbox(10)
    outbox.offer(of(6), OLDEST)
    assert outbox.put_back([(of(4), OLDEST), (of(3), OLDEST), (of(1), None)])
    assert outbox.refused() == (1, 0)
    assert said(outbox.take(ALL)) == [("a", 1), 3, 1, 6]
    assert not outbox.put_back([(of(1), OLDEST), (of(11), CLOSING[1])])


def test_a_value_that_is_put_back_is_older_than_the_one_that_waits() -> None:
    outbox = Outbox(100)
    outbox.offer(of(1), value("x"))
    outbox.put_back([(of(2), value("x")), (of(3), value("y"))])
    assert outbox.refused() == (0, 1)
    assert outbox.unsent == 4
    outbox.put_back([(of(4), value("z")), (of(5), value("z"))])
    assert outbox.refused() == (0, 1)
    assert said(outbox.take(ALL)) == [5, 3, 1]


def test_a_value_that_was_put_back_is_replaced_like_any_other() -> None:
    outbox = Outbox(100)
    outbox.offer(of(1))
    outbox.put_back([(of(2), value("x"))])
    outbox.offer(of(3), value("x"))
    assert outbox.refused() == (0, 1)
    assert said(outbox.take(ALL)) == [1, 3]


def test_a_gap_never_comes_after_what_it_is_about_where_something_was_put_back() -> None:
    outbox = Outbox(10)
    for size in (5, 6):
        outbox.offer(of(size), OLDEST)
    outbox.put_back([(of(4), OLDEST)])
    outbox.offer(of(2), OLDEST)
    assert outbox.refused() == (2, 0)
    assert said(outbox.take(ALL)) == [("a", 1), ("a", 1), 6, 2]


def test_an_older_gap_does_not_end_the_counting_of_the_next() -> None:
    outbox = Outbox(10)
    for size in (5, 6):
        outbox.offer(of(size), OLDEST)
    outbox.put_back([(of(4), OLDEST)])
    assert said(outbox.take(0)) == [4]
    outbox.sent(4)
    outbox.offer(of(7), OLDEST)
    [older] = outbox.take(0)
    outbox.sent(len(older))
    outbox.offer(of(8), OLDEST)
    assert gap(older) == ("a", 1)
    assert said(outbox.take(ALL)) == [("a", 2), 8]


def entries(outbox: Outbox) -> int:
    return len(waiting(outbox) or ()) + sum(len(room.messages) for room in (rooms(outbox) or {}).values())


@pytest.mark.parametrize("slowly", [False, True], ids=["takes nothing", "takes slowly"])
@pytest.mark.parametrize("lane", [OLDEST, value("x")], ids=lambda lane: lane.slow)
def test_a_reader_that_is_behind_costs_no_more_the_longer_it_is(lane: Lane, slowly: bool) -> None:
    """What was dropped and what was replaced leave nothing behind, wherever in the queue they stood."""
    outbox = Outbox(1000)
    outbox.offer(of(100))
    outbox.offer(of(1), value("stays"))
    most = 0
    for turn in range(5000):
        outbox.offer(of(10), Lane("b", Slow.DROP_OLDEST))
        outbox.offer(of(10), lane)
        if slowly:
            for message in outbox.take(0):
                outbox.sent(len(message))
        if turn == 500:
            most = entries(outbox)
    assert 0 < entries(outbox) <= 2 * most + 100
    outbox.take(ALL)
    assert (waiting(outbox), rooms(outbox), empty(outbox)) == (None, None, 0)


def test_an_outbox_in_which_nothing_waits_is_small() -> None:
    outbox = Outbox(10)
    for lane in (None, OLDEST, value("x")):
        outbox.offer(of(1), lane)
    outbox.take(ALL)
    assert (waiting(outbox), rooms(outbox)) == (None, None)
    assert sys.getsizeof(outbox) <= 100


LANES = st.sampled_from(
    [None, OLDEST, Lane("b", Slow.DROP_OLDEST), value(None), value("x"), value("x", "b"), Lane("b", Slow.DISCONNECT)]
)


@given(st.lists(st.tuples(LANES, st.integers(1, 30), st.booleans())), st.integers(20, 80))
def test_a_client_sees_one_order_and_is_told_of_every_loss(
    steps: list[tuple[Lane | None, int, bool]], limit: int
) -> None:
    """Of each room: what comes rises, and what is missing was superseded, or is in a gap that comes at its place."""
    outbox, sent, received = Outbox(limit), dict[str, int](), list[tuple[str, int]]()

    def take(size: int) -> None:
        for message in outbox.take(size):
            outbox.sent(len(message))
            if message.data.startswith(b"{"):
                room, dropped = gap(message)
                assert isinstance(dropped, int)
                told[str(room)] = told.get(str(room), 0) + dropped
            else:
                room, number = message.data.split()[:2]
                received.append((room.decode(), int(number)))

    told: dict[str, int] = {}
    refused = 0
    for lane, size, takes in steps:
        room = lane.room if lane else "-"
        number = sent[room] = sent.get(room, 0) + 1
        refused += not outbox.offer(Prepared(f"{room} {number} ".encode() + b"x" * size), lane)
        if takes:
            take(size)
    take(ALL)
    dropped, superseded = outbox.refused()
    assert sum(told.values()) == dropped
    assert len(received) + dropped + superseded + refused == len(steps)
    for room in sent:
        numbers = [number for where, number in received if where == room]
        assert all(one < other for one, other in pairwise(numbers))
    assert outbox.unsent == 0
