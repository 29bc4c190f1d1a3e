"""How much one connection may ask for."""

from hubbub.options import Rate
from hubbub.scheduling.token_bucket import TokenBucket

# Who comes back joins all its rooms at once, `@me` among them, and once more those in which it is told of a gap.
_ROOMS_TWICE = 2


class Throttle(TokenBucket):
    """One connection's allowances: of messages, by `spend`, of rooms to join, and of refusals before it is closed."""

    __slots__ = ("_borne", "_joins", "_refusals")

    def __init__(self, rate: Rate, now: float) -> None:
        super().__init__(rate.messages, rate.burst, now)
        self._borne = rate.refusals
        # Both are full until the first of their kind, so they need not be there before.
        self._joins: TokenBucket | None = None
        self._refusals: TokenBucket | None = None

    def join(self, now: float, rooms: int) -> float:
        """As `spend`, for one room of a `join_room`, where a connection may be in so many.

        Apart from the messages: who joins all it may be in has as many left to say as anybody.
        """
        if self._joins is None:
            self._joins = TokenBucket(self._rate, max(self._burst, _ROOMS_TWICE * rooms), now)
        return self._joins.spend(now)

    def refused(self, now: float) -> bool:
        """Whether one more refusal is borne."""
        if self._refusals is None:
            self._refusals = TokenBucket(1.0, self._borne, now)
        return self._refusals.spend(now) == 0.0
