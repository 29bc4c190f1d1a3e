"""The life of one worker: a hub that was started, from its first word to the broker to its last.

What it consists of is made by `hub/composition.py`; here stands in which order it starts, drains and stops.

Longer than other files: the order in which parts start is the order in which they stop, turned round.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hubbub import closes
from hubbub.auth import redaction
from hubbub.auth.refusals import Refusals
from hubbub.auth.tokens import TokenAuthentication
from hubbub.connection.admission import Admissions
from hubbub.connection.audit import Audit
from hubbub.connection.context import Context
from hubbub.connection.endings import Endings
from hubbub.connection.requests import Requests
from hubbub.connection.revocations import Revocations
from hubbub.connection.spawned import LOG as SPAWNED
from hubbub.connection.throttle import UserAllowances
from hubbub.handlers.dispatch import Dispatch
from hubbub.handlers.hooks import ConnectionHooks
from hubbub.hub.application import Application, warn_of_others
from hubbub.hub.cluster import Cluster
from hubbub.hub.composition import Parts, compose, new_node
from hubbub.hub.declarations import Declarations
from hubbub.hub.drain import Drain
from hubbub.hub.edges import Edges
from hubbub.hub.endpoint import Endpoint
from hubbub.hub.gate import Gate
from hubbub.hub.gc_pauses import GCPauses
from hubbub.hub.handshakes import Handshakes
from hubbub.hub.numbers import Numbers
from hubbub.hub.operators import Operators
from hubbub.hub.questions import Answer, Questions
from hubbub.hub.retention_word import RetentionWord
from hubbub.hub.revoking import Revoking
from hubbub.hub.server_process import ServerProcess
from hubbub.hub.settings import HubSettings, usual_room_rate
from hubbub.hub.signals import ShutdownSignals
from hubbub.hub.still_valid import StillValid
from hubbub.hub.workers import WorkersTopic
from hubbub.ports.broker import Broker
from hubbub.ports.clock import Alarm
from hubbub.scheduling.clock import SystemClock
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.scheduling.watchdog import Watchdog
from hubbub.tracing.provider import begin as begin_tracing
from hubbub.tracing.provider import tell_if_late
from hubbub.transports import doors, telling

if TYPE_CHECKING:
    from hubbub.tracing.requests import RequestSpans

# How long a start waits for the broker.
_START_WAIT = 1.0
# What the last presence changes may take when the hub stops. They are on their way already.
FAREWELL = 3.0
# After a start a tracer provider that was set up late is looked for.
_LATE = 5.0
# Clients that were sent away have at least so long to arrive elsewhere before their users count as gone.
_ARRIVAL = 5.0


class Runtime:
    """`scope`: as `hubbub.hub.edges` has it. `known`: what other workers may ask, as `hubbub.hub.questions` has it.

    `title`: of the application, where it may meet another by accident; None where its name was chosen. `module`: of
    the application, which made the hub.
    """

    def __init__(
        self,
        settings: HubSettings,
        declarations: Declarations,
        broker: Broker,
        scope: Callable[[], dict[str, Any]],
        *,
        title: str | None = None,
        module: str = "",
        known: Mapping[str, Answer] = MappingProxyType({}),
    ) -> None:
        self.stopping = False
        self._title = title
        self._declarations = declarations
        self._settings = settings
        limits, leaving, metrics = settings.limits, settings.leaving, settings.metrics
        declared, hooks = declarations.declared, declarations.hooks.declared
        clock = settings.clock or SystemClock()
        node = new_node()
        self._late: Alarm | None = None
        self._traces = tracing = begin_tracing(settings.tracing, redaction.hidden, declared, node)
        outcomes = None if tracing is None else tracing.outcomes
        self._watchdog = Watchdog(limits.blocking, metrics, node, (module,))
        dispatch = Dispatch(
            declarations.handlers,
            declared,
            metrics,
            blocking=limits.blocking,
            clock=clock,
            held=self._watchdog.held,
            outcomes=outcomes,
        )
        call = None if tracing is None else tracing.hooks(dispatch.call).call
        self.hooks = ConnectionHooks(hooks, dispatch, clock, call) if hooks.of_connections else None
        self.parts = compose(
            broker,
            clock,
            limits=limits,
            leaving=leaving,
            metrics=metrics,
            declared=declared,
            inbox=settings.inbox,
            room_rate=settings.room_rate or usual_room_rate(settings.limits, settings.rate),
            limited=settings.rate is not None,
            announce_users=settings.announce_users,
            moves=self.hooks,
            edges=hooks.of_edges,
            node=node,
            tracing=tracing,
        )
        self.broker, self.node, self.registry = broker, self.parts.node, self.parts.registry
        self.home = self.parts.home
        self.handles = self.parts.handles
        self.cluster = Cluster(
            broker,
            self.node,
            lambda: len(self.registry),
            declarations.measures,
            kept=lambda: self._word.known,
            application=self._said_of_the_application,
        )
        self._word = RetentionWord(
            broker,
            self.node,
            declared,
            settings.inbox,
            self.parts.retention,
            self.parts.positions,
            tell=self.cluster.tell,
        )
        revocations, removals = Revocations(), self.parts.removals
        self.revoking = Revoking(
            broker,
            self.parts.clock,
            revocations,
            removals,
            self.parts.background.spawn,
            lambda: self.endpoint.connections,
        )
        self.questions = Questions(broker, self.node, known, self.parts.background.spawn)
        self._workers = WorkersTopic(broker, self.parts.fanout, removals, self.revoking, self.questions)
        refusals = Refusals(self.parts.clock, metrics)
        self.gate = Gate(
            settings.addresses,
            ServerProcess().believed(settings.proxies),
            metrics,
            self.parts.clock,
            handshakes=limits.handshakes,
        )
        audit = Audit(self.node, self.parts.clock, self.gate.whence) if settings.audit else None
        requests = Requests(
            dispatch,
            self.parts.membership,
            self.parts.presences,
            TokenAuthentication(settings.authenticators, limits, refusals, revocations.check).authenticate,
            revocations,
            limits=limits,
            heartbeat=settings.heartbeat,
            inbox=settings.inbox,
            clock=clock,
            hooks=self.hooks,
            outcomes=outcomes,
        )
        spans = None if tracing is None else tracing.requests(requests.do, declarations.handlers.get)
        context = _context(settings, declarations, self.parts, dispatch, requests, self.hooks, audit, spans)
        self.edges: Edges | None = None
        if hooks.of_edges:
            self.edges = Edges(broker, self.node, hooks, dispatch, self.parts.clock, scope, lease=leaving.lease)
        self._still_valid = StillValid(
            hooks.still_valid, dispatch, self.parts.clock, metrics, scope, lambda: self.endpoint.connections
        )
        handshakes = Handshakes(
            settings.authenticators,
            settings.origins,
            self.gate,
            refusals,
            lambda: self.unready,
            revocations.check,
            limits=limits,
            metrics=metrics,
            clock=self.parts.clock,
            by_http=settings.refuse == "http",
            audit=audit,
            outcomes=outcomes,
        )
        let_in = handshakes.let_in if tracing is None else tracing.handshakes(handshakes.let_in).let_in
        self.endpoint = Endpoint(context, handshakes, let_in, outcomes)
        self.numbers = Numbers(
            self.parts, declarations.handlers, handshakes, self.endpoint.connections, lambda: self.unready is None
        )
        self.operators = Operators(
            self.parts.registry, self.numbers, self.gate, lambda: self.unready, audit, declarations.declared
        )
        self._gc_pauses = GCPauses(metrics)
        of_failures = (dispatch.told, requests.told, context.spawned, *([audit] if audit else ()))
        self._bounded_logs = (refusals, self.gate.told, handshakes.told, context.endings, *of_failures)
        self._drain = Drain(self.endpoint.connections, self.parts.clock, closing=limits.closing)
        self._signals: ShutdownSignals | None = None
        self._unwatch: Callable[[], None] = lambda: None
        self._leave_door: Callable[[], None] = lambda: None
        self._always: list[asyncio.Task[None]] = []

    @property
    def unready(self) -> str | None:
        """Why this worker takes nobody now, as anybody may be told; None where it does."""
        if self.stopping:
            return "this worker is stopping"
        if not self.broker.ready:
            return "this worker does not hear the broker"
        if self.broker.refusal:
            return _without_names(self.broker.refusal)
        if not self._workers.settled:
            return "this worker does not know yet what is revoked"
        return None if self._word.settled else "this worker does not know yet what the others keep"

    async def start(self) -> None:
        self._gc_pauses.start()
        self._watchdog.start()
        # Its first look is behind us before anybody else has the loop, who may not give it back.
        await asyncio.sleep(0)
        self._unwatch = telling.watch(self.gate.ended_elsewhere)
        self._leave_door = doors.stand_at(self.endpoint.handshakes.refuse_at_the_door)
        await self.broker.start(self.parts.positions.deliver, self._resumed, self.parts.positions.missed)
        # A broker that is there is in touch before the first socket comes; one that is away holds up nothing for long.
        clock = self.parts.clock
        deadline = clock.now() + _START_WAIT
        while not self.broker.ready and clock.now() < deadline:  # noqa: ASYNC110 - once, and a broker's state is no event
            await asyncio.sleep(0.005)
        await self._workers.settle()
        await self.parts.lease.start()
        # Told before its word is left: another that leaves its own meanwhile waits for this one, or this one knows it.
        await self.cluster.tell()
        self._always = [asyncio.create_task(self.cluster.report())]
        if self.broker.shared and (application := self._application()) is not None:
            self._always.append(asyncio.create_task(warn_of_others(self.broker, self.node, application)))
        await self._word.settle()
        if self.edges is not None:
            self.edges.start()
        window = self._settings.leaving.window
        self._always += self._still_valid.start()
        self._always += [
            asyncio.create_task(self._word.keep_settled()),
            asyncio.create_task(self._workers.keep_settled()),
            asyncio.create_task(self._drain.while_deaf(self.broker, window=window)),
        ]
        self._signals = ShutdownSignals.register(self, closing=self._settings.limits.closing)
        if self._traces is None:
            self._late = clock.call_at(clock.now() + _LATE, partial(tell_if_late, self._settings.tracing))

    async def drain(self, *, at_once: bool) -> None:
        """Send everybody away; returns when they are gone or had their time."""
        self.stopping = True
        leaving = self._settings.leaving
        window = 0.0 if at_once else leaving.window
        if window:
            # The last is closed after half the window, and comes back after as much as all of it.
            await self.parts.lease.retire(1.5 * window + max(leaving.grace, _ARRIVAL))
        await self._drain.empty(closes.RESTARTING, window=window)

    def hurry(self) -> None:
        """Take no more time for `drain`."""
        self._drain.hurry()

    async def stop(self) -> None:
        """Close what is still open, let the broker know who has left, and leave nothing running."""
        self.stopping = True
        parts = self.parts
        # From the bottom up, and each whatever became of the others.
        async with AsyncExitStack() as last:
            last.callback(self._watchdog.stop)
            if self._signals is not None:
                last.callback(self._signals.unregister, self)
            if self._late is not None:
                last.callback(self._late.cancel)
            last.callback(self._unwatch)
            last.callback(self._leave_door)
            last.push_async_callback(self.broker.stop)
            last.callback(parts.subscriptions.stop)
            last.push_async_callback(parts.background.end, within=FAREWELL)
            last.push_async_callback(parts.lease.stop)
            last.push_async_callback(self._end_hooks)
            last.push_async_callback(self.cluster.leave)
            last.push_async_callback(_cancelled, self._always)
            for part in (
                *self._bounded_logs,
                self._still_valid,
                self._gc_pauses,
                self.questions,
                parts.rates,
                parts.handing,
                parts.positions,
                parts.diffs,
                parts.storms,
                parts.waker,
            ):
                last.callback(part.stop)
            if parts.journeys is not None:
                last.callback(parts.journeys.stop)
            last.callback(self._drain.close_all, closes.RESTARTING, window=self._settings.leaving.window)
            last.callback(parts.presence.stop)

    async def _end_hooks(self) -> None:
        """Those of the connections that were closed just now among them."""
        within = self._settings.limits.closing
        kinds = [hooks for hooks in (self.hooks, self.edges) if hooks is not None]
        await asyncio.gather(*(hooks.stop(within=within) for hooks in kinds))

    def _application(self) -> Application | None:
        # What is declared while it runs counts as well.
        return None if self._title is None else Application.of(self._title, self._declarations)

    def _said_of_the_application(self) -> dict[str, Any] | None:
        application = self._application()
        return None if application is None else application.said()

    def _resumed(self) -> None:
        self.parts.lease.resumed()
        self.parts.positions.resumed()
        self._word.resumed()
        self._workers.resumed()


def _context(
    settings: HubSettings,
    declarations: Declarations,
    parts: Parts,
    dispatch: Dispatch,
    requests: Requests,
    hooks: ConnectionHooks | None,
    audit: Audit | None,
    spans: "RequestSpans | None",
) -> Context:
    """What every connection works with."""
    limits, inbox = settings.limits, settings.inbox
    admissions = Admissions(
        parts.registry,
        parts.subscriptions,
        parts.presence,
        parts.positions,
        parts.membership,
        parts.retention,
        inbox=inbox,
    )
    return Context(
        node=parts.node,
        home=parts.home,
        limits=limits,
        heartbeat=settings.heartbeat,
        allowances=None if settings.rate is None else UserAllowances(settings.rate, limits),
        clock=parts.clock,
        metrics=parts.metrics,
        traffic=parts.traffic,
        endings=Endings(parts.clock, parts.node),
        audit=audit,
        batcher=parts.batcher,
        membership=parts.membership,
        presences=parts.presences,
        declared=declarations.declared,
        admissions=admissions,
        at_once=declarations.handlers.at_once,
        allowed=dispatch.allowed,
        do=requests.do if spans is None else spans.do,
        hooks=hooks,
        begin=parts.background.begin,
        keep=parts.background.keep,
        spawned=LimitedLog(SPAWNED, parts.clock),
        waker=parts.waker,
        reading=spans,
    )


def _without_names(refusal: str) -> str:
    """No more than the word it begins with, READONLY or MISCONF."""
    kind, _, _ = refusal.partition(" ")
    return f"the broker refuses writes ({kind})" if kind.isupper() else "the broker refuses writes"


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
