"""How much one connection may ask for."""

from hubbub.options import Rate
from hubbub.scheduling.token_bucket import TokenBucket


class Throttle:
    """One connection's allowance: of messages, and of refused ones before it is closed."""

    __slots__ = ("_borne", "_refusals", "messages")

    def __init__(self, rate: Rate, now: float) -> None:
        self.messages = TokenBucket(rate.messages, rate.burst, now)
        self._borne = rate.refusals
        self._refusals: TokenBucket | None = None
        """Full until the first refusal, so it need not be there before."""

    def refused(self, now: float) -> bool:
        """Whether one more refusal is borne."""
        if self._refusals is None:
            self._refusals = TokenBucket(1.0, self._borne, now)
        return self._refusals.spend(now) == 0.0
