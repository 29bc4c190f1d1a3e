"""A hub while it runs: everything bound to the event loop, composed here and nowhere else, and ended in order."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from hubbub import closes
from hubbub.auth.origin import Origin
from hubbub.auth.select import Claim, examine_message
from hubbub.connection.admission import Admissions
from hubbub.connection.context import Context
from hubbub.connection.requests import Requests
from hubbub.delivery.batch import Batcher
from hubbub.delivery.fanout import Fanout, Recipient
from hubbub.delivery.registry import Registry
from hubbub.errors import InvalidCredential, Unavailable
from hubbub.handlers.dispatch import Dispatch
from hubbub.handlers.table import HandlerTable
from hubbub.history.positions import Positions
from hubbub.hub.cluster import Cluster
from hubbub.hub.drain import Drain
from hubbub.hub.endpoint import Endpoint
from hubbub.hub.signals import ShutdownSignals
from hubbub.options import Heartbeat, History, Leaving, Limits, Rate
from hubbub.ports.auth import Authenticator
from hubbub.ports.broker import Broker
from hubbub.ports.clock import Clock
from hubbub.ports.injection import Injected
from hubbub.ports.metrics import Metrics
from hubbub.presence.diffs import Diffs
from hubbub.presence.leases import NodeLease
from hubbub.presence.tracker import PresenceTracker
from hubbub.protocol.messages import check_user
from hubbub.rooms.declared import DeclaredRooms, Rule
from hubbub.rooms.handles import Handles
from hubbub.rooms.membership import Membership
from hubbub.rooms.patterns import Patterns, placeholders
from hubbub.rooms.publish_queue import PublishQueue
from hubbub.rooms.retention import word
from hubbub.rooms.subscriptions import Subscriptions
from hubbub.scheduling.tasks import Background
from hubbub.scheduling.waker import Waker
from hubbub.types import NodeId, User

# Fine enough for a heartbeat of a tenth of a second in a test, coarse enough that 15,000 connections share few wakes.
_RESOLUTION = 0.05
# How long a start waits for the broker.
_PATIENCE = 1.0
# Of the time a batch takes. Measured with three workers, 3,000 members and ten who talk: 1.07 times what one worker
# delivers instead of 0.6, for a tenth more latency.
_PATIENCE_WITH_OTHERS = 0.25
# What the last presence changes may take when the hub stops. They are on their way already.
_FAREWELL = 3.0
# Who was sent away has so long to arrive elsewhere before it counts as gone, at least.
_ARRIVAL = 5.0
# How often it is looked whether the broker still has our word: publishers may ask for it every ten seconds.
_WORD = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the application declared."""

    authenticators: tuple[Authenticator, ...]
    origins: frozenset[Origin] | None
    limits: Limits
    heartbeat: Heartbeat
    rate: Rate | None
    announce_users: bool
    inbox: History | None
    leaving: Leaving
    metrics: Metrics
    clock: Clock
    handlers: HandlerTable[Injected]
    rooms: Patterns[Rule]
    facts: list[Callable[[], dict[str, Any]]]


