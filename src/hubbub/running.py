"""A hub while it runs: everything bound to the event loop, composed here and nowhere else, and ended in order."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hubbub import closes
from hubbub.auth.origin import Origin
from hubbub.auth.several import Claim, examine_message
from hubbub.burst import Burst
from hubbub.cluster import Cluster
from hubbub.dispatch import Dispatch, Rule
from hubbub.endpoint import Endpoint
from hubbub.errors import InvalidCredential
from hubbub.fanout import Fanout, Recipient
from hubbub.lifecycle import Background, Waker
from hubbub.membership import Membership
from hubbub.options import Heartbeat, Limits, Rate
from hubbub.ports.auth import Authenticator
from hubbub.ports.broker import Broker
from hubbub.ports.clock import Clock
from hubbub.ports.injection import Injected
from hubbub.ports.metrics import Metrics
from hubbub.presence import Presence
from hubbub.room import Room
from hubbub.services import Services
from hubbub.state.handlers import Handlers
from hubbub.state.patterns import Patterns
from hubbub.state.registry import Registry
from hubbub.subscriptions import Subscriptions
from hubbub.types import NodeId, RoomName, User
from hubbub.wire.messages import check_user

# Fine enough for a heartbeat of a tenth of a second in a test, coarse enough that 15,000 connections share few wakes.
_RESOLUTION = 0.05
# How long a start waits for the broker.
_PATIENCE = 1.0
# Of the time a burst takes. Measured with three workers, 3,000 members and ten who talk: 1.07 times what one worker
# delivers instead of 0.6, for a tenth more latency.
_PATIENCE_WITH_OTHERS = 0.25
# What the last presence changes may take when the hub stops. They are on their way already.
_FAREWELL = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the application declared."""

    authenticators: tuple[Authenticator, ...]
    origins: frozenset[Origin] | None
    limits: Limits
    heartbeat: Heartbeat
    rate: Rate | None
    announce_users: bool
    metrics: Metrics
    clock: Clock
    handlers: Handlers[Injected]
    rooms: Patterns[Rule]
    facts: list[Callable[[], dict[str, Any]]]


class Running:
    def __init__(self, plan: Plan, broker: Broker) -> None:
        self.node = NodeId(f"{random.getrandbits(48):012x}")
        self.broker = broker
        self.registry: Registry[Recipient] = Registry()
        self._plan = plan
        self.stopping = False
        self._background = Background()
        self._waker: Waker[Any] = Waker(plan.clock, resolution=_RESOLUTION)
        patience = _PATIENCE_WITH_OTHERS if broker.shared else 0.0
        self._burst = Burst(asyncio.get_running_loop(), plan.metrics, patience=patience)
        self._fanout = Fanout(self.registry, self._burst, plan.metrics, limit=plan.limits.outbox)
        self._subscriptions = Subscriptions(broker, plan.clock, self._background.spawn)
        self._presence = Presence(broker, self.node, self._background.begin, announce_users=plan.announce_users)
        self.cluster = Cluster(broker, self.node, lambda: len(self.registry), plan.facts)
        self.endpoint = Endpoint(self._services(), plan.authenticators, plan.origins, lambda: self.ready)
        self._reporter: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        return self.broker.ready and not self.stopping

    def room(self, name: RoomName) -> Room:
        return Room(name, self.broker, payload=self._plan.limits.payload)

    async def start(self) -> None:
        await self.broker.start(self._fanout.deliver, self._resumed)
        # A broker that is there is in touch before the first socket comes; one that is away holds up nothing for long.
        deadline = self._plan.clock.now() + _PATIENCE
        while not self.broker.ready and self._plan.clock.now() < deadline:  # noqa: ASYNC110 - once, and a broker's state is no event
            await asyncio.sleep(0.005)
        self._reporter = asyncio.create_task(self.cluster.report())

    async def stop(self) -> None:
        """Close what is still open, let the broker know who has left, and leave nothing running."""
        self.stopping = True
        for connection in tuple(self.endpoint.connections):
            connection.close(closes.RESTARTING)
        self._waker.stop()
        if self._reporter is not None:
            self._reporter.cancel()
            await asyncio.gather(self._reporter, return_exceptions=True)
        await self._background.end(within=_FAREWELL)
        self._subscriptions.stop()
        await self.broker.stop()

    def _resumed(self) -> None:
        self._background.spawn(self._presence.reassert())

    async def _authenticate(self, token: str) -> User:
        claim = examine_message(token, self._plan.authenticators, limit=self._plan.limits.credential)
        if not isinstance(claim, Claim):
            raise InvalidCredential(claim.reason)
        return check_user(await claim.judge(), limit=self._plan.limits.name)

    def _services(self) -> Services:
        plan = self._plan
        return Services(
            node=self.node,
            limits=plan.limits,
            heartbeat=plan.heartbeat,
            rate=plan.rate,
            clock=plan.clock,
            metrics=plan.metrics,
            registry=self.registry,
            subscriptions=self._subscriptions,
            presence=self._presence,
            membership=Membership(
                self.registry,
                self.broker,
                self._fanout,
                self._subscriptions,
                self._presence,
                rooms_per_connection=plan.limits.rooms,
            ),
            dispatch=Dispatch(plan.handlers, plan.rooms, plan.metrics, blocking=plan.limits.blocking),
            authenticate=self._authenticate,
            burst=self._burst,
            begin=self._background.begin,
            wake_at=self._waker.wake_at,
            forget=self._waker.forget,
            room=self.room,
        )
