"""What clients may have handed to them by joining: messages that were missed, and lists of members.

A join of a few bytes is answered by as much as half an outbox, and its members are told of who came: who joins the same
room again and again, or goes in and out, has others work for it. So each connection has an allowance, and each user one
for all tabs. It lets a client come back to all the rooms it may be in at once, each with all that one join is handed.
What a join costs is known when it is answered, so who has used up its allowance is refused before anything is asked.
"""

import logging
import math
from typing import NamedTuple

from hubbub.delivery.fanout import Recipient
from hubbub.errors import RateLimited
from hubbub.options import Limits
from hubbub.ports.clock import Clock
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics
from hubbub.scheduling.allowance import Allowance, forget_some
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.types import UserId

#: Messages as which a join counts, and a room in which something else is shown: others are told of either.
EACH = 25
#: Connections of a user that may come back at once, with all they may be handed.
TABS = 8

_log = logging.getLogger("hubbub.rates")


class Cost(NamedTuple):
    """What was handed over. `size`: bytes."""

    messages: int = 0
    size: int = 0


NOTHING = Cost()


class Handing:
    """`limited`: False in development, where nothing is refused."""

    def __init__(self, limits: Limits, clock: Clock, metrics: Metrics, *, limited: bool) -> None:
        self._limits = limits
        self._clock = clock
        self._metrics = metrics
        self._limited = limited
        self._members: dict[Recipient, Allowance] = {}
        self._users: dict[UserId, Allowance] = {}
        self._told = LimitedLog(_log, clock)

    def __len__(self) -> int:
        """Connections of which something is remembered."""
        return len(self._members)

    @property
    def users(self) -> int:
        """Users of whom something is remembered."""
        return len(self._users)

    def check(self, member: Recipient, *, rooms: int = 1) -> None:
        """It asks for so many rooms. Raises RateLimited where its allowance, or its user's, is used up."""
        if not self._limited:
            return
        now = self._clock.now()
        mine, users = self._of(member, now)
        if wait := max(mine.wait(now), users.wait(now)):
            self._metrics.count(Count.JOINS_LIMITED)
            self._told.tell(
                "clients had too much handed to them by joins",
                "connection %s of user %r joins more than Limits.replay_rate and Limits.replay_bytes allow",
                member.id,
                member.user.id,
                extra=fields(Event.JOINS_LIMITED, connection=member.id, user=member.user.id),
            )
            raise RateLimited("too much was handed over by joins", retry_after=math.ceil(wait * 1000))
        for each in (mine, users):
            each.take(rooms * EACH, 0)

    def handed(self, member: Recipient, cost: Cost) -> None:
        """So much it was answered. Nothing is noted of one that has gone meanwhile."""
        if member in self._members:
            for each in self._of(member, self._clock.now()):
                each.take(*cost)

    def gone(self, member: Recipient) -> None:
        """The connection is no more. What its user has used up is remembered until it is regained."""
        self._members.pop(member, None)

    def stop(self) -> None:
        self._told.stop()

    def _of(self, member: Recipient, now: float) -> tuple[Allowance, Allowance]:
        mine = self._members.get(member)
        if mine is None:
            mine = self._members[member] = self._allowance(1, now)
        users = self._users.get(member.user.id)
        if users is None:
            forget_some(self._users, now)
            users = self._users[member.user.id] = self._allowance(TABS, now)
        return mine, users

    def _allowance(self, tabs: int, now: float) -> Allowance:
        limits, rooms = self._limits, self._limits.rooms + 1  # `@me`
        return Allowance(
            limits.replay_rate * tabs,
            limits.replay_bytes * tabs,
            rooms * (limits.replay + EACH) * tabs,
            rooms * limits.outbox // 2 * tabs,
            now,
        )
