"""Time as the hub sees it, so that a test can move it."""

from collections.abc import Callable
from typing import Protocol


class Alarm(Protocol):
    def cancel(self) -> None:
        """Do not ring."""


class Clock(Protocol):
    def now(self) -> float:
        """Seconds on a clock that never jumps; the zero is arbitrary."""

    def wall(self) -> float:
        """Unix time in seconds; may jump."""

    def call_at(self, when: float, ring: Callable[[], None]) -> Alarm:
        """Call `ring` in the event loop once `now()` has reached `when`, with nobody's context variables."""
