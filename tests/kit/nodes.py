"""Nodes that meet on one store, at a time that the test moves, with lines to it that can be cut."""

import asyncio
from typing import Any

from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.memory.store import Store
from hubbub.errors import Unavailable
from hubbub.hub.composition import compose
from hubbub.options import Leaving, RoomOptions
from hubbub.ports.broker import Announcement, Held, Renewal, Shown
from hubbub.ports.metrics import Tally
from hubbub.protocol.envelope import Envelope
from hubbub.testing import ManualClock, settle
from hubbub.types import EVERYONE, NodeId, Topic, room_topic
from tests.kit.declared import declared

ROOM = room_topic("r")


class Line(MemoryBroker):
    """A node's way to the store they all share. `away`: nothing gets through; `mute`: no answer comes back."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.away = self.mute = False
        self.renewals: list[Renewal] = []
        self.ttls: list[float] = []
        self.most = 0
        """Members that were swept in one turn, at most."""
        self.sweeps: int | None = None
        """How many more sweeps get through."""

    async def renew(self, holder: str, ttl: float) -> Renewal:
        self._check()
        renewal = await super().renew(holder, ttl)
        if self.mute:
            raise Unavailable
        self.renewals.append(renewal)
        self.ttls.append(ttl)
        return renewal

    async def lost(self, limit: int, *, ago: float = 0.0) -> list[Held]:
        self._check()
        found = await super().lost(limit, ago=ago)
        self.most = max(self.most, sum(len(held.members) for held in found))
        return found

    async def sweep(self, held: Held, announce: Any, changes: Any = (), *, edge: bool | None = None) -> list[bool]:
        self._check()
        if self.sweeps is not None:
            self.sweeps -= 1
            if self.sweeps < 0:
                raise Unavailable
        await asyncio.sleep(0)
        return await super().sweep(held, announce, changes, edge=edge)

    async def enter(
        self, topic: Topic, member: str, holder: str, announce: Announcement | None = None, *, edge: bool | None = None
    ) -> bool:
        self._check()
        return await super().enter(topic, member, holder, announce, edge=edge)

    async def show(self, topic: Topic, member: str, holder: str, data: bytes, **said: Any) -> Shown:
        self._check()
        return await super().show(topic, member, holder, data, **said)

    def _check(self) -> None:
        if self.away:
            raise Unavailable


class Node:
    def __init__(self, name: str, store: Store, clock: ManualClock) -> None:
        self.line = Line(store)
        parts = compose(
            self.line,
            clock,
            leaving=Leaving(lease=10, grace=0),
            declared=declared({"d": RoomOptions(presence=True, diff=True), "{room:path}": RoomOptions(presence=True)}),
            announce_users=True,
            node=NodeId(name),
            metrics=(metrics := Tally()),
        )
        self.counts = metrics.counts
        self.background, self.presence, self.leases = parts.background, parts.presence, parts.lease

    async def start(self) -> None:
        await self.line.start(lambda *_: None, lambda: None, lambda _: None)
        await self.leases.start()
        await settle()

    async def die(self) -> None:
        """Without a word."""
        self.line.away = True
        await self.leases.stop()


class Cluster:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = Store(clock=self.clock.now)
        self.said: list[tuple[str, bytes]] = []
        self.nodes: list[Node] = []
        for topic in (ROOM, room_topic("d"), EVERYONE):
            self.store.subscribe(topic, self._hear)

    def _hear(self, topic: Topic, data: bytes, _: Any) -> None:
        self.said.append((topic, Envelope.decode(data).payload))

    async def node(self, name: str) -> Node:
        node = Node(name, self.store, self.clock)
        self.nodes.append(node)
        await node.start()
        return node

    async def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.clock.move(0.25)
            await settle()

    def of(self, word: str) -> list[bytes]:
        return [payload for _, payload in self.said if word.encode() in payload]

    def members(self, topic: Topic) -> list[str]:
        return sorted(self.store.presence.members(topic))
