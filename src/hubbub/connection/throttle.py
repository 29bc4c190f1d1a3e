"""How much one connection may ask for."""

from hubbub.options import Rate
from hubbub.scheduling.token_bucket import TokenBucket


class Throttle:
    """One connection's allowance: messages by one bucket, and refused ones by another before patience ends."""

    __slots__ = ("_messages", "_refusals")

    def __init__(self, rate: Rate, now: float) -> None:
        self._messages = TokenBucket(rate.messages, rate.burst, now)
        self._refusals = TokenBucket(1.0, rate.refusals, now)

    def message(self, now: float) -> float:
        """0.0, or the seconds until a message would be allowed."""
        return self._messages.spend(now)

    def refused(self, now: float) -> bool:
        """Whether one more refusal is borne."""
        return self._refusals.spend(now) == 0.0
