"""One topic's states: every cell of its tables."""

from collections.abc import Callable
from itertools import product

import pytest

from hubbub.history.reads import Backfill, Between, Effect, Gap, PassOn, Read, Release
from hubbub.history.states import AFTER_READ, TABLE, Brought, Outcome, State, Step
from hubbub.history.topic import (
    IDLE,
    STUCK,
    Due,
    TopicHistory,
)
from hubbub.ports.broker import Entry, Past
from hubbub.protocol.join_room import Since
from hubbub.types import Position
from tests.history.topics import done, past, topic

STATES: dict[State, Callable[[], TopicHistory]] = {
    State.UNKNOWN: topic,
    State.CURRENT: lambda: topic(at=7),
    State.BEHIND: lambda: topic(at=7, behind=True),
}
MESSAGES = {
    Brought.UNKEPT: None,
    Brought.NEXT: Position("e", 8),
    Brought.OLD: Position("e", 7),
    Brought.BEYOND: Position("e", 9),
    Brought.OTHER_EPOCH: Position("f", 3),
}


def test_the_tables_have_a_cell_for_everything_that_can_happen() -> None:
    assert {state: set(row) for state, row in TABLE.items()} == {state: set(Brought) for state in State}
    assert {state: set(row) for state, row in AFTER_READ.items()} == {state: set(Outcome) for state in State}


@pytest.mark.parametrize(("state", "brought"), list(product(State, Brought)), ids=lambda each: each.name)
def test_every_message_in_every_state(state: State, brought: Brought) -> None:
    made, position = STATES[state](), MESSAGES[brought]
    assert made.state is state
    before = made.position
    step = made.receive(b"x", position)
    assert step is TABLE[state][brought]
    assert made.position == (position if step is Step.ADVANCE else before)
    assert made.state is (State.BEHIND if step is Step.CATCH_UP else state)


#: By outcome: where the topic stands, what is brought during the read, what the answer is.
OUTCOMES: dict[Outcome, tuple[int | None, list[Position], Past, bool]] = {
    Outcome.LEARNED: (None, [], past(7), False),
    Outcome.OVERTAKEN: (7, [Position("f", 1)], past(7, 7), False),
    Outcome.OTHER_EPOCH: (7, [], past(3, 3, epoch="f"), False),
    Outcome.TOO_SHORT: (7, [], past(20, 16, 17, 18, 19, 20), True),
    Outcome.PARTIAL: (7, [], past(20, 7, 8), False),
    Outcome.COMPLETE: (7, [], past(9, 7, 8, 9), False),
}


@pytest.mark.parametrize(("state", "outcome"), list(product(State, Outcome)), ids=lambda each: each.name)
def test_every_read_in_every_state(state: State, outcome: Outcome) -> None:
    at, meanwhile, answer, newest = OUTCOMES[outcome]
    if (state is State.UNKNOWN) is (at is not None) and outcome is not Outcome.LEARNED:
        # Of a topic of which nothing is known, a read can only teach where it ends.
        assert AFTER_READ[state][outcome] is State.CURRENT
        return
    made = topic(at=at, behind=state is State.BEHIND and not (newest or meanwhile), per_read=2)
    if newest:
        made.ask(Since("e", 3))
    read = made.begin_read()
    for position in meanwhile:
        if made.receive(b"x", position) is Step.BEGIN_ANEW:
            made.begin_anew(b"x", position)
    if state is State.BEHIND and (newest or meanwhile):
        # It fell behind while it was being read.
        here = made.position
        assert here is not None
        made.receive(b"x", Position(here.epoch, here.offset + 2))
    done(made.end_read(read, answer))
    assert made.state is AFTER_READ[state][outcome]


def test_a_hole_is_read_and_what_waited_goes_on_from_there() -> None:
    made = topic(at=1)
    assert made.receive(b"4", Position("e", 4)) is Step.CATCH_UP
    read = made.begin_read()
    assert (read.since, read.limit, read.newest) == (0, 9, False)
    assert made.receive(b"5", Position("e", 5)) is Step.BUFFER
    made.buffer.add(b"5", Position("e", 5))
    made.buffer.add(b"4", Position("e", 4))
    effects = done(made.end_read(read, past(4, 1, 2, 3, 4)))
    told = [PassOn(b"%d" % offset, Position("e", offset)) for offset in (2, 3, 4)]
    assert effects == [*told, Release(b"5", Position("e", 5))]
    assert made.state is State.CURRENT


def brought(made: TopicHistory, *offsets: int | str) -> None:
    """Messages, as the broker brings them: what is kept by its offset, the others by a name."""
    for each in offsets:
        data, position = f"{each}".encode(), Position("e", each) if isinstance(each, int) else None
        if made.receive(data, position) is Step.BUFFER:
            assert made.buffer.add(data, position)


def order(effects: list[Effect]) -> list[str]:
    return [each.data.decode() for each in effects if isinstance(each, PassOn | Between | Release)]


