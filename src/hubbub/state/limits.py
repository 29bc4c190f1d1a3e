"""How much one connection may ask for: token buckets, with `now` as an argument."""

from hubbub.options import Rate


class Bucket:
    """`burst` tokens at first, `rate` more a second, never more than `burst`."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> float:
        """Take a token: 0.0, or where there is none the seconds until there will be."""
        tokens = self._tokens + (now - self._at) * self._rate
        if tokens > self._burst:
            tokens = self._burst
        self._at = now
        if tokens >= 1:
            self._tokens = tokens - 1
            return 0.0
        self._tokens = tokens
        return (1 - tokens) / self._rate


class Throttle:
    """One connection's allowance: messages by one bucket, and refused ones by another before patience ends."""

    __slots__ = ("_messages", "_refusals")

    def __init__(self, rate: Rate, now: float) -> None:
        self._messages = Bucket(rate.messages, rate.burst, now)
        self._refusals = Bucket(1.0, rate.refusals, now)

    def message(self, now: float) -> float:
        """0.0, or the seconds until a message would be allowed."""
        return self._messages.take(now)

    def refused(self, now: float) -> bool:
        """Whether one more refusal is borne."""
        return self._refusals.take(now) == 0.0
