"""Full-jitter delays between attempts: uniform between zero and a ceiling that doubles.

A crowd that lost its server at the same moment spreads over the whole ceiling instead of returning in step.
"""

from collections.abc import Callable


class Backoff:
    """`uniform` is `random.uniform`, passed in because a pure module has no chance of its own."""

    def __init__(self, uniform: Callable[[float, float], float], *, first: float, ceiling: float) -> None:
        self._uniform = uniform
        self._first = first
        self._ceiling = ceiling
        self._attempt = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        top = min(self._ceiling, self._first * 2 ** min(self._attempt, 32))
        self._attempt += 1
        return self._uniform(0.0, top)

    def reset(self) -> None:
        """The attempt succeeded."""
        self._attempt = 0
