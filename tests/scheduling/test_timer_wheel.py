import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hubbub.scheduling.timer_wheel import TimerWheel

resolutions = st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.3, 1.0, 7.0])
instants = st.floats(0, 100) | st.floats(1e5, 1e5 + 100) | st.integers(0, 1000).map(lambda tenths: tenths / 10)


def test_nothing_is_due_where_nothing_is_set() -> None:
    timers: TimerWheel[str] = TimerWheel(1.0)
    assert timers.due() is None
    assert timers.expired(1e9) == []
    assert len(timers) == 0


def test_a_deadline_is_met_once_at_the_next_tick_of_the_wheel() -> None:
    timers: TimerWheel[str] = TimerWheel(1.0)
    timers.set("a", 4.25)
    assert timers.due() == 5.0
    assert timers.expired(4.99) == []
    assert timers.expired(5.0) == ["a"]
    assert timers.expired(6.0) == []
    assert timers.due() is None
    assert len(timers) == 0


def test_a_deadline_on_the_tick_is_not_late() -> None:
    timers: TimerWheel[str] = TimerWheel(0.25)
    timers.set("a", 4.25)
    assert timers.due() == 4.25
    assert timers.expired(4.25) == ["a"]


@pytest.mark.parametrize("later", [2.0, 9.0])
def test_a_key_has_at_most_one_deadline_the_last_one(later: float) -> None:
    timers: TimerWheel[str] = TimerWheel(1.0)
    timers.set("a", 5.0)
    timers.set("a", later)
    assert len(timers) == 1
    assert timers.expired(math.nextafter(later, 0)) == []
    assert timers.expired(later) == ["a"]
    assert timers.expired(100.0) == []


def test_setting_the_same_deadline_again_changes_nothing() -> None:
    timers: TimerWheel[str] = TimerWheel(1.0)
    for key in ("a", "b", "a"):
        timers.set(key, 5.0)
    assert len(timers) == 2
    assert timers.expired(5.0) == ["a", "b"]


def test_a_removed_key_is_not_met_again_and_may_be_removed_again() -> None:
    timers: TimerWheel[str] = TimerWheel(1.0)
    timers.set("a", 5.0)
    timers.set("b", 5.0)
    timers.remove("a")
    timers.remove("a")
    timers.remove("never there")
    assert len(timers) == 1
    assert timers.expired(5.0) == ["b"]


def test_after_the_last_is_removed_nothing_is_due() -> None:
    timers: TimerWheel[str] = TimerWheel(1.0)
    timers.set("a", 5.0)
    timers.remove("a")
    assert timers.due() is None
    timers.set("b", 5.0)
    assert timers.due() == 5.0
    assert timers.expired(5.0) == ["b"]


def test_the_earlier_deadline_comes_first_and_among_equals_the_earlier_set() -> None:
    timers: TimerWheel[int] = TimerWheel(1.0)
    for key, due in enumerate([9.0, 3.0, 6.0, 3.0, 9.0, 1.0]):
        timers.set(key, due)
    assert timers.expired(9.0) == [5, 1, 3, 2, 0, 4]


def test_an_expired_key_may_be_set_again_for_the_same_tick() -> None:
    timers: TimerWheel[str] = TimerWheel(1.0)
    timers.set("a", 5.0)
    assert timers.expired(5.0) == ["a"]
    timers.set("a", 5.0)
    assert timers.due() == 5.0
    assert timers.expired(5.0) == ["a"]


def test_ten_thousand_deadlines_moved_on_and_on_leave_no_buckets_behind() -> None:
    timers: TimerWheel[int] = TimerWheel(1.0)
    for now in range(100):
        for key in range(100):
            timers.set(key, now + 10.0)
        timers.expired(float(now))
        assert len(timers._order) == timers.buckets <= 11  # noqa: SLF001 - the heap beside the buckets
    assert len(timers) == 100


@given(resolutions, instants)
def test_a_deadline_is_never_early_and_at_most_one_resolution_late(resolution: float, due: float) -> None:
    for instant in (due, math.nextafter(due, math.inf), round(due / resolution) * resolution):
        timers: TimerWheel[str] = TimerWheel(resolution)
        timers.set("a", instant)
        met = timers.due()
        assert met is not None
        assert instant <= met <= instant + resolution + 2 * math.ulp(instant)
        assert timers.expired(math.nextafter(instant, -math.inf)) == []
        assert timers.expired(met) == ["a"]


def test_a_division_that_is_rounded_down_makes_no_deadline_early() -> None:
    early = 0
    for number in range(1, 5000):
        due = math.nextafter(number * 0.1, math.inf)
        early += math.ceil(due / 0.1) * 0.1 < due
        timers: TimerWheel[str] = TimerWheel(0.1)
        timers.set("a", due)
        assert due <= (timers.due() or 0) <= due + 0.1 + 2 * math.ulp(due)
    assert early  # or this proves nothing


class TimersAgainstASortedList(RuleBasedStateMachine):
    @initialize(resolution=resolutions)
    def begin(self, resolution: float) -> None:
        self.resolution = resolution
        self.timers: TimerWheel[int] = TimerWheel(resolution)
        self.model: dict[int, float] = {}
        self.now = 0.0

    @rule(key=st.integers(0, 5), due=instants)
    def set(self, key: int, due: float) -> None:
        self.timers.set(key, due)
        self.model[key] = due

    @rule(key=st.integers(0, 5))
    def remove(self, key: int) -> None:
        self.timers.remove(key)
        self.model.pop(key, None)

    @rule(now=instants)
    def expire(self, now: float) -> None:
        self.met(max(self.now, now))

    @rule()
    def expire_when_told(self) -> None:
        due = self.timers.due()
        if due is not None:
            self.met(max(self.now, due))

    def met(self, now: float) -> None:
        self.now = now
        keys = self.timers.expired(now)
        assert len(keys) == len(set(keys))
        late = self.resolution + 2 * math.ulp(now)
        assert all(self.model[key] <= now for key in keys)
        assert {key for key, due in self.model.items() if due <= now - late} <= set(keys)
        ticks = [math.floor(self.model[key] / self.resolution) for key in keys]
        assert all(one <= other + 1 for one, other in zip(ticks, sorted(ticks), strict=True))
        for key in keys:
            del self.model[key]

    @invariant()
    def due_is_no_later_than_the_first_deadline_may_be_met(self) -> None:
        due = self.timers.due()
        if not self.model:
            assert due is None
        else:
            first = min(self.model.values())
            assert due is not None
            assert due <= first + self.resolution + 2 * math.ulp(first)

    @invariant()
    def it_counts_the_keys_with_a_deadline(self) -> None:
        assert len(self.timers) == len(self.model)


TestTimersAgainstASortedList = TimersAgainstASortedList.TestCase
