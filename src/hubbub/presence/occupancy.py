"""This node's first in and last out, per topic and member.

The broker holds the truth about presence and is told only when a member's first connection on this node comes and
when the last one goes; this counter knows when that is.
"""

from collections import Counter
from collections.abc import Iterator


class Occupancy:
    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def enter(self, key: tuple[str, str]) -> bool:
        """`key`: the topic and the member. True for the first."""
        self._counts[key] += 1
        return self._counts[key] == 1

    def leave(self, key: tuple[str, str]) -> bool:
        """True for the last. Raises ValueError for one too many."""
        count = self._counts.get(key, 0)
        if count == 0:
            raise ValueError("left more often than entered")
        if count > 1:
            self._counts[key] = count - 1
            return False
        del self._counts[key]
        return True

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._counts

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)
