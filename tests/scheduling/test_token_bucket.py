import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.scheduling.token_bucket import TokenBucket

rates = st.floats(0.01, 1000)
steps = st.lists(st.floats(0, 10), max_size=50)


def test_a_burst_is_free_and_then_one_waits() -> None:
    bucket = TokenBucket(rate=2, burst=3, now=100.0)
    assert [bucket.spend(100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_the_wait_is_how_long_it_takes() -> None:
    bucket = TokenBucket(rate=2, burst=1, now=0.0)
    assert bucket.spend(0.0) == 0.0
    assert bucket.spend(0.25) == 0.25
    assert bucket.spend(0.5) == 0.0


def test_a_refused_take_costs_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1, now=0.0)
    bucket.spend(0.0)
    assert [bucket.spend(0.5) for _ in range(9)] == [0.5] * 9
    assert bucket.spend(1.0) == 0.0


def test_patience_saves_up_no_more_than_a_burst() -> None:
    bucket = TokenBucket(rate=10, burst=2, now=0.0)
    assert [bucket.spend(1_000.0) for _ in range(3)] == [0.0, 0.0, 0.1]


def test_tokens_come_back_in_fractions() -> None:
    bucket = TokenBucket(rate=0.5, burst=1, now=0.0)
    bucket.spend(0.0)
    assert [bucket.spend(now) for now in (0.5, 1.0, 1.5)] == [1.5, 1.0, 0.5]
    assert bucket.spend(2.0) == 0.0


@given(rates, st.integers(1, 20), steps)
def test_never_more_than_the_burst_and_what_the_rate_gives(rate: float, burst: int, gaps: list[float]) -> None:
    bucket = TokenBucket(rate, burst, 0.0)
    now, taken = 0.0, 0
    for gap in gaps:
        now += gap
        for _ in range(burst + 1):
            taken += bucket.spend(now) == 0.0
        assert taken <= burst + now * rate + 1e-6


@given(rates, st.integers(1, 20), st.floats(0, 1e6), steps)
def test_who_waits_as_told_is_served(rate: float, burst: int, start: float, gaps: list[float]) -> None:
    bucket = TokenBucket(rate, burst, start)
    now = start
    for gap in gaps:
        now += gap
        if wait := bucket.spend(now):
            assert 0 < wait <= 1 / rate * (1 + 1e-9)
            now += wait
            # What a clock of 64 bits cannot tell apart may be missing, never more.
            assert bucket.spend(now) <= 4 * math.ulp(now) + 1e-9 / rate


@pytest.mark.parametrize("burst", [1, 200])
def test_a_full_bucket_has_exactly_its_burst(burst: int) -> None:
    bucket = TokenBucket(rate=1, burst=burst, now=5.0)
    assert sum(bucket.spend(5.0) == 0.0 for _ in range(burst + 10)) == burst
