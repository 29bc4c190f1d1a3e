import math

from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.loadtest.histogram import Histogram

TIMES = st.lists(st.integers(0, 2**62), min_size=1, max_size=300)


def exact(values: list[int], percent: float) -> int:
    return sorted(values)[max(1, math.ceil(percent / 100 * len(values))) - 1]


def of(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add([value + 7], since=7)
    return histogram


@given(TIMES, st.sampled_from([0, 50, 90, 99, 99.9, 100]))
@example([0], 50)
@example([127, 128, 255, 256, 257, 511, 512], 50)
@example([2**62], 100)
def test_any_percentile_is_within_one_percent(values: list[int], percent: float) -> None:
    right = exact(values, percent)
    assert abs(of(values).percentile(percent) - right) <= 0.01 * right


@given(st.lists(st.integers(0, 255), min_size=1))
def test_what_is_small_is_exact(values: list[int]) -> None:
    assert all(of(values).percentile(percent) == exact(values, percent) for percent in (1, 50, 99))


@given(TIMES)
def test_extremes_mean_and_number_are_exact(values: list[int]) -> None:
    histogram = of(values)
    assert (histogram.smallest, histogram.largest) == (min(values), max(values))
    assert (histogram.count, histogram.total) == (len(values), sum(values))
    assert histogram.mean == sum(values) / len(values)


@given(st.lists(st.integers(10, 10**9), min_size=1), st.integers(1, 9))
def test_times_counted_together_count_as_those_counted_alone(times: list[int], weight: int) -> None:
    together, alone = Histogram(), Histogram()
    together.add(sorted(times), since=10, weight=weight)
    for time in times:
        for _ in range(weight):
            alone.add([time], since=10)
    assert (together.count, together.total) == (alone.count, alone.total)
    assert (together.smallest, together.largest) == (alone.smallest, alone.largest)
    assert [together.percentile(each) for each in range(0, 101, 5)] == [
        alone.percentile(each) for each in range(0, 101, 5)
    ]


def test_of_nothing_there_is_no_percentile() -> None:
    empty = Histogram()
    empty.add([], since=0)
    assert math.isnan(empty.percentile(50))
    assert math.isnan(empty.mean)
    assert (empty.count, empty.largest, empty.smallest) == (0, 0, None)
