"""Several workers in one test, on a broker with faults and a clock that the test moves.

    network = Network(seed=7)
    async with network.node(create_app) as one, network.node(create_app) as two:
        async with Tab(one, "alice") as alice, Tab(two, "bob") as bob:
            one.broker.partition()
            await network.clock.advance(12.0)

`create_app` takes a broker, and returns a hub or an application: `Hub(broker=broker, clock=network.clock)`. Nothing
here waits for time or chance that is not the test's: the same seed and the same steps give the same run.
"""

import copy
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette

from hubbub import Hub
from hubbub.brokers.memory.edges import EdgeLog
from hubbub.brokers.memory.revocations import RevocationLog
from hubbub.brokers.memory.shown import ShownTable
from hubbub.brokers.memory.store import Declarations, PresenceTable, Store
from hubbub.brokers.memory.streams import Streams
from hubbub.testing.broker import NetworkBroker
from hubbub.testing.clock import ManualClock
from hubbub.testing.node import Node
from hubbub.testing.one_loop import OneLoop
from hubbub.types import Topic, room_topic, user_topic


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the network's store held at one time."""

    held: dict[str, Any]


class Network:
    """`clock` is for delays, leases and ages, and for the hubs."""

    def __init__(self, *, seed: int = 0, clock: ManualClock | None = None) -> None:
        self.clock: ManualClock = clock or ManualClock()
        self.brokers: list[NetworkBroker] = []
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._epochs = random.Random(seed)  # noqa: S311 - as above; of their own, so that faults do not rename epochs
        self._store = Store(clock=self.clock.now, wall=self.clock.wall)
        self._store.streams = Streams(self._new_epoch)
        self._loop = OneLoop("Network")

    def broker(self) -> NetworkBroker:
        """One more, for a hub of its own."""
        broker = NetworkBroker(self._store, self.clock, random.Random(self._chance.random()), self._loop)  # noqa: S311 - as above
        self.brokers.append(broker)
        return broker

    @asynccontextmanager
    async def node(self, make: Callable[[NetworkBroker], Hub | Starlette]) -> AsyncIterator[Node]:
        """One more worker, while the block lasts."""
        broker = self.broker()
        async with Node(make(broker), broker=broker) as node:
            yield node

    # What may happen to the other side.

    def lose_history(self, *, room: str | None = None, user: str | None = None) -> None:
        """What is kept of one topic, or of all, is gone, positions too: it begins again under another epoch."""
        if room is None and user is None:
            self._store.streams = Streams(self._new_epoch)
        for topic in self._topics(room, user):
            self._store.streams.lose(topic, self._store.clock())

    def flush(self) -> None:
        """It forgets everything that was kept, counted, declared or revoked. Who is subscribed stays so."""
        self._store.streams = Streams(self._new_epoch)
        self._store.presence = PresenceTable()
        self._store.shown = ShownTable()
        self._store.edges = EdgeLog()
        self._store.turns = {}
        self._store.reports = {}
        self._store.declarations = Declarations()
        self._store.revocations = RevocationLog()

    def snapshot(self) -> Snapshot:
        """What `fail_over` can go back to."""
        store = self._store
        return Snapshot(
            {
                "streams": copy.deepcopy(store.streams, {id(self): self}),
                "presence": copy.deepcopy(store.presence),
                "shown": copy.deepcopy(store.shown),
                "edges": copy.deepcopy(store.edges),
                "turns": copy.deepcopy(store.turns),
                "reports": dict(store.reports),
                "declarations": copy.deepcopy(store.declarations),
                "revocations": copy.deepcopy(store.revocations),
            }
        )

    def fail_over(self, to: Snapshot) -> None:
        """A replica that has not heard of what came after the snapshot takes over; everybody connects anew."""
        for name, value in to.held.items():
            setattr(self._store, name, copy.deepcopy(value, {id(self): self}))
        for broker in self.brokers:
            broker.reconnect()

    def _topics(self, room: str | None, user: str | None) -> list[Topic]:
        named = [] if room is None else [room_topic(room)]
        return named if user is None else [*named, user_topic(user)]

    def _new_epoch(self) -> str:
        return f"{self._epochs.getrandbits(32):08x}"