class Runtime:
    def __init__(self, plan: Plan, broker: Broker) -> None:
        self.node = NodeId(f"{random.getrandbits(48):012x}")
        self.broker = broker
        self.registry: Registry[Recipient] = Registry()
        self._plan = plan
        self.stopping = False
        self._background = Background()
        self._waker: Waker[Any] = Waker(plan.clock, resolution=_RESOLUTION)
        patience = _PATIENCE_WITH_OTHERS if broker.shared else 0.0
        self._batcher = Batcher(asyncio.get_running_loop(), plan.metrics, patience=patience)
        self._fanout = Fanout(self.registry, self._batcher, plan.metrics, limit=plan.limits.outbox)
        self._diffs = Diffs(self._fanout, self.registry, plan.clock, plan.metrics)
        spawn = self._background.spawn
        self._positions = Positions(broker, self._fanout, plan.clock, plan.metrics, spawn, plan.limits)
        self._subscriptions = Subscriptions(broker, plan.clock, spawn, ended=self._positions.forget)
        self._declared_rooms = DeclaredRooms(plan.rooms)
        self._dispatch = Dispatch(plan.handlers, self._declared_rooms, plan.metrics, blocking=plan.limits.blocking)
        self._presence = PresenceTracker(
            broker,
            self.node,
            self._background.begin,
            plan.clock,
            self._declared_rooms.options_of,
            announce_users=plan.announce_users,
            grace=plan.leaving.grace,
        )
        self._leases = NodeLease(broker, self.node, self._presence, plan.clock, lease=plan.leaving.lease)
        self._publish_queue = PublishQueue(self._may_send, limit=plan.limits.queued)
        self.handles = Handles(broker, self._publish_queue, self._declared_rooms, plan.limits, inbox=plan.inbox)
        self.cluster = Cluster(broker, self.node, lambda: len(self.registry), plan.facts)
        self.endpoint = Endpoint(self._context(), plan.authenticators, plan.origins, lambda: self.ready)
        self._drain = Drain(self.endpoint.connections, plan.clock, closing=plan.limits.closing)
        self._signals: ShutdownSignals | None = None
        self._always: list[asyncio.Task[None]] = []
        self._declared = False

    @property
    def ready(self) -> bool:
        return self.broker.ready and not self.stopping

    async def start(self) -> None:
        await self.broker.start(self._positions.deliver, self._resumed, self._positions.missed)
        # A broker that is there is in touch before the first socket comes; one that is away holds up nothing for long.
        deadline = self._plan.clock.now() + _PATIENCE
        while not self.broker.ready and self._plan.clock.now() < deadline:  # noqa: ASYNC110 - once, and a broker's state is no event
            await asyncio.sleep(0.005)
        await self._leases.start()
        await self._declare()
        window = self._plan.leaving.window
        self._always = [
            asyncio.create_task(self.cluster.report()),
            asyncio.create_task(self._keep_declaring()),
            asyncio.create_task(self._drain.while_deaf(self.broker, window=window)),
        ]
        self._signals = ShutdownSignals.register(self, closing=self._plan.limits.closing)

    async def drain(self, *, at_once: bool) -> None:
        """Send everybody away; returns when they are gone or had their time."""
        self.stopping = True
        window = 0.0 if at_once else self._plan.leaving.window
        if window:
            # The last is closed after half the window, and comes back after as much as all of it.
            await self._leases.retire(1.5 * window + max(self._plan.leaving.grace, _ARRIVAL))
        await self._drain.empty(closes.RESTARTING, window=window)

    def hurry(self) -> None:
        """Take no more time for `drain`."""
        self._drain.hurry()

    async def stop(self) -> None:
        """Close what is still open, let the broker know who has left, and leave nothing running."""
        self.stopping = True
        # From the bottom up, and each whatever became of the others.
        async with AsyncExitStack() as last:
            if self._signals is not None:
                last.callback(self._signals.unregister, self)
            last.push_async_callback(self.broker.stop)
            last.callback(self._subscriptions.stop)
            last.push_async_callback(self._background.end, within=_FAREWELL)
            last.push_async_callback(self._leases.stop)
            last.push_async_callback(_cancelled, self._always)
            for part in (self._positions, self._diffs, self._waker):
                last.callback(part.stop)
            last.callback(self._drain.close_all, closes.RESTARTING, window=self._plan.leaving.window)
            last.callback(self._presence.stop)

    def _resumed(self) -> None:
        self._leases.resumed()
        self._positions.resumed()
        self._background.spawn(self._declare())

    def _may_send(self) -> bool:
        # Not before it is known where each topic stands: what is sent then would be told as missed.
        return self.broker.ready and not self._positions.coming_back

    async def _declare(self) -> None:
        """Leave word of what is kept, for programs that publish without a hub."""
        rooms = [
            (pattern, rule.options.history)
            for pattern, rule in self._plan.rooms
            # A publisher knows no types, and would stop at what is perhaps not this room: better kept for nothing.
            if rule.options.history is not None or not _has_types(pattern, rule)
        ]
        try:
            await self.broker.declare(word(rooms, self._plan.inbox))
            self._declared = True
        except Unavailable:
            self._declared = False

    async def _keep_declaring(self) -> None:
        """The broker may come later, or forget: what is published without a hub would then not be kept, unsaid."""
        while True:
            await asyncio.sleep(_WORD)
            with suppress(Unavailable):
                if not self._declared or await self.broker.declared() is None:
                    await self._declare()

    async def _authenticate(self, token: str) -> User:
        claim = examine_message(token, self._plan.authenticators, limit=self._plan.limits.credential)
        if not isinstance(claim, Claim):
            raise InvalidCredential(claim.reason)
        return check_user(await claim.judge(), limit=self._plan.limits.name)

    def _context(self) -> Context:
        plan = self._plan
        membership = Membership(
            self.registry,
            self.broker,
            self._fanout,
            self._subscriptions,
            self._presence,
            self._positions,
            self._diffs,
            self._background.spawn,
            rooms_per_connection=plan.limits.rooms,
        )
        return Context(
            node=self.node,
            limits=plan.limits,
            heartbeat=plan.heartbeat,
            rate=plan.rate,
            clock=plan.clock,
            metrics=plan.metrics,
            batcher=self._batcher,
            registry=self.registry,
            membership=membership,
            declared=self._declared_rooms,
            handles=self.handles,
            admissions=Admissions(
                self.registry, self._subscriptions, self._presence, self._positions, membership, inbox=plan.inbox
            ),
            requests=Requests(
                self._dispatch,
                membership,
                self._authenticate,
                limits=plan.limits,
                heartbeat=plan.heartbeat,
                inbox=plan.inbox,
            ),
            begin=self._background.begin,
            waker=self._waker,
        )


def _has_types(pattern: str, rule: Rule) -> bool:
    return any(rule.check.annotations.get(name, str) is not str for name in placeholders(pattern))


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
