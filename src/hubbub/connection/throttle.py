"""How much one connection may ask for."""

from hubbub.options import Rate
from hubbub.scheduling.token_bucket import TokenBucket


class Throttle(TokenBucket):
    """One connection's allowance: of messages, by `spend`, and of refused ones before it is closed."""

    __slots__ = ("_borne", "_refusals")

    def __init__(self, rate: Rate, now: float) -> None:
        super().__init__(rate.messages, rate.burst, now)
        self._borne = rate.refusals
        self._refusals: TokenBucket | None = None
        """Full until the first refusal, so it need not be there before."""

    def refused(self, now: float) -> bool:
        """Whether one more refusal is borne."""
        if self._refusals is None:
            self._refusals = TokenBucket(1.0, self._borne, now)
        return self._refusals.spend(now) == 0.0
