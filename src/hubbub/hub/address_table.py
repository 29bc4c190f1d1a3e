"""What the clients of each address have of this worker now, and whether they may have more.

Whoever has a network of IPv6 has more addresses than there is memory. An address with a connection is one of those that
a worker takes anyway; of the others as many are remembered as the options say, and none longer than its allowances
take to be whole again.
"""

from typing import NamedTuple

from hubbub.options import Addresses
from hubbub.scheduling.token_bucket import TokenBucket

#: Of failures are regained so many for each handshake.
FAILURES_REGAINED = 0.1
# Who has as many as it may must wait for one of them to end, and nobody knows when that is.
_UNTIL_ONE_ENDS = 5.0


class TooMuch(NamedTuple):
    """`retry_after`: seconds until it can be tried again."""

    why: str
    retry_after: float


class _Entry:
    __slots__ = ("connections", "failures", "handshakes", "heard", "none_before", "unauthenticated")

    def __init__(self, handshakes: TokenBucket, now: float) -> None:
        self.handshakes = handshakes
        self.none_before = now
        """When there will be one more."""
        self.connections = 0
        self.unauthenticated = 0
        self.failures = 0.0
        """Not regained at `heard`."""
        self.heard = now


class AddressTable:
    """Addresses are keys; what cannot be had is said, and what is had is counted."""

    def __init__(self, options: Addresses) -> None:
        self._options = options
        self._regained = options.handshakes * FAILURES_REGAINED
        self._whole_after = max(options.burst / options.handshakes, options.failures / self._regained)
        self._busy: dict[bytes, _Entry] = {}
        """With a connection."""
        self._idle: dict[bytes, _Entry] = {}
        """Without, and heard in this order."""

    def __len__(self) -> int:
        return len(self._busy) + len(self._idle)

    @property
    def connections(self) -> int:
        return sum(entry.connections for entry in self._busy.values())

    def enter(self, key: bytes, now: float) -> TooMuch | None:
        """One more handshake. Where it may go on, None, it is a connection until `leave`."""
        entry = self._heard(key, now)
        if entry.failures > self._options.failures - 1:
            return TooMuch("too many failures", (entry.failures - self._options.failures + 1) / self._regained)
        wait = entry.handshakes.spend(now)
        if wait:
            entry.none_before = now + wait
            return TooMuch("too many handshakes", wait)
        if entry.connections >= self._options.connections:
            return TooMuch("too many connections", _UNTIL_ONE_ENDS)
        if not entry.connections:
            self._busy[key] = self._idle.pop(key)
        entry.connections += 1
        return None

    def leave(self, key: bytes, now: float) -> None:
        """One connection less."""
        entry = self._busy[key]
        entry.connections -= 1
        if not entry.connections:
            self._regain(entry, now)
            self._idle[key] = self._busy.pop(key)
            self._forget(now)

    def wait(self, key: bytes) -> TooMuch | None:
        """One of its connections is to wait for its first message. Where it may, None, it does until `waited`."""
        entry = self._busy[key]
        if entry.unauthenticated >= self._options.unauthenticated:
            return TooMuch("too many connections wait to authenticate", _UNTIL_ONE_ENDS)
        entry.unauthenticated += 1
        return None

    def waited(self, key: bytes) -> None:
        self._busy[key].unauthenticated -= 1

    def failed(self, key: bytes, now: float) -> None:
        """Something came to nothing."""
        entry = self._heard(key, now)
        entry.failures = min(entry.failures + 1, self._options.failures)

    def refuses(self, key: bytes, now: float) -> TooMuch | None:
        """Whether `enter` is known to say no, without asking for anything."""
        entry = self._busy.get(key) or self._idle.get(key)
        if entry is None:
            return None
        if now < entry.none_before:
            return TooMuch("too many handshakes", entry.none_before - now)
        if entry.connections >= self._options.connections:
            return TooMuch("too many connections", _UNTIL_ONE_ENDS)
        return self.barred(key, now)

    def barred(self, key: bytes, now: float) -> TooMuch | None:
        """Whether too much came to nothing for anything to be looked at."""
        entry = self._busy.get(key) or self._idle.get(key)
        if entry is None:
            return None
        # It is only looked at: what was heard last is last in its order.
        over = entry.failures - (now - entry.heard) * self._regained - self._options.failures + 1
        return TooMuch("too many failures", over / self._regained) if over > 0 else None

    def _heard(self, key: bytes, now: float) -> _Entry:
        entry = self._busy.get(key)
        if entry is not None:
            self._regain(entry, now)
            return entry
        entry = self._idle.pop(key, None)
        if entry is None:
            entry = _Entry(TokenBucket(self._options.handshakes, self._options.burst, now), now)
        else:
            self._regain(entry, now)
        self._idle[key] = entry
        self._forget(now)
        return entry

    def _regain(self, entry: _Entry, now: float) -> None:
        entry.failures = max(0.0, entry.failures - (now - entry.heard) * self._regained)
        entry.heard = now

    def _forget(self, now: float) -> None:
        """The idle ones heard longest ago: those beyond the bound, and of the others those that are whole again."""
        while True:  # the one that was heard just now stays
            key, entry = next(iter(self._idle.items()))
            if len(self._idle) <= self._options.known and now - entry.heard < self._whole_after:
                return
            del self._idle[key]
