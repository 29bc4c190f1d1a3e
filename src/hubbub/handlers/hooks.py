"""The application's hooks: what it has run when a connection comes and goes, and when it joins and leaves rooms.

`on_connect` runs as a part of letting a connection in, and may refuse it. The others are told of what has happened, and
run behind it, as tasks, in the connection's context variables, one at a time for each connection and in the order in
which things happened, so that a hook that waits is never overtaken by what undoes its work. What they raise is one
line in the log. A client that joins and leaves waits for its own hooks before its next request, so no more of them
pile up than it has rooms.
"""

import asyncio
import contextvars
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from hubbub.errors import InternalError, Refused
from hubbub.handlers.dispatch import Dispatch
from hubbub.ports.clock import Clock
from hubbub.ports.injection import Caller, Injected
from hubbub.ports.logs import Event, fields
from hubbub.rooms.patterns import Patterns
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.scheduling.serial import Serial
from hubbub.scheduling.tasks import Background
from hubbub.types import ConnectionId, Disconnect, RoomName

_log = logging.getLogger("hubbub.hooks")

#: Hooks of one kind that ask for what a name has in it: each a function and its one pattern.
Named: TypeAlias = list[Patterns[Injected]]


#: One that is asked about each credential again, and after how many seconds.
StillValidHook: TypeAlias = tuple[Injected, float]


@dataclass(slots=True)
class Hooks:
    """What was declared, of each kind in its order."""

    connect: list[Injected] = field(default_factory=list)
    disconnect: list[Injected] = field(default_factory=list)
    join: Named = field(default_factory=list)
    leave: Named = field(default_factory=list)
    online: Named = field(default_factory=list)
    offline: Named = field(default_factory=list)
    occupied: Named = field(default_factory=list)
    vacated: Named = field(default_factory=list)
    still_valid: list[StillValidHook] = field(default_factory=list)

    @property
    def of_connections(self) -> bool:
        return bool(self.connect or self.disconnect or self.join or self.leave)

    @property
    def of_edges(self) -> bool:
        return bool(self.online or self.offline or self.occupied or self.vacated)


class Call(NamedTuple):
    """A hook that is to run, and the parameters that the name gave it."""

    hook: Injected
    params: Mapping[str, str]
    message: Any = None


def calls(hooks: Named, name: str, message: Any = None) -> list[Call]:
    """Those whose pattern the name matches."""
    found = ((hook, hook.match(name)) for hook in hooks)
    return [Call(match.value, match.params, message) for _, match in found if match is not None]


class Hooked(Caller, Protocol):
    """A connection that hooks run for."""

    @property
    def variables(self) -> contextvars.Context: ...


class _Lane:
    """One connection's. `end`: how it ended, before `on_connect` had."""

    __slots__ = ("caller", "end", "serial", "through")

    def __init__(self, caller: Hooked) -> None:
        self.caller = caller
        self.through = False
        self.end: Disconnect | None = None
        self.serial: Serial[_Lane, Call | asyncio.Future[None]]


class ConnectionHooks:
    """Runs those of the connections of this worker. As `Moves` it is told of rooms by `rooms/membership.py`.

    `call`: runs what is told of a move or an end, where more is to be done than `Dispatch.call` does.
    """

    def __init__(
        self, hooks: Hooks, dispatch: Dispatch, clock: Clock, call: Callable[..., Awaitable[Any]] | None = None
    ) -> None:
        self._call = call or dispatch.call
        self._hooks = hooks
        self._dispatch = dispatch
        self.told: LimitedLog = LimitedLog(_log, clock)
        self._background = Background()
        self._lanes: dict[str, _Lane] = {}
        self._coming: set[asyncio.Future[None]] = set()
        """Until the end of each `connect`."""
        self._stopped = False

    def __len__(self) -> int:
        """Connections that are known, and hooks that run."""
        return len(self._lanes) + len(self._background)

    async def connect(self, caller: Hooked) -> None:
        """Run those of `on_connect`. Raises Refused where one refuses, InternalError among them where one fails."""
        lane = self._lanes[caller.id] = _Lane(caller)
        lane.serial = Serial(self._begin, self._do, lane, limit=sys.maxsize, context=caller.variables)
        over = asyncio.get_running_loop().create_future()
        self._coming.add(over)
        try:
            for hook in self._hooks.connect:
                await self._dispatch.may_connect(hook, caller)
            lane.through = True
            if lane.end is not None:
                self.ended(caller.id, lane.end)
        except BaseException:
            self._lanes.pop(caller.id, None)
            raise
        finally:
            self._coming.discard(over)
            over.set_result(None)

    def joined(self, connection: str, room: RoomName) -> None:
        self._moved(connection, self._hooks.join, room)

    def left(self, connection: str, room: RoomName) -> None:
        self._moved(connection, self._hooks.leave, room)

    def ended(self, connection: ConnectionId, how: Disconnect) -> None:
        """The connection is no more, and out of its rooms."""
        lane = self._lanes.get(connection)
        if lane is None:
            return
        if not lane.through:
            lane.end = how
            return
        del self._lanes[connection]
        if self._stopped:
            return  # it was given up: nobody would wait for them
        for hook in self._hooks.disconnect:
            lane.serial.submit(Call(hook, {}, how))

    async def settled(self, connection: ConnectionId) -> None:
        """Until the hooks have ended of what this connection has done so far."""
        lane = self._lanes.get(connection)
        if lane is not None and not lane.serial.idle:
            over = asyncio.get_running_loop().create_future()
            lane.serial.submit(over)
            await over

    async def stop(self, *, within: float) -> None:
        """Let what runs finish for so many seconds, and say so where it has not.

        `on_connect` too, which runs elsewhere: who is through it when its connection has ended already is to be told.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while self._coming and (left := until - loop.time()) > 0:
            await asyncio.wait(tuple(self._coming), timeout=left)
        late = len(self._coming) + await self._background.end(within=max(0.0, until - loop.time()))
        self._stopped = True
        self.told.stop()
        if late:
            _log.warning(
                "the hooks of %d connections were given up, as they had not ended within %g s",
                late,
                within,
                extra=fields(Event.HOOKS_GIVEN_UP, count=late, seconds=within),
            )

    def _moved(self, connection: str, hooks: Named, room: RoomName) -> None:
        lane = self._lanes.get(connection)
        if lane is not None:
            for call in calls(hooks, room):
                lane.serial.submit(call)

    def _begin(
        self, work: Coroutine[Any, Any, None], context: contextvars.Context | None = None, /
    ) -> asyncio.Task[None]:
        """Never at once: what tells of a move, or of an end, is in the middle of it."""
        return self._background.spawn(work, context)

    async def _do(self, lane: _Lane, work: "Call | asyncio.Future[None]") -> None:
        if isinstance(work, asyncio.Future):
            if not work.done():
                work.set_result(None)
            return
        try:
            await self._call(work.hook, lane.caller, work.params, work.message)
        except InternalError:
            pass  # told where it was seen
        except Refused as error:
            name, said = work.hook.name, type(error).__qualname__
            text = "%s raised %s, but what it is told of has happened and cannot be refused"
            self.told.tell(
                f"{name} raised {said}",
                text,
                name,
                said,
                level=logging.WARNING,
                extra=fields(Event.HOOK_REFUSES, function=name, cause=said),
            )
