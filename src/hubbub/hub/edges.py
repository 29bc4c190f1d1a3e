"""Edges of the whole cluster, and their hooks: a user's first tab and last, a room's first member and last.

The broker logs an edge in the step in which it is decided (`ports/broker.py`). One worker of all that have such hooks
reads the log in order, runs the hooks of one edge, and says that it is handled before it goes on to the next. It is
whichever holds a lease, so when it dies another goes on with what is not handled; only the edge whose hook ran at that
moment is handed out again, and it has the same number. The same becomes of one whose worker could not say so in time.

A hook that does not end is given up after a time, and the edge counts as handled: else one would hold up all that come.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hubbub.errors import Unavailable
from hubbub.handlers.dispatch import Dispatch
from hubbub.handlers.hooks import Call, Hooks, Named, calls
from hubbub.ports.broker import EDGES_KEPT, Broker, LoggedEdge
from hubbub.ports.clock import Clock
from hubbub.ports.logs import Event, fields
from hubbub.protocol.handshake import Handshake
from hubbub.scheduling.calls import settled
from hubbub.scheduling.clock import wait_until
from hubbub.scheduling.tasks import is_our_end
from hubbub.types import ONLINE, ConnectionId, Edge, NodeId, User, UserId

_log = logging.getLogger("hubbub.hooks")

#: The lease of who runs the hooks, and parts of the hub's lease: how long it is believed, and how often it is renewed,
#: or tried for. So another has it before the users of who died are announced as gone. An application may call a lease
#: of its own anything but this.
TURN = "hubbub:edges"
_TTL, _RENEW = 0.4, 0.1
#: Seconds between two looks at the log where nothing waits, and edges read at a time.
_LOOK, _BATCH = 0.2, 100
#: Seconds that the hooks of one edge may take.
DEADLINE = 30.0


class Edges:
    """`scope`: what dependencies find in the place of a handshake's. `lease`: the hub's, in seconds."""

    def __init__(
        self,
        broker: Broker,
        node: NodeId,
        hooks: Hooks,
        dispatch: Dispatch,
        clock: Clock,
        scope: Callable[[], dict[str, Any]],
        *,
        lease: float,
        deadline: float = DEADLINE,
    ) -> None:
        self._broker = broker
        self._node = node
        self._hooks = hooks
        self._dispatch = dispatch
        self._clock = clock
        self._scope = scope
        self._lease = lease
        self._deadline = deadline
        self._running: set[asyncio.Task[None]] = set()
        """Hooks, those among them that were given up and have not ended."""
        self._ours_until = 0.0
        self._done = 0
        """The number of the last edge whose hooks have run here, whatever became of saying so."""
        self._lost = 0
        self._stopping = False
        self._at_once = asyncio.Event()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def start(self) -> None:
        self._tasks = asyncio.create_task(self._keep_turn()), asyncio.create_task(self._serve())

    async def stop(self, *, within: float) -> None:
        """Let the hook that runs finish for so many seconds, and another worker go on at once."""
        self._stopping = True
        self._at_once.set()
        if not self._tasks:
            return  # it never got so far as to start
        turn, serving = self._tasks
        await asyncio.wait((serving,), timeout=within)
        if not serving.done():
            _log.warning(
                "a hook of an edge was given up, as it had not ended within %g s",
                within,
                extra=fields(Event.HOOKS_GIVEN_UP, count=1, seconds=within),
            )
        for task in (turn, serving):
            task.cancel()
        await asyncio.gather(turn, serving, return_exceptions=True)
        try:
            await self._broker.give_up(TURN, self._node)
        except Unavailable:
            pass  # it runs out by itself

    async def _keep_turn(self) -> None:
        while True:
            asked = self._clock.now()
            try:
                turn = await self._broker.take_turn(TURN, self._node, self._lease * _TTL)
                self._ours_until = 0.0 if turn is None else asked + self._lease * _TTL
            except Unavailable:
                pass  # what we have we have until it is over
            await self._rest(self._lease * _RENEW, asyncio.Event())

    async def _serve(self) -> None:
        while not self._stopping:
            if not (self.ours and await self._handle_some()):
                await self._rest(_LOOK, self._at_once)
                self._at_once.clear()

    @property
    def ours(self) -> bool:
        """Whether this worker runs the hooks."""
        return self._clock.now() < self._ours_until and not self._stopping

    async def _handle_some(self) -> bool:
        """Whether there were any."""
        try:
            lost, edges = await self._broker.edges(_BATCH)
            self._tell_of_lost(lost)
            for at, edge in enumerate(edges):
                if not self.ours:
                    return False
                ran = edge.number > self._done and await self._handle(edge)
                self._done = max(self._done, edge.number)
                if ran or at == len(edges) - 1:
                    await self._broker.handled(edge.number)
        except Unavailable:
            return False
        return bool(edges)

    async def _handle(self, edge: LoggedEdge) -> bool:
        """Run the hooks of this one, whatever they come to. Whether there are any."""
        name = edge.member
        told = Edge(edge.number, datetime.fromtimestamp(edge.at, UTC), name)
        try:
            to_run = calls(self._hooks_of(edge), name, told)
        except Exception:  # noqa: BLE001 - the application's: a type of a parameter that cannot be read from this name
            _log.exception("it cannot be said which hooks edge %d has", edge.number, extra=fields(Event.HOOK_FAILED))
            return True
        if not to_run:
            return False
        caller = Nobody(Handshake(self._scope()), UserId(name) if edge.topic == ONLINE else None)
        over = asyncio.Event()
        task = asyncio.create_task(self._run(to_run, caller))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: over.set())
        try:
            await self._rest(self._deadline, over)
        finally:
            if not task.done():
                # Not awaited: what runs in a thread cannot be ended.
                task.cancel()
        if task.cancelled() or not task.done():
            names = ", ".join(call.hook.name for call in to_run)
            _log.error(
                "%s did not end within %g s for edge %d, and is given up",
                names,
                self._deadline,
                edge.number,
                extra=fields(Event.HOOKS_GIVEN_UP, function=names, seconds=self._deadline),
            )
        return True

    def _hooks_of(self, edge: LoggedEdge) -> Named:
        hooks = self._hooks
        if edge.topic == ONLINE:
            return hooks.online if edge.here else hooks.offline
        return hooks.occupied if edge.here else hooks.vacated

    async def _run(self, to_run: list[Call], caller: "Nobody") -> None:
        for hook, params, message in to_run:
            try:
                await settled(await self._dispatch.watched(hook, hook(caller, message, params)))
            except BaseException as error:  # the application's; the next hook runs all the same
                if is_our_end(error):
                    raise
                _log.error(
                    "%s failed for edge %d",
                    hook.name,
                    message.number,
                    exc_info=error,
                    extra=fields(Event.HOOK_FAILED, function=hook.name),
                )

    def _tell_of_lost(self, lost: int) -> None:
        if lost > self._lost:
            _log.error(
                "%d edges were lost before they were handled, of which %d are kept",
                lost,
                EDGES_KEPT,
                extra=fields(Event.EDGES_LOST, count=lost),
            )
        self._lost = lost

    async def _rest(self, seconds: float, over: asyncio.Event) -> None:
        await wait_until(self._clock, self._clock.now() + seconds, over)


class Nobody:
    """Whom a hook works for that no connection is the cause of. Raises LookupError where it is asked for a user."""

    id = ConnectionId("")

    def __init__(self, handshake: Handshake, user: UserId | None) -> None:
        self.handshake = handshake
        self._user = user

    @property
    def user(self) -> User:
        if self._user is None:
            raise LookupError("a room has no user")
        return User(self._user)
