import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.scheduling.backoff import Backoff


def longest(low: float, high: float) -> float:
    assert low == 0.0
    return high


def test_the_ceiling_doubles_until_it_is_reached() -> None:
    backoff = Backoff(longest, first=0.5, ceiling=10.0)
    assert [backoff.next() for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_after_a_success_it_begins_again() -> None:
    backoff = Backoff(longest, first=0.5, ceiling=10.0)
    assert [backoff.next(), backoff.next()] == [0.5, 1.0]
    backoff.reset()
    assert [backoff.next(), backoff.next()] == [0.5, 1.0]


def test_a_ceiling_under_the_first_delay_holds_at_once() -> None:
    assert Backoff(longest, first=5.0, ceiling=1.0).next() == 1.0


def test_ten_thousand_failures_are_still_a_number() -> None:
    backoff = Backoff(longest, first=0.1, ceiling=30.0)
    assert {backoff.next() for _ in range(10_000)} >= {0.1, 30.0}
    assert backoff.next() == 30.0


def test_what_chance_says_is_what_is_waited() -> None:
    assert Backoff(lambda low, high: low + high / 4, first=2.0, ceiling=10.0).next() == 0.5


@pytest.mark.parametrize("attempts", [1, 3, 8])
def test_a_crowd_spreads_over_the_whole_ceiling(attempts: int) -> None:
    chance = random.Random(7)
    crowd = [Backoff(chance.uniform, first=1.0, ceiling=60.0) for _ in range(2000)]
    for _ in range(attempts):
        delays = [backoff.next() for backoff in crowd]
    top = min(60.0, 2.0 ** (attempts - 1))
    tenths = [int(10 * delay / top) for delay in delays]
    assert all(100 < tenths.count(tenth) < 300 for tenth in range(10))


@given(st.floats(0.001, 10), st.floats(0.001, 100), st.integers(1, 50))
def test_no_delay_is_negative_or_over_the_ceiling(first: float, ceiling: float, attempts: int) -> None:
    backoff = Backoff(random.Random(attempts).uniform, first=first, ceiling=ceiling)
    assert all(0 <= backoff.next() <= ceiling for _ in range(attempts))
