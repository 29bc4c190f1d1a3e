import pytest

from hubbub.delivery.outbox import Lane, Outbox
from hubbub.options import Slow
from hubbub.types import Position
from tests.kit.outboxes import ALL, CLOSING, DROPPING, OLDEST, of, rooms, said, value


def test_messages_leave_in_the_order_they_came() -> None:
    outbox = Outbox(100)
    messages = [of(1), of(2), of(3), of(4)]
    for message, lane in zip(messages, (None, OLDEST, value(None), CLOSING[1]), strict=True):
        assert outbox.offer(message, lane)
    assert outbox.take(ALL) == messages
    assert outbox.take(ALL) == []


@pytest.mark.parametrize(("size", "taken"), [(0, 1), (1, 1), (10, 1), (11, 2), (20, 2), (21, 3), (99, 3)])
def test_what_is_taken_is_about_as_much_as_was_asked_for_and_at_least_one(size: int, taken: int) -> None:
    outbox = Outbox(100)
    for lane in (None, OLDEST, value(None)):
        outbox.offer(of(10), lane)
    assert len(outbox.take(size)) == taken
    assert len(outbox.take(ALL)) == 3 - taken


@pytest.mark.parametrize("lane", [*CLOSING, *DROPPING])
def test_the_bound_is_bytes_and_may_be_reached(lane: Lane | None) -> None:
    outbox = Outbox(10)
    assert outbox.offer(of(6), lane)
    assert outbox.offer(of(4), OLDEST)
    assert outbox.unsent == 10
    assert said(outbox.take(ALL)) == [6, 4]
    assert outbox.refused() == (0, 0)


@pytest.mark.parametrize("lane", CLOSING)
def test_without_another_policy_what_does_not_fit_is_refused_and_leaves_no_trace(lane: Lane | None) -> None:
    outbox = Outbox(10)
    outbox.offer(of(6), OLDEST)
    assert not outbox.offer(of(5), lane)
    assert outbox.unsent == 6
    assert outbox.offer(of(4), lane)
    assert said(outbox.take(ALL)) == [6, 4]
    assert outbox.refused() == (0, 0)


@pytest.mark.parametrize("size", [11, 1000])
@pytest.mark.parametrize("lane", CLOSING)
def test_what_never_fits_is_refused_by_an_empty_outbox(lane: Lane | None, size: int) -> None:
    outbox = Outbox(10)
    assert not outbox.offer(of(size), lane)
    assert not outbox.waiting


@pytest.mark.parametrize("lane", [*CLOSING, *DROPPING])
def test_a_message_keeps_its_room_until_the_transport_has_handed_it_over(lane: Lane | None) -> None:
    outbox = Outbox(10)
    outbox.offer(of(4), lane)
    outbox.offer(of(6), lane and Lane("b", lane.slow))
    outbox.take(ALL)
    assert not outbox.waiting
    assert outbox.unsent == 10
    assert not outbox.offer(of(1))
    outbox.sent(4)
    assert not outbox.offer(of(5))
    outbox.sent(6)
    assert outbox.unsent == 0
    assert outbox.offer(of(10))


def test_what_was_taken_cannot_be_dropped_any_more() -> None:
    outbox = Outbox(10)
    outbox.offer(of(10), OLDEST)
    outbox.take(ALL)
    assert outbox.offer(of(1), OLDEST)
    assert outbox.unsent == 10
    assert said(outbox.take(ALL)) == [("a", 1)]


def test_the_oldest_of_the_same_room_make_space() -> None:
    outbox = Outbox(20)
    for size, lane in ((3, None), (4, OLDEST), (5, Lane("b", Slow.DROP_OLDEST)), (1, OLDEST), (7, OLDEST)):
        outbox.offer(of(size), lane)
    assert outbox.offer(of(5), OLDEST)
    assert outbox.refused() == (2, 0)
    assert outbox.refused() == (0, 0)
    assert outbox.unsent == 20
    assert said(outbox.take(ALL)) == [3, ("a", 2), 5, 7, 5]