@pytest.mark.parametrize(
    ("comes", "answer", "told"),
    [
        # A hole shows: what waits stands right behind what came before it, also before what has still to come.
        ((4, "a", 5, "b"), past(6, 1, 2, 3, 4, 5, 6), ["2", "3", "4", "a", "5", "b", "6"]),
        ((4, "a", "b"), past(4, 1, 2, 3, 4), ["2", "3", "4", "a", "b"]),
        ((4, "a", 4, "b", 6), past(6, 1, 2, 3, 4, 5, 6), ["2", "3", "4", "a", "b", "5", "6"]),
        # Something may be missing, so the first stands right before what comes next.
        ((None, "a", 5, "b"), past(6, 1, 2, 3, 4, 5, 6), ["2", "3", "4", "a", "5", "b", "6"]),
        ((4, "a", None, "b", 6, "c"), past(7, 1, 2, 3, 4, 5, 6, 7), ["2", "3", "4", "a", "5", "b", "6", "c", "7"]),
        # Nobody knows where it stands.
        ((None, "a"), past(3, 1, 2, 3), ["2", "3", "a"]),
    ],
)
def test_what_history_has_not_keeps_its_place_among_what_is_read(
    comes: tuple[int | str | None, ...], answer: Past, told: list[str]
) -> None:
    made = topic(at=1)
    for each in comes:
        made.doubt() if each is None else brought(made, each)
    assert order(done(made.end_read(made.begin_read(), answer))) == told
    assert made.state is State.CURRENT


def test_it_keeps_its_place_over_several_reads_and_in_its_own_epoch() -> None:
    made = topic(at=1, per_read=2)
    brought(made, 5, "a")
    assert order(done(made.end_read(made.begin_read(), past(6, 1, 2)))) == ["2"]
    read = made.begin_read()
    made.buffer.add(b"9", Position("e", 9))
    assert order(done(made.end_read(read, past(6, 5, 6)))) == ["5", "a", "6", "9"]
    made = topic(at=1, behind=True)
    for data, position in ((b"f1", Position("f", 1)), (b"a", None)):
        made.buffer.add(data, position)
    assert order(done(made.end_read(made.begin_read(), past(2, 1, 2)))) == ["2", "a"]


def test_what_history_has_not_got_any_more_is_a_gap() -> None:
    made = topic(at=1, behind=True)
    effects = done(made.end_read(made.begin_read(), past(7, 4, 6)))
    assert effects == [
        Gap("e", 1, 3),
        PassOn(b"4", Position("e", 4)),
        Gap("e", 4, 5),
        PassOn(b"6", Position("e", 6)),
        Gap("e", 6, 7),
    ]


def test_another_epoch_is_a_gap_from_its_beginning() -> None:
    made = topic(at=7)
    assert made.begin_anew(b"x", Position("f", 3)) == Gap("f", 0, 2)
    assert made.position == Position("f", 3)
    assert made.receive(b"y", Position("f", 4)) is Step.ADVANCE


def test_a_read_from_before_a_doubt_proves_nothing() -> None:
    made = topic(at=7, behind=True)
    read = made.begin_read()
    made.doubt()
    assert done(made.end_read(read, past(9, 8, 9))) == []
    assert (made.state, made.position) == (State.BEHIND, Position("e", 7))


def test_where_something_kept_found_no_room_it_is_read_again() -> None:
    made = topic(at=7, behind=True, buffered=0)
    read = made.begin_read()
    assert made.buffer.add(b"8", Position("e", 8))
    assert done(made.end_read(read, past(7, 7))) == []
    assert made.state is State.BEHIND


@pytest.mark.parametrize(
    ("answer", "back"),
    [
        (past(6, 6), True),
        (Past(Position("e", 8), [Entry(7, b"another"), Entry(8, b"8")]), True),
        (past(8, 7, 8), False),
        (past(3, 3, epoch="f"), False),
    ],
)
def test_a_stream_that_went_back(answer: Past, back: bool) -> None:
    made = topic(at=6)
    made.receive(b"7", Position("e", 7))
    assert made.begin_read().went_back(answer) is back
    assert Read(None, None, 0, newest=False, since=None, limit=0).went_back(answer) is False


def test_a_joiner_stands_where_the_topic_is_current() -> None:
    made = topic()
    assert made.standing(None, reads=0, backfills=0) is None
    made.ask(None)
    assert made.begin_read().limit == 0
    made = topic(at=7)
    assert made.standing(None, reads=0, backfills=0) == (Position("e", 7), None, ())
    made.doubt()
    assert made.standing(None, reads=0, backfills=0) is None


def test_who_comes_back_has_the_newest_read_and_is_told_where_they_do_not_reach() -> None:
    made = topic(at=9)
    since = Since("e", 2)
    assert made.standing(since, reads=0, backfills=made.backfills) is None
    made.ask(since)
    read = made.begin_read()
    assert (read.newest, read.limit) == (True, 5)
    [backfill] = done(made.end_read(read, past(9, 5, 6, 7, 8, 9)))
    assert isinstance(backfill, Backfill)
    assert not backfill.whole
    assert made.standing(since, reads=1, backfills=0) == (Position("e", 9), False, ())


def test_who_was_nowhere_is_told_after_one_read() -> None:
    made = topic(at=9)
    since = Since("f", 2)
    made.ask(since)
    assert not made.begin_read().newest
    assert made.standing(since, reads=0, backfills=0) is None
    assert made.standing(since, reads=1, backfills=0) == (Position("e", 9), False, ())


def test_it_is_read_when_nothing_came_for_long_and_given_up_when_it_stays_behind() -> None:
    assert topic().check(ready=True) == Due()
    made = topic(at=7)
    assert made.check(ready=False) == Due()
    assert [made.check(ready=True).read for _ in range(IDLE)] == [False] * (IDLE - 1) + [True]
    made.receive(b"8", Position("e", 8))
    assert not made.check(ready=True).read
    made.doubt()
    due = [made.check(ready=True) for _ in range(STUCK)]
    assert due == [Due(read=True)] * (STUCK - 1) + [Due(read=True, give_up=True)]
    made.catching_up = True
    assert made.check(ready=True) == Due()
