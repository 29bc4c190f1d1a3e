"""One topic's states: every cell of its tables, and any history against what a reader of it must be told."""

from collections.abc import Callable, Iterator
from itertools import product

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hubbub.history.reads import Backfill, Effect, Gap, PassOn, Read, Release
from hubbub.history.states import AFTER_READ, TABLE, Brought, Outcome, State, Step
from hubbub.history.topic import (
    IDLE,
    STUCK,
    Bounds,
    Due,
    TopicHistory,
)
from hubbub.options import History, Limits
from hubbub.ports.broker import Entry, Past
from hubbub.protocol.session import Since
from hubbub.types import Position

KEEP = History(size=100, ttl=3600)


def topic(*, at: int | None = None, behind: bool = False, buffered: int = 9, per_read: int = 9) -> TopicHistory:
    made = TopicHistory(KEEP, Limits(replay=5), Bounds(per_read=per_read, buffered=buffered))
    if at is not None:
        done(made.end_read(made.begin_read(), past(at)))
    if behind:
        made.doubt()
    return made


def past(top: int, *offsets: int, epoch: str = "e") -> Past:
    return Past(Position(epoch, top), [Entry(offset, b"%d" % offset) for offset in offsets])


def done(effects: Iterator[Effect]) -> list[Effect]:
    return list(effects)


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


class Reader(RuleBasedStateMachine):
    """A stream that is trimmed, and begins anew; messages that are lost or come twice; reads that are late."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch, self.top, self.oldest = 0, 0, 1
        self.made = topic(per_read=3, buffered=2)
        self.reads: list[tuple[Read, Past]] = []
        self.told: list[tuple[str, int, int]] = []
        """What the reader knows of: epoch, and the offsets after the one up to the other."""
        self.answered(self.made.begin_read())

    def past(self, read: Read) -> Past:
        kept = range(self.oldest, self.top + 1)
        found = [offset for offset in kept if offset > (read.since or 0)]
        found = found[len(found) - min(read.limit, len(found)) :] if read.newest else found[: read.limit]
        return past(self.top, *found, epoch=f"e{self.epoch}")

    def answered(self, read: Read) -> None:
        self.end(read, self.past(read))

    def end(self, read: Read, answer: Past) -> None:
        for effect in self.made.end_read(read, answer):
            match effect:
                case PassOn(_, position):
                    self.tell(position)
                case Gap(epoch, after, upto):
                    self.told.append((epoch, after, upto))
                case Release(data, position):
                    self.come(data, position)

    def tell(self, position: Position) -> None:
        self.told.append((position.epoch, position.offset - 1, position.offset))

    def come(self, data: bytes, position: Position | None) -> None:
        step = self.made.receive(data, position)
        if position is None:
            return
        if step is Step.BEGIN_ANEW:
            gap = self.made.begin_anew(data, position)
            self.told.append((gap.epoch, gap.after, gap.upto))
        if step in (Step.ADVANCE, Step.BEGIN_ANEW):
            self.tell(position)
        elif step is Step.BUFFER:
            self.made.buffer.add(data, position)

    @rule(fate=st.sampled_from(["comes", "is lost", "comes twice"]))
    def publish(self, fate: str) -> None:
        self.top += 1
        for _ in range(["is lost", "comes", "comes twice"].index(fate)):
            self.come(b"%d" % self.top, Position(f"e{self.epoch}", self.top))

    @rule(keep=st.integers(0, 4))
    def trim(self, keep: int) -> None:
        self.oldest = max(self.oldest, self.top - keep + 1)

    @rule()
    def begin_another_life(self) -> None:
        self.epoch, self.top, self.oldest = self.epoch + 1, 0, 1

    @rule()
    def doubt(self) -> None:
        self.made.doubt()

    @rule(since=st.none() | st.integers(0, 9))
    def ask(self, since: int | None) -> None:
        self.made.ask(None if since is None else Since(None, since))

    @rule()
    def begin_read(self) -> None:
        if not self.reads:
            read = self.made.begin_read()
            self.reads.append((read, self.past(read)))

    @rule()
    def end_read(self) -> None:
        if self.reads:
            self.end(*self.reads.pop())

    @invariant()
    def nothing_is_told_twice_or_skipped_unsaid(self) -> None:
        for (epoch, _, upto), (later, after, _) in zip(self.told, self.told[1:], strict=False):
            assert after == (upto if later == epoch else 0)
        if self.told and self.made.position is not None:
            assert Position(*self.told[-1][::2]) == self.made.position

    def teardown(self) -> None:
        """Whatever happened: read until it is current, and it stands at the top."""
        self.made.doubt()
        for _ in range(self.top + 3):
            if self.made.state is not State.CURRENT:
                self.answered(self.made.begin_read())
        assert self.made.state is State.CURRENT
        assert self.made.position == Position(f"e{self.epoch}", self.top)


TestAnyHistory = Reader.TestCase
