"""How much one connection may ask for, and all connections of one user on this worker together."""

from hubbub.options import Limits, Rate
from hubbub.scheduling.token_bucket import TokenBucket
from hubbub.types import UserId

# Who comes back joins all its rooms at once, `@me` among them, and once more those in which it is told of a gap.
_ROOMS_TWICE = 2
#: Users that are remembered before anybody looks who need not be.
_FEW = 256


class Allowance:
    """Of messages, bytes, and refusals before the end: of one connection, or `times` as much.

    Each is full until the first of its kind, so it need not be there before.
    """

    __slots__ = ("_bytes", "_limits", "_rate", "_refusals", "_times", "messages")

    def __init__(self, rate: Rate, limits: Limits, times: float = 1.0) -> None:
        self._rate = rate
        self._limits = limits
        self._times = times
        self.messages: TokenBucket | None = None
        self._bytes: TokenBucket | None = None
        self._refusals: TokenBucket | None = None

    def begin(self, now: float) -> TokenBucket:
        """The first message has come: `messages`, from now on."""
        rate, times = self._rate, self._times
        self.messages = TokenBucket(rate.messages * times, rate.burst * times, now)
        return self.messages

    def weigh(self, now: float, size: int) -> float:
        """So many bytes have come: 0.0, or the seconds for which there may be no more."""
        if self._bytes is None:
            rate, times = self._rate, self._times
            # At least the largest message: whoever allows more has said that it may come at once.
            burst = max(rate.bytes_burst, self._limits.message)
            self._bytes = TokenBucket(rate.bytes * times, burst * times, now)
        return self._bytes.owe(now, size)

    def refused(self, now: float) -> bool:
        """Whether one more refusal is borne."""
        if self._refusals is None:
            self._refusals = TokenBucket(self._times, self._rate.refusals * self._times, now)
        return self._refusals.spend(now) == 0.0

    def give_back(self, *, refused: bool) -> None:
        """What was spent last as a message, or borne as a refusal, was neither."""
        bucket = self._refusals if refused else self.messages
        if bucket is not None:
            bucket.give_back()

    def is_full(self, now: float) -> bool:
        """Whether nothing of it is used."""
        return all(each is None or each.is_full(now) for each in (self.messages, self._bytes, self._refusals))


class _Shared(Allowance):
    """Of a user. `tabs`: the connections that spend it."""

    __slots__ = ("tabs",)

    def __init__(self, rate: Rate, limits: Limits) -> None:
        super().__init__(rate, limits, rate.tabs)
        self.tabs = 0


class UserAllowances:
    """What the users of this worker have left. One whose last tab has gone finds it as it was, until it is full."""

    def __init__(self, rate: Rate, limits: Limits) -> None:
        self.rate = rate
        self.limits = limits
        self._users: dict[UserId, _Shared] = {}
        self._many = _FEW

    def __len__(self) -> int:
        """Users that are there."""
        return sum(each.tabs > 0 for each in self._users.values())

    @property
    def remembered(self) -> int:
        """Users that are there, or were and have not got all back."""
        return len(self._users)

    def enter(self, user: UserId, now: float) -> Allowance:
        """One more connection of the user's."""
        if len(self._users) >= self._many:
            self._forget(now)
        shared = self._users.get(user)
        if shared is None:
            shared = self._users[user] = _Shared(self.rate, self.limits)
        shared.tabs += 1
        return shared

    def leave(self, user: UserId, now: float) -> None:
        """As many times as `enter`."""
        shared = self._users[user]
        shared.tabs -= 1
        if not shared.tabs and shared.is_full(now):
            del self._users[user]

    def _forget(self, now: float) -> None:
        self._users = {user: each for user, each in self._users.items() if each.tabs or not each.is_full(now)}
        # Half of them have come since the last time, or more: so each is looked at twice, however many there are.
        self._many = max(_FEW, 2 * len(self._users))


class Throttle(Allowance):
    """One connection's, which spends its user's as well as soon as that is known; and its joins, which are its own."""

    __slots__ = ("_joins", "_user", "_users", "_whose")

    def __init__(self, users: UserAllowances) -> None:
        super().__init__(users.rate, users.limits)
        self._users = users
        self._user: UserId | None = None
        self._whose: Allowance | None = None
        self._joins: TokenBucket | None = None

    def belongs_to(self, user: UserId, now: float) -> None:
        """Whose connection it is; said again it changes nothing."""
        if self._user is None:
            self._user = user
            self._whose = self._users.enter(user, now)

    def gone(self, now: float) -> None:
        """The connection has ended."""
        user, self._user, self._whose = self._user, None, None
        if user is not None:
            self._users.leave(user, now)

    def spend(self, now: float) -> float:
        """A message: 0.0, or the seconds until there may be one."""
        own = self.messages or self.begin(now)
        wait = own.spend(now)
        whose = self._whose
        if wait or whose is None:
            return wait
        wait = (whose.messages or whose.begin(now)).spend(now)
        if wait:
            own.give_back()  # nothing was let through that it would have paid for
        return wait

    def weigh(self, now: float, size: int) -> float:
        wait = super().weigh(now, size)
        return wait if self._whose is None else max(wait, self._whose.weigh(now, size))

    def refused(self, now: float) -> bool:
        return super().refused(now) and (self._whose is None or self._whose.refused(now))

    def give_back(self, *, refused: bool) -> None:
        super().give_back(refused=refused)
        if self._whose is not None:
            self._whose.give_back(refused=refused)

    def join(self, now: float) -> float:
        """As `spend`, for one room of a `join_room`, where a connection may be in so many.

        Apart from the messages: who joins all it may be in has as many left to say as anybody.
        """
        if self._joins is None:
            burst = max(self._rate.burst, _ROOMS_TWICE * self._limits.rooms)
            self._joins = TokenBucket(self._rate.messages, burst, now)
        return self._joins.spend(now)
