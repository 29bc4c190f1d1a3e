"""A connection's way in and out: everything it takes is put on a stack as it is taken and given back exactly once.

Registered with its user's and everyone's topic heard and its user online: that is a connection that was let in. It may
end at any point of the way, while something is being waited for; then what comes of that is given back at once.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import ParamSpec

from hubbub.errors import ConnectionClosed
from hubbub.fanout import Recipient
from hubbub.services import Services
from hubbub.types import EVERYONE, ONLINE, User, user_topic

P = ParamSpec("P")


class Admission:
    def __init__(self, services: Services, member: Recipient) -> None:
        self._services = services
        self._member = member
        self._taken = ExitStack()
        self._over = False

    async def enter(self, user: User) -> None:
        """Raises ConnectionClosed where `leave` was called meanwhile, Unavailable where the broker is away."""
        services, member = self._services, self._member
        services.registry.add(member, user.id)
        self._keep(services.membership.gone, member)
        for topic in (user_topic(user.id), EVERYONE):
            await services.subscriptions.hold(topic)
            self._keep(services.subscriptions.release, topic)
        for topic, who in ((user_topic(user.id), member.id), (ONLINE, user.id)):
            await services.presence.enter(topic, who)
            self._keep(services.presence.leave, topic, who)

    def leave(self) -> None:
        self._over = True
        self._taken.close()

    def _keep(self, give_back: Callable[P, object], *arguments: P.args, **options: P.kwargs) -> None:
        if self._over:
            give_back(*arguments, **options)
            raise ConnectionClosed(self._member.id)
        self._taken.callback(give_back, *arguments, **options)
