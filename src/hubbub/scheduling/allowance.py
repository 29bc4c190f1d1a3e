"""How many messages, and how many bytes of them, go through in a time: a token bucket of two kinds.

Who has something left may go through, whatever it turns out to cost: what it costs is often known only when the work
is done. What went beyond the allowance is owed, and nothing goes through until that is paid. So no more than one piece
goes beyond, and none is too large to go through at all.
"""

from itertools import islice
from typing import Protocol, TypeVar


class Allowance:
    """`messages` and `size` (bytes) a second in the long run; `burst` and `burst_size` at once."""

    __slots__ = ("_at", "_burst", "_burst_size", "_messages", "_messages_left", "_size", "_size_left")

    def __init__(self, messages: float, size: float, burst: float, burst_size: float, now: float) -> None:
        self._messages = messages
        self._size = size
        self._burst = self._messages_left = float(burst)
        self._burst_size = self._size_left = float(burst_size)
        self._at = now

    def wait(self, now: float) -> float:
        """0.0, or the seconds until something may go through."""
        self._regain(now)
        messages, size = 1.0 - self._messages_left, 1.0 - self._size_left
        if messages <= 0.0 and size <= 0.0:
            return 0.0
        return max(messages / self._messages, size / self._size)

    def take(self, messages: float, size: float) -> None:
        """It went through, and this is what it cost."""
        self._messages_left -= messages
        self._size_left -= size

    def spend(self, now: float, size: int) -> float:
        """One message goes through: 0.0, or the seconds until it may."""
        # As `wait` and `take`, in one call: this is asked for with every message to a room.
        passed = now - self._at
        self._at = now
        messages = self._messages_left + passed * self._messages
        left = self._size_left + passed * self._size
        if messages > self._burst:
            messages = self._burst
        if left > self._burst_size:
            left = self._burst_size
        self._messages_left, self._size_left = messages, left
        if messages >= 1.0 and left >= 1.0:
            self._messages_left = messages - 1.0
            self._size_left = left - size
            return 0.0
        return max((1.0 - messages) / self._messages, (1.0 - left) / self._size)

    def left(self, now: float) -> float:
        """Messages that may go through at once."""
        return 0.0 if self.wait(now) else self._messages_left

    def full(self, now: float) -> bool:
        """Whether all that went through is forgotten: one that is made anew would be the same."""
        self._regain(now)
        return self._messages_left >= self._burst and self._size_left >= self._burst_size

    def _regain(self, now: float) -> None:
        passed, self._at = now - self._at, now
        self._messages_left = min(self._burst, self._messages_left + passed * self._messages)
        self._size_left = min(self._burst_size, self._size_left + passed * self._size)


class Regaining(Protocol):
    def full(self, now: float) -> bool: ...


K = TypeVar("K")
V = TypeVar("V", bound=Regaining)


def forget_some(entries: dict[K, V], now: float) -> None:
    """Those that have all they may have again: two are looked at for each that is new, so that none stays for ever."""
    for key in tuple(islice(entries, 2)):
        entry = entries.pop(key)
        if not entry.full(now):
            entries[key] = entry
