"""An allowance: so much at once, so much in the long run, with `now` as an argument."""


class TokenBucket:
    """`burst` tokens at first, `rate` more a second, never more than `burst`."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        # Floats, as what they are reckoned with: the interpreter has a shorter way for two of a kind.
        self._rate = float(rate)
        self._burst = self._tokens = float(burst)
        self._at = now

    def spend(self, now: float) -> float:
        """A token: 0.0, or where there is none the seconds until there will be."""
        tokens = self._tokens + (now - self._at) * self._rate
        if tokens > self._burst:
            tokens = self._burst
        self._at = now
        if tokens >= 1.0:
            self._tokens = tokens - 1.0
            return 0.0
        self._tokens = tokens
        return (1 - tokens) / self._rate

    def owe(self, now: float, tokens: float) -> float:
        """So many tokens, also where they are not there: 0.0, or the seconds until they will have come.

        Nobody owes more than `burst`.
        """
        left = max(-self._burst, min(self._burst, self._tokens + (now - self._at) * self._rate) - tokens)
        self._tokens = left
        self._at = now
        return 0.0 if left >= 0 else -left / self._rate

    def give_back(self) -> None:
        """A token that was spent."""
        self._tokens += 1.0

    def is_full(self, now: float) -> bool:
        """Whether it is as a new one would be."""
        return self._tokens + (now - self._at) * self._rate >= self._burst