def test_where_none_is_left_to_drop_the_new_one_is_and_the_gap_stands_where_it_would() -> None:
    outbox = Outbox(10)
    outbox.offer(of(9))
    assert outbox.offer(of(2), OLDEST)
    assert outbox.offer(of(3), OLDEST)
    assert outbox.refused() == (2, 0)
    assert outbox.offer(of(1), Lane("b", Slow.DROP_OLDEST))
    assert said(outbox.take(ALL)) == [9, ("a", 2), 1]


def test_nothing_waits_once_the_gap_is_taken() -> None:
    outbox = Outbox(1)
    outbox.offer(of(2), OLDEST)
    outbox.offer(of(2), OLDEST)
    assert said(outbox.take(0)) == [("a", 2)]
    assert not outbox.waiting


def test_rooms_are_forgotten_while_others_wait() -> None:
    outbox = Outbox(100)
    for name in "abc":
        outbox.offer(of(1), Lane(name, Slow.DROP_OLDEST))
    outbox.take(0)
    assert (rooms(outbox) or {}).keys() == {"b", "c"}


def test_a_gap_that_was_taken_counts_no_more() -> None:
    outbox = Outbox(10)
    for size in (6, 5, 6):
        outbox.offer(of(size), OLDEST)
    assert said(outbox.take(0)) == [("a", 2)]
    outbox.sent(outbox.unsent - 6)
    outbox.offer(of(10), OLDEST)
    assert said(outbox.take(ALL)) == [("a", 1), 10]
    assert outbox.refused() == (3, 0)


def test_a_gap_goes_beyond_the_bound_and_counts_once_it_is_taken() -> None:
    outbox = Outbox(1)
    outbox.offer(of(2), OLDEST)
    assert outbox.waiting
    assert outbox.unsent == 0
    [message] = outbox.take(0)
    assert outbox.unsent == len(message) > 1
    assert not outbox.offer(of(0))
    outbox.sent(len(message))
    assert outbox.unsent == 0
    assert not outbox.waiting


def test_each_room_has_its_own_gap() -> None:
    outbox = Outbox(4)
    outbox.offer(of(4))
    for room in "abacb":
        outbox.offer(of(1), Lane(room, Slow.DROP_OLDEST))
    assert said(outbox.take(ALL)) == [4, ("a", 2), ("b", 2), ("c", 1)]


def kept(offset: int, epoch: str = "e", room: str = "a") -> Lane:
    return Lane(room, Slow.DROP_OLDEST, position=Position(epoch, offset))


def test_in_a_room_with_history_a_gap_says_from_where_to_where() -> None:
    outbox = Outbox(10)
    for offset in (7, 8, 9, 10):
        outbox.offer(of(4), kept(offset))
    assert said(outbox.take(ALL)) == [("a", "e", 6, 8), 4, 4]
    outbox.sent(outbox.unsent)
    outbox.offer(of(11), kept(11))
    assert said(outbox.take(ALL)) == [("a", "e", 10, 11)]


def test_a_gap_of_what_is_kept_and_what_is_not_says_what_may_be_asked_for() -> None:
    """Of notices nothing can be had again."""
    outbox = Outbox(3)
    for lane in (OLDEST, kept(7), OLDEST, kept(8), OLDEST, kept(9), OLDEST):
        outbox.offer(of(3), lane)
    assert said(outbox.take(ALL)) == [("a", "e", 6, 9), 3]
    outbox.sent(outbox.unsent)
    for _ in range(2):
        outbox.offer(of(3), OLDEST)
    assert said(outbox.take(ALL)) == [("a", 1), 3]


