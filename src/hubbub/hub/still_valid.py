"""Credentials that are asked about again, at an interval the application chooses: whether they still are good.

Each worker asks for its own connections, once for all tabs that came with the same, in parts that are spread over the
interval, a few at a time: 65,536 connections are no burst at anybody's database. A worker that is slower than the
interval asks later, never more at once.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple, TypeAlias

from hubbub import closes
from hubbub.connection.connection import Connection
from hubbub.errors import Forbidden, Unauthorized, WrongAnswer, described
from hubbub.handlers.dispatch import Dispatch
from hubbub.handlers.hooks import StillValidHook
from hubbub.ports.clock import Clock
from hubbub.ports.injection import Injected
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics
from hubbub.protocol.handshake import Handshake
from hubbub.scheduling.calls import settled
from hubbub.scheduling.clock import wait_until
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.scheduling.tasks import is_our_end
from hubbub.types import ConnectionId, User

_log = logging.getLogger("hubbub.hooks")

#: Parts of an interval, at most; none is shorter than a second.
_PARTS = 64
#: Asked about at once, and for how many seconds at most.
AT_ONCE, DEADLINE = 16, 30.0
# Connections looked at in one turn of the loop.
_LOOKED_AT = 2_000

_NO_LONGER = closes.CREDENTIAL_EXPIRED.because("credential no longer valid")

#: Tabs that came with the same, each with the user it had when that was asked about.
_Same: TypeAlias = list[tuple[Connection, User]]


class _Asked(NamedTuple):
    """Whom a hook works for."""

    id: ConnectionId
    user: User
    handshake: Handshake


class StillValid:
    """`scope`: what dependencies find in the place of a handshake's. `connections`: all of this worker."""

    def __init__(
        self,
        hooks: Collection[StillValidHook],
        dispatch: Dispatch,
        clock: Clock,
        metrics: Metrics,
        scope: Callable[[], dict[str, Any]],
        connections: Callable[[], Collection[Connection]],
    ) -> None:
        self._hooks = hooks
        self._dispatch = dispatch
        self._clock = clock
        self._metrics = metrics
        self._scope = scope
        self._connections = connections
        self._told = LimitedLog(_log, clock)

    def start(self) -> list[asyncio.Task[None]]:
        """Tasks that go on until they are cancelled."""
        return [asyncio.create_task(self._ask_again_and_again(*hook)) for hook in self._hooks]

    def stop(self) -> None:
        self._told.stop()

    async def _ask_again_and_again(self, hook: Injected, every: float) -> None:
        parts = max(1, min(_PARTS, int(every)))
        part, due = 0, self._clock.now()
        while True:
            # After a part that took longer the next one comes at once, and no more than that one.
            due = max(due + every / parts, self._clock.now())
            await wait_until(self._clock, due, asyncio.Event())
            groups = iter(await self._of_part(part, parts))
            await asyncio.gather(*(self._ask_each(hook, groups) for _ in range(AT_ONCE)))
            part = (part + 1) % parts

    async def _of_part(self, part: int, parts: int) -> list[_Same]:
        groups: dict[tuple[str, str | None, str | None], _Same] = {}
        for number, connection in enumerate(tuple(self._connections()), 1):
            if connection.outbound.welcomed and not connection.closed:
                user = connection.user
                key = (user.id, user.session, user.token_id)
                if hash(key) % parts == part:
                    groups.setdefault(key, []).append((connection, user))
            if number % _LOOKED_AT == 0:
                await asyncio.sleep(0)
        return [*groups.values()]

    async def _ask_each(self, hook: Injected, groups: Iterator[_Same]) -> None:
        for same in groups:
            if await self._says_no(hook, *same[0]):
                for connection, user in same:
                    # Who has renewed its credential meanwhile was not asked about.
                    if connection.user is user:
                        connection.close(_NO_LONGER)

    async def _says_no(self, hook: Injected, connection: Connection, user: User) -> bool:
        """What fails, or says neither yes nor no, says nothing: a store that is away must not log everybody out."""
        caller = _Asked(connection.id, user, Handshake(self._scope()))
        try:
            async with asyncio.timeout(DEADLINE):
                said = await settled(await self._dispatch.watched(hook, hook(caller, None, {})))
            if said is not True and said is not False:
                raise WrongAnswer(f"still_valid returns True or False, not {type(said).__qualname__}")
        except BaseException as error:  # the application's; the next is asked about all the same
            if is_our_end(error):
                raise
            return self._refuses(hook, error)
        return said is False

    def _refuses(self, hook: Injected, error: BaseException) -> bool:
        try:
            refused = hook.refusal(error)
        except Exception as odd:  # noqa: BLE001 - the application's: it was to say what that means
            refused, error = None, odd
        if isinstance(refused, Unauthorized | Forbidden):
            return True
        self._metrics.count(Count.HANDLER_FAILED)
        kind = f"{hook.name} failed, and is asked again"
        self._told.tell(kind, "%s: %s", kind, described(error), level=logging.ERROR, extra=fields(Event.HOOK_FAILED))
        return False
