"""A connection's way in and out: everything it takes is taken step by step, and given back in the opposite order, once.

Registered with its user's and everyone's topic heard and its user online: that is a connection that was let in. It may
end at any point of the way, while something is being waited for; then what comes of that is given back at once.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from hubbub.delivery.fanout import Recipient
from hubbub.delivery.registry import Registry
from hubbub.errors import ConnectionClosed
from hubbub.history.positions import Positions
from hubbub.options import Keep
from hubbub.presence.tracker import PresenceTracker
from hubbub.rooms.membership import Membership
from hubbub.rooms.retention import Retention
from hubbub.rooms.room import Room
from hubbub.rooms.subscriptions import Subscriptions
from hubbub.types import EVERYONE, ONLINE, Topic, UserId, user_topic

#: What takes, what gives back, and what.
_Step: TypeAlias = tuple[Callable[..., Awaitable[None]], Callable[..., None], tuple[Any, ...]]


class Admitted(Recipient, Protocol):
    rooms: Mapping[str, Room]
    """The rooms it is in."""


def _nothing(*_: Any) -> None:
    """What was only looked at need not be given back."""


class Admissions:
    """What every connection of a worker takes on its way in. `inbox`: what is kept for a user."""

    def __init__(
        self,
        registry: Registry[Recipient],
        subscriptions: Subscriptions,
        presence: PresenceTracker,
        positions: Positions,
        membership: Membership,
        retention: Retention,
        *,
        inbox: Keep,
    ) -> None:
        self.registry = registry
        self.membership = membership
        self._subscriptions = subscriptions
        self._presence = presence
        self._positions = positions
        self._retention = retention
        self._inbox = inbox

    def steps(self, member: Recipient, user: UserId) -> tuple[_Step, ...]:
        """In their order."""
        # Worked out when asked: a list of callbacks would be a kilobyte of every idle connection.
        subscriptions, presence, topic = self._subscriptions, self._presence, user_topic(user)
        return (
            (subscriptions.acquire, subscriptions.release, (topic,)),
            # Also where nothing is kept: that may change, and what was taken is known by how many steps it was.
            (self._stand, _nothing, (topic,)),
            (subscriptions.acquire, subscriptions.release, (EVERYONE,)),
            (presence.enter, presence.leave, (topic, member.id)),
            (presence.enter, presence.linger, (ONLINE, user)),
        )

    async def _stand(self, topic: Topic) -> None:
        inbox = self._retention.kept(topic, self._inbox)
        if inbox:
            await self._positions.join(topic, inbox)


class Admission:
    """One connection's. `admit` once, `withdraw` once or more often."""

    __slots__ = ("_admissions", "_over", "_taken", "_user")

    def __init__(self, admissions: Admissions) -> None:
        self._admissions = admissions
        self._user: UserId | None = None
        self._taken = 0
        self._over = False

    async def admit(self, member: Admitted) -> None:
        """Raises ConnectionClosed where `withdraw` was called meanwhile, Unavailable where the broker is away."""
        if self._over:
            raise ConnectionClosed(member.id)
        user = member.user.id
        member.rooms = self._admissions.registry.add(member, user)
        self._user = user
        for take, give_back, what in self._admissions.steps(member, user):
            await take(*what)
            if self._over:
                give_back(*what)
                raise ConnectionClosed(member.id)
            self._taken += 1

    def withdraw(self, member: Recipient) -> None:
        user, self._user = self._user, None
        self._over = True
        if user is None:
            return
        for _, give_back, what in reversed(self._admissions.steps(member, user)[: self._taken]):
            give_back(*what)
        self._admissions.membership.gone(member)
