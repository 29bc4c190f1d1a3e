"""Deadlines of very many things, each with at most one: a wheel of buckets.

Adding and removing cost the same however many there are, and one alarm serves all of them; a timer per connection
would be an object and a heap entry in the event loop each. A deadline is met up to one `resolution` late, never early.
"""

import heapq
import math
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class TimerWheel(Generic[K]):
    def __init__(self, resolution: float) -> None:
        self._resolution = resolution
        self._buckets: dict[int, dict[K, None]] = {}
        self._order: list[int] = []
        self._bucket_of: dict[K, int] = {}

    def __len__(self) -> int:
        return len(self._bucket_of)

    @property
    def buckets(self) -> int:
        """How many there are, empty ones too."""
        return len(self._buckets)

    def set(self, key: K, due: float) -> None:
        """The deadline of `key`, instead of the one it had."""
        number = math.ceil(due / self._resolution)
        if number * self._resolution < due:  # the division was rounded down
            number += 1
        if self._bucket_of.get(key) == number:
            return
        self.remove(key)
        self._bucket_of[key] = number
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
            heapq.heappush(self._order, number)
        bucket[key] = None

    def remove(self, key: K) -> None:
        number = self._bucket_of.pop(key, None)
        if number is not None:
            # An emptied bucket stays until its time comes: taking it out of the heap would cost a scan.
            del self._buckets[number][key]

    def due(self) -> float | None:
        """When `expired` may next have something, None where nothing is set."""
        return self._order[0] * self._resolution if self._bucket_of else None

    def expired(self, now: float) -> list[K]:
        """The keys whose deadline has come; they have none any more."""
        keys: list[K] = []
        while self._order and self._order[0] * self._resolution <= now:
            bucket = self._buckets.pop(heapq.heappop(self._order))
            for key in bucket:
                del self._bucket_of[key]
            keys.extend(bucket)
        return keys