def test_a_gap_over_two_lives_of_a_stream_begins_the_new_one_at_its_beginning() -> None:
    outbox = Outbox(3)
    for lane in (kept(7), kept(8), kept(5, "f"), kept(6, "f")):
        outbox.offer(of(3), lane)
    assert said(outbox.take(ALL)) == [("a", "f", 0, 5), 3]


def test_a_newer_value_replaces_the_waiting_one_of_its_key_and_is_no_loss() -> None:
    outbox = Outbox(100)
    for size, key in ((1, "x"), (2, None), (3, "y"), (4, "x"), (5, None), (6, None)):
        outbox.offer(of(size), value(key))
    outbox.offer(of(7), value("x", "b"))
    assert outbox.unsent == 3 + 4 + 6 + 7
    assert outbox.refused() == (0, 3)
    assert outbox.refused() == (0, 0)
    assert said(outbox.take(ALL)) == [3, 4, 6, 7]


def test_a_newer_value_makes_its_space_from_the_older() -> None:
    outbox = Outbox(10)
    outbox.offer(of(4), value("x"))
    outbox.offer(of(6), value("y"))
    outbox.offer(of(4), value("x"))
    assert outbox.refused() == (0, 1)
    assert said(outbox.take(ALL)) == [6, 4]


def test_a_value_that_does_not_fit_even_so_drops_the_oldest_of_the_room() -> None:
    outbox = Outbox(10)
    for size, key in ((3, "x"), (3, "y"), (4, "z")):
        outbox.offer(of(size), value(key))
    outbox.offer(of(5), value("y"))
    assert outbox.refused() == (1, 1)
    assert said(outbox.take(ALL)) == [("a", 1), 4, 5]


def test_what_was_replaced_is_no_oldest_to_drop() -> None:
    outbox = Outbox(10)
    for size, key in ((3, "a"), (4, "a"), (6, "b")):
        assert outbox.offer(of(size), value(key))
    assert outbox.refused() == (0, 1)
    assert outbox.offer(of(4), value("c"))
    assert outbox.refused() == (1, 0)
    assert said(outbox.take(ALL))[-2:] == [6, 4]


def test_a_value_that_was_dropped_or_taken_is_not_replaced() -> None:
    outbox = Outbox(10)
    outbox.offer(of(10))
    outbox.offer(of(1), value("x"))
    outbox.offer(of(2), value("x"))
    assert outbox.refused() == (2, 0)
    assert said(outbox.take(ALL)) == [10, ("a", 2)]
    outbox.sent(outbox.unsent)
    outbox.offer(of(3), value("x"))
    outbox.take(ALL)
    outbox.offer(of(4), value("x"))
    assert outbox.refused() == (0, 0)
    assert said(outbox.take(ALL)) == [4]


def test_messages_of_other_policies_in_the_room_of_a_value_are_not_replaced() -> None:
    outbox = Outbox(100)
    for size, lane in ((1, OLDEST), (2, value(None)), (3, OLDEST), (4, value(None))):
        outbox.offer(of(size), lane)
    assert said(outbox.take(ALL)) == [1, 3, 4]


def test_the_first_goes_before_all_that_waits_whatever_the_bound() -> None:
    outbox = Outbox(10)
    outbox.offer(of(10), OLDEST)
    outbox.first(of(7))
    assert outbox.unsent == 17
    assert said(outbox.take(ALL)) == [7, 10]
    Outbox(1).first(of(2))


def test_clearing_forgets_what_waits_but_not_what_is_on_its_way() -> None:
    outbox = Outbox(10)
    for size, lane in ((4, None), (3, OLDEST), (2, value(None)), (1, value(None)), (9, Lane("b", Slow.DROP_OLDEST))):
        outbox.offer(of(size), lane)
    assert said(outbox.take(0)) == [4]
    outbox.clear()
    assert not outbox.waiting
    assert outbox.take(ALL) == []
    assert outbox.unsent == 4
    outbox.clear()
    outbox.sent(4)
    assert outbox.unsent == 0
