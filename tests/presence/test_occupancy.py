from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hubbub.presence.occupancy import Occupancy

topics = st.sampled_from(["a", "b", "ab"])
members = st.sampled_from(["a", "b", "ab", ""])


def test_only_the_first_in_and_the_last_out_are_news() -> None:
    occupancy = Occupancy()
    assert [occupancy.enter(("room:a", "alice")) for _ in range(3)] == [True, False, False]
    assert [occupancy.leave(("room:a", "alice")) for _ in range(3)] == [False, False, True]
    assert occupancy.enter(("room:a", "alice"))


def test_topics_and_members_are_counted_apart() -> None:
    occupancy = Occupancy()
    assert occupancy.enter(("a", "alice"))
    assert occupancy.enter(("b", "alice"))
    assert occupancy.enter(("a", "bob"))
    assert sorted(occupancy) == [("a", "alice"), ("a", "bob"), ("b", "alice")]


@pytest.mark.parametrize("entered", [0, 1, 3])
def test_leaving_once_too_often_is_an_error_and_changes_nothing(entered: int) -> None:
    occupancy = Occupancy()
    occupancy.enter(("a", "bob"))
    for _ in range(entered):
        occupancy.enter(("a", "alice"))
    for _ in range(entered):
        occupancy.leave(("a", "alice"))
    with pytest.raises(ValueError, match="left more often than entered"):
        occupancy.leave(("a", "alice"))
    assert list(occupancy) == [("a", "bob")]


def test_asking_adds_nobody() -> None:
    occupancy = Occupancy()
    assert ("a", "alice") not in occupancy
    assert len(occupancy) == 0


class OccupancyAgainstACount(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.occupancy = Occupancy()
        self.model: Counter[tuple[str, str]] = Counter()

    @rule(topic=topics, member=members)
    def enter(self, topic: str, member: str) -> None:
        assert self.occupancy.enter((topic, member)) is (self.model[topic, member] == 0)
        self.model[topic, member] += 1

    @rule(topic=topics, member=members)
    def leave(self, topic: str, member: str) -> None:
        if self.model[topic, member] == 0:
            with pytest.raises(ValueError, match="left more often than entered"):
                self.occupancy.leave((topic, member))
        else:
            self.model[topic, member] -= 1
            assert self.occupancy.leave((topic, member)) is (self.model[topic, member] == 0)

    @invariant()
    def it_holds_exactly_who_is_there(self) -> None:
        there = {key for key, count in self.model.items() if count}
        assert set(self.occupancy) == there
        assert len(self.occupancy) == len(there)
        assert all((key in self.occupancy) is (key in there) for key in self.model)


TestOccupancyAgainstACount = OccupancyAgainstACount.TestCase
