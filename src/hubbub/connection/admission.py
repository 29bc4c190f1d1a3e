"""A connection's way in and out: everything it takes is taken step by step, and given back in the opposite order, once.

Registered with its user's and everyone's topic heard and its user online: that is a connection that was let in. It may
end at any point of the way, while something is being waited for; then what comes of that is given back at once.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from hubbub.connection.context import Context
from hubbub.delivery.fanout import Recipient
from hubbub.errors import ConnectionClosed
from hubbub.options import History
from hubbub.types import EVERYONE, ONLINE, Topic, User, UserId, user_topic

#: What takes, what gives back, and what.
_Step: TypeAlias = tuple[Callable[..., Awaitable[None]], Callable[..., None], tuple[Any, ...]]


def _nothing(*_: Any) -> None:
    """What was only looked at need not be given back."""


class Admission:
    __slots__ = ("_member", "_over", "_services", "_taken", "_user")

    def __init__(self, services: Context, member: Recipient) -> None:
        self._services = services
        self._member = member
        self._user: UserId | None = None
        self._taken = 0
        self._over = False

    async def enter(self, user: User) -> None:
        """Raises ConnectionClosed where `leave` was called meanwhile, Unavailable where the broker is away."""
        if self._over:
            raise ConnectionClosed(self._member.id)
        self._services.registry.add(self._member, user.id)
        self._user = user.id
        for take, give_back, what in self._steps(user.id):
            await take(*what)
            if self._over:
                give_back(*what)
                raise ConnectionClosed(self._member.id)
            self._taken += 1

    async def _begin(self, topic: Topic, inbox: History) -> None:
        await self._services.positions.join(topic, inbox)

    def leave(self) -> None:
        user, self._user = self._user, None
        self._over = True
        if user is None:
            return
        for _, give_back, what in reversed(self._steps(user)[: self._taken]):
            give_back(*what)
        self._services.membership.gone(self._member)

    def _steps(self, user: UserId) -> tuple[_Step, ...]:
        # Worked out when asked: a list of callbacks would be a kilobyte of every idle connection.
        subscriptions, presence, topic = self._services.subscriptions, self._services.presence, user_topic(user)
        return (
            (subscriptions.hold, subscriptions.release, (topic,)),
            *(() if self._services.inbox is None else ((self._begin, _nothing, (topic, self._services.inbox)),)),
            (subscriptions.hold, subscriptions.release, (EVERYONE,)),
            (presence.enter, presence.leave, (topic, self._member.id)),
            (presence.enter, presence.linger, (ONLINE, user)),
        )
