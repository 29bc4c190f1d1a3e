"""The newest messages of a topic, against a list of all there ever were."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hubbub.history.window import Missed, Window


@dataclass(frozen=True)
class Message:
    offset: int
    size: int = 1

    def __len__(self) -> int:
        return self.size


def window(after: int, upto: int, *, count: int = 100, size: int = 1_000, each: int = 1) -> Window[Message]:
    made: Window[Message] = Window(after, count=count, size=size)
    for offset in range(after + 1, upto + 1):
        made.append(Message(offset, each))
    return made


def offsets(found: Missed[Message] | None) -> tuple[list[int], bool] | None:
    return None if found is None else ([message.offset for message in found.messages], found.complete)


def test_what_was_missed_is_what_came_after() -> None:
    made = window(5, 9)
    assert made.top == 9
    assert offsets(made.since(5)) == ([6, 7, 8, 9], True)
    assert offsets(made.since(8)) == ([9], True)
    assert offsets(made.since(9)) == ([], True)


@pytest.mark.parametrize(("whole", "found"), [(False, None), (True, ([], False))])
def test_what_came_before_is_unknown_here_or_lost(whole: bool, found: object) -> None:
    made = window(5, 9)
    made.reach_back([], whole=whole)
    assert offsets(made.since(4)) == found


def test_older_ones_join_on() -> None:
    made = window(5, 7)
    made.reach_back([(offset, Message(offset)) for offset in (3, 4, 5)], whole=False)
    assert made.after == 2
    assert offsets(made.since(2)) == ([3, 4, 5, 6, 7], True)
    assert made.since(1) is None


def test_older_ones_that_do_not_join_on_are_left_out() -> None:
    made = window(5, 7)
    made.reach_back([(offset, Message(offset)) for offset in (1, 2, 4)], whole=True)
    assert made.after == 5
    assert offsets(made.since(4)) == ([], False)
    made = window(5, 7)
    made.reach_back([(offset, Message(offset)) for offset in (2, 4, 5, 6, 7)], whole=True)
    assert made.after == 3
    assert offsets(made.since(3)) == ([4, 5, 6, 7], True)


def test_the_oldest_go_where_there_are_too_many_and_nothing_older_may_be_handed_out_anyway() -> None:
    made = window(0, 5, count=3)
    assert (made.after, made.top) == (2, 5)
    assert offsets(made.since(2)) == ([3, 4, 5], True)
    assert offsets(made.since(1)) == ([], False)
    made.reach_back([(2, Message(2))], whole=False)
    assert made.whole
    assert offsets(made.since(1)) == ([], False)


def test_the_oldest_go_where_they_are_too_large_and_others_may_be_handed_out_elsewhere() -> None:
    made: Window[Message] = Window(0, count=10, size=10)
    made.reach_back([], whole=True)
    for offset in (1, 2, 3):
        made.append(Message(offset, 4))
    assert (made.after, made.top, made.whole) == (1, 3, False)
    assert made.since(0) is None
    assert offsets(made.since(1)) == ([2, 3], True)
    made.append(Message(4, 11))
    assert (made.after, made.top) == (4, 4)
    assert made.since(3) is None
    assert offsets(made.since(4)) == ([], True)


def test_older_ones_that_do_not_fit_leave_it_unknown_what_there_is() -> None:
    made = window(5, 6, size=10, each=4)
    made.reach_back([(4, Message(4, 1)), (5, Message(5, 7))], whole=True)
    assert (made.after, made.whole) == (5, False)
    made.reach_back([(4, Message(4, 1)), (5, Message(5, 6))], whole=True)
    assert (made.after, made.whole) == (4, False)
    made.reach_back([(4, Message(4, 0))], whole=True)
    assert (made.after, made.whole) == (3, True)


def test_all_that_is_kept_is_what_is_here_where_nothing_older_is_kept_anywhere() -> None:
    made = window(0, 3)
    assert made.newest(100) is None
    made.reach_back([], whole=True)
    assert offsets(made.newest(100)) == ([1, 2, 3], True)
    made = window(2, 5)
    made.reach_back([], whole=True)
    assert offsets(made.newest(100)) == ([3, 4, 5], False)


def test_of_all_that_is_kept_no_more_is_handed_out_than_fits() -> None:
    made = window(0, 5, each=4)
    # Whatever is older does not fit either.
    assert offsets(made.newest(19)) == ([2, 3, 4, 5], False)
    assert made.newest(20) is None
    made.reach_back([], whole=True)
    assert offsets(made.newest(20)) == ([1, 2, 3, 4, 5], True)
    assert offsets(made.newest(3)) == ([], False)


def test_of_all_that_is_kept_no_more_is_handed_out_than_may_be() -> None:
    assert offsets(window(0, 5, count=3).newest(100)) == ([3, 4, 5], False)
    assert offsets(window(0, 3, count=3).newest(100)) == ([1, 2, 3], True)


def test_where_there_never_was_a_message_nothing_is_missing() -> None:
    made = window(0, 0)
    made.reach_back([], whole=True)
    assert offsets(made.newest(100)) == ([], True)


class AgainstAll(RuleBasedStateMachine):
    """`kept`: what the broker has of it, without a hole up to the top."""

    COUNT, SIZE = 4, 12

    def __init__(self) -> None:
        super().__init__()
        self.all: dict[int, Message] = {}
        self.top = self.kept_from = 0
        self.made: Window[Message] = Window(0, count=self.COUNT, size=self.SIZE)

    @rule(size=st.integers(0, 7))
    def append(self, size: int) -> None:
        self.top += 1
        self.all[self.top] = Message(self.top, size)
        self.made.append(self.all[self.top])

    @rule()
    def open(self) -> None:
        self.made = Window(self.top, count=self.COUNT, size=self.SIZE)

    @precondition(lambda self: self.kept_from < self.top)
    @rule()
    def trim(self) -> None:
        self.kept_from += 1

    @rule()
    def look(self) -> None:
        newest = [self.all[offset] for offset in range(self.kept_from + 1, self.top + 1)][-self.COUNT :]
        older = [(message.offset, message) for message in newest if message.offset <= self.made.after]
        self.made.reach_back(older, whole=len(newest) < self.COUNT)

    @invariant()
    def it_is_bounded(self) -> None:
        assert self.made.top == self.top
        here = self.made.since(self.made.after)
        assert here is not None
        assert len(here.messages) <= self.COUNT
        assert sum(map(len, here.messages)) <= self.SIZE

    @invariant()
    def what_was_missed_is_right_or_unknown(self) -> None:
        for offset in range(self.top + 1):
            found = self.made.since(offset)
            if found is None:
                continue
            expected = [self.all[each] for each in range(offset + 1, self.top + 1)]
            if found.complete:
                assert list(found.messages) == expected
            else:
                # Some of it is gone, or it is more than may be handed out.
                assert found.messages == ()
                assert offset < self.kept_from or len(expected) > self.COUNT

    @invariant()
    def all_that_is_kept_is_right_or_unknown(self) -> None:
        for size in (0, 5, self.SIZE):
            found = self.made.newest(size)
            if found is None:
                continue
            messages = list(found.messages)
            assert messages == [self.all[each] for each in range(self.top - len(messages) + 1, self.top + 1)]
            assert sum(map(len, messages)) <= size
            assert found.complete is (len(messages) == self.top)


TestAgainstAll = AgainstAll.TestCase


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 10))
def test_the_top_is_the_newest_there_was(after: int, several: int, count: int) -> None:
    made = window(after, after + several, count=count)
    assert made.top == after + several
    assert made.top - made.after == min(several, count)
