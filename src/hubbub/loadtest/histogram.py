"""Latencies counted in logarithmic buckets, as HdrHistogram does: any percentile within 1 %, in constant memory.

A value lies in a bucket at most 1/128 of it wide. Keeping every value lost: a minute at a million deliveries a second
does not fit into memory. Sampling lost: p99.9 of a sample is an estimate.
"""

import math
from collections.abc import Sequence

_BITS = 7
_LONGEST = 64  # bits of a value: 2^63 ns are 292 years


class Histogram:
    """Of non-negative integers; here nanoseconds."""

    __slots__ = ("_counts", "count", "largest", "smallest", "total")

    def __init__(self) -> None:
        self._counts = [0] * ((_LONGEST - _BITS + 1) << _BITS)
        self.count = 0
        self.total = 0
        self.smallest: int | None = None
        self.largest = 0

    def add(self, times: Sequence[int], since: int, weight: int = 1) -> None:
        """Counts `time - since` for each of the ascending `times`, `weight` times each."""
        counts = self._counts
        for time in times:
            value = time - since
            shift = value.bit_length() - 8  # _BITS + 1, spelt out in the loop that runs for every read
            counts[(shift << 7) + (value >> shift) if shift > 0 else value] += weight
        number = len(times)
        if number:
            self.count += weight * number
            self.total += weight * (sum(times) - number * since)
            first = times[0] - since
            self.smallest = first if self.smallest is None else min(first, self.smallest)
            self.largest = max(self.largest, times[-1] - since)

    @property
    def buckets(self) -> list[int]:
        """How many lie in each, as it is now."""
        return list(self._counts)

    def percentile(self, percent: float) -> float:
        """The value that `percent` of the counted are not above (nearest rank), within 1 %; NaN where none was."""
        if not self.count or self.smallest is None:
            return math.nan
        rank = max(1, math.ceil(percent / 100 * self.count))
        below = 0
        for index, number in enumerate(self._counts):
            below += number
            if below >= rank:
                return min(max(_middle(index), self.smallest), self.largest)
        raise AssertionError("the buckets hold fewer than were counted")

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else math.nan


def _middle(index: int) -> float:
    shift = (index >> _BITS) - 1
    if shift <= 0:
        return index
    lowest = (index - (shift << _BITS)) << shift
    return lowest + ((1 << shift) - 1) / 2
