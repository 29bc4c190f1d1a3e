"""The broker of one process: dictionaries, and `deliver` called inside `publish`.

Nothing leaves the process. It gives every guarantee of the port with nothing to install; what it cannot do is carry a
message to a second worker.
"""

import time
from collections.abc import Callable, Sequence

from hubbub.brokers.memory.store import Store
from hubbub.errors import Unavailable
from hubbub.options import History, Keep
from hubbub.ports.broker import (
    TOO_MANY_REVOCATIONS,
    Announcement,
    Change,
    Declared,
    Deliver,
    Edges,
    Entry,
    Held,
    Past,
    Remembered,
    Renewal,
    Shown,
)
from hubbub.types import Position, Topic


class MemoryBroker:
    """Brokers with the same `store` meet on it; default one of its own, which goes by `clock`: seconds that never jump.

    Before `start` and after `stop` every call raises Unavailable.
    """

    def __init__(self, store: Store | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = Store(clock=clock) if store is None else store
        self._deliver: Deliver | None = None
        self._subscribed: set[Topic] = set()
        self._ear = self._heard
        """Once: made anew it would be something of every topic that is heard."""

    @property
    def shared(self) -> bool:
        return False

    @property
    def ready(self) -> bool:
        return self._deliver is not None

    @property
    def refusal(self) -> str | None:
        return None

    @property
    def deaf_for(self) -> float:
        return 0.0

    async def start(self, deliver: Deliver, resumed: Callable[[], None], missed: Callable[[Topic], None]) -> None:
        """`resumed` and `missed` are never called: nothing here can go away."""
        self._deliver = deliver

    async def stop(self) -> None:
        self._deliver = None
        for topic in self._subscribed:
            self._store.unsubscribe(topic, self._ear)
        self._subscribed.clear()

    async def publish(
        self, topic: Topic, data: bytes, *, keep: Keep = None, idempotency_key: str | None = None
    ) -> Position | None:
        if self._deliver is None:
            raise Unavailable
        if keep:
            return self._store.keep(topic, data, keep, idempotency_key)
        if keep is False:
            self._store.streams.lose(topic, self._store.clock())
        self._store.publish(topic, data)
        return None

    async def read(
        self, topic: Topic, keep: History, *, since: int | None = None, limit: int, reverse: bool = False
    ) -> Past:
        store = self._running()
        top, found = store.streams.read(topic, keep, store.clock(), since=since, limit=limit, reverse=reverse)
        return Past(top, [Entry(offset, data) for offset, data in found])

    async def turn_back(self, topic: Topic, keep: History, epoch: str) -> Position:
        store = self._running()
        return store.streams.turn_back(topic, keep, store.clock(), epoch)

    async def subscribe(self, topic: Topic) -> None:
        self._running().subscribe(topic, self._ear)
        self._subscribed.add(topic)

    async def unsubscribe(self, topic: Topic) -> None:
        self._running().unsubscribe(topic, self._ear)
        self._subscribed.discard(topic)

    async def enter(
        self, topic: Topic, member: str, holder: str, announce: Announcement | None = None, *, edge: bool | None = None
    ) -> bool:
        return self._running().enter(topic, member, holder, announce, edge)

    async def leave(
        self, topic: Topic, member: str, holder: str, announce: Announcement | None = None, *, edge: bool | None = None
    ) -> bool:
        return self._running().leave(topic, member, holder, announce, edge)

    async def show(
        self,
        topic: Topic,
        member: str,
        holder: str,
        data: bytes,
        *,
        at: int | None = None,
        announce: Announcement | None = None,
        change: Change | None = None,
    ) -> Shown:
        return self._running().show(topic, member, holder, data, at, announce, change)

    async def hide(
        self,
        topic: Topic,
        member: str,
        holder: str,
        announce: Announcement | None = None,
        change: Change | None = None,
    ) -> bool:
        return self._running().hide(topic, member, holder, announce, change)

    async def renew(self, holder: str, ttl: float) -> Renewal:
        store = self._running()
        return store.presence.renew(holder, store.clock() + ttl)

    async def lost(self, limit: int, *, ago: float = 0.0) -> list[Held]:
        store = self._running()
        return store.presence.lost(limit, store.clock(), store.clock() - ago)

    async def sweep(
        self,
        held: Held,
        announce: Sequence[Announcement | None],
        changes: Sequence[Change | None] = (),
        *,
        edge: bool | None = None,
    ) -> list[bool]:
        return self._running().sweep(held, announce, changes, edge)

    async def edges(self, limit: int) -> Edges:
        store = self._running()
        return store.edges.read(limit, store.clock())

    async def handled(self, number: int) -> None:
        self._running().edges.handled(number)

    async def last_left(self, member: str) -> float | None:
        store = self._running()
        return store.edges.last_left(member, store.clock())

    async def members(self, topic: Topic) -> list[str]:
        return sorted(self._running().presence.members(topic))

    async def shown(self, topic: Topic) -> dict[str, bytes]:
        store = self._running()
        return {member: store.shown.seen(topic, member) for member in store.presence.members(topic)}

    async def count(self, topic: Topic) -> int:
        return len(self._running().presence.members(topic))

    async def contains(self, topic: Topic, member: str) -> bool:
        return member in self._running().presence.members(topic)

    async def declare(self, word: bytes) -> Declared:
        store = self._running()
        return store.declarations.declare(word, store.clock())

    async def declared(self) -> Declared:
        store = self._running()
        return store.declarations.declared(store.clock())

    async def revoke(self, word: bytes, until: float, announce: Announcement) -> None:
        store = self._running()
        if not store.revocations.revoke(word, until, store.wall()):
            raise Unavailable(TOO_MANY_REVOCATIONS)
        store.publish(*announce)

    async def revoked(self, since: int, limit: int) -> list[Remembered]:
        return self._running().revocations.read(since, limit)

    async def take_turn(self, name: str, holder: str, ttl: float) -> int | None:
        return self._running().take_turn(name, holder, ttl)

    async def give_up(self, name: str, holder: str) -> None:
        self._running().give_up(name, holder)

    async def report(self, node: str, facts: bytes, ttl: float) -> None:
        store = self._running()
        store.reports[node] = (facts, store.clock() + ttl)

    async def reports(self) -> dict[str, bytes]:
        store = self._running()
        now = store.clock()
        store.reports = {node: entry for node, entry in store.reports.items() if now < entry[1]}
        return {node: facts for node, (facts, _) in store.reports.items()}

    async def withdraw(self, node: str) -> None:
        self._running().reports.pop(node, None)

    def _running(self) -> Store:
        if self._deliver is None:
            raise Unavailable
        return self._store

    def _heard(self, topic: Topic, data: bytes, position: Position | None) -> None:
        if self._deliver is not None:
            self._deliver(topic, data, position)
