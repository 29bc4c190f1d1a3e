"""The broker of one process: dictionaries, and `deliver` called inside `publish`.

Nothing leaves the process, so two of them never meet. It gives every guarantee of the port with nothing to install;
what it cannot do is carry a message to a second worker.
"""

import time
from collections.abc import Callable

from hubbub.errors import Unavailable
from hubbub.ports.broker import Announcement, Deliver
from hubbub.types import Position, Topic


class MemoryBroker:
    """`clock` gives seconds that never jump; turns and reports expire by it. Default `time.monotonic`.

    Before `start` and after `stop` every call raises Unavailable.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deliver: Deliver | None = None
        self._subscribed: set[Topic] = set()
        self._holders: dict[Topic, dict[str, tuple[str, ...]]] = {}
        self._turns: dict[str, int] = {}
        self._leases: dict[str, tuple[str, float]] = {}
        self._reports: dict[str, tuple[bytes, float]] = {}

    @property
    def shared(self) -> bool:
        return False

    @property
    def ready(self) -> bool:
        return self._deliver is not None

    async def start(self, deliver: Deliver, resumed: Callable[[], None]) -> None:
        """`resumed` is never called: nothing here can go away."""
        self._deliver = deliver

    async def stop(self) -> None:
        self._deliver = None
        self._subscribed.clear()

    async def publish(self, topic: Topic, data: bytes) -> Position | None:
        self._publish(topic, data)
        return None

    async def subscribe(self, topic: Topic) -> None:
        self._running()
        self._subscribed.add(topic)

    async def unsubscribe(self, topic: Topic) -> None:
        self._running()
        self._subscribed.discard(topic)

    async def enter(self, topic: Topic, member: str, holder: str, announce: Announcement | None = None) -> bool:
        self._running()
        # Mostly one holder: a tuple of one is a quarter of a set.
        members = self._holders.setdefault(topic, {})
        holders = members.get(member, ())
        if holder not in holders:
            members[member] = (*holders, holder)
        if not holders and announce is not None:
            self._publish(*announce)
        return not holders

    async def leave(self, topic: Topic, member: str, holder: str, announce: Announcement | None = None) -> bool:
        self._running()
        members = self._holders.get(topic, {})
        holders = members.get(member, ())
        if holder not in holders:
            return False
        if len(holders) > 1:
            members[member] = tuple(other for other in holders if other != holder)
            return False
        del members[member]
        if not members:
            del self._holders[topic]
        if announce is not None:
            self._publish(*announce)
        return True

    async def members(self, topic: Topic) -> list[str]:
        self._running()
        return sorted(self._holders.get(topic, ()))

    async def count(self, topic: Topic) -> int:
        self._running()
        return len(self._holders.get(topic, ()))

    async def contains(self, topic: Topic, member: str) -> bool:
        self._running()
        return member in self._holders.get(topic, ())

    async def take_turn(self, name: str, holder: str, ttl: float) -> int | None:
        self._running()
        now = self._clock()
        owner, until = self._leases.get(name, (holder, now))
        if owner != holder and now < until:
            return None
        self._leases[name] = (holder, now + ttl)
        self._turns[name] = self._turns.get(name, 0) + 1
        return self._turns[name]

    async def give_up(self, name: str, holder: str) -> None:
        self._running()
        if self._leases.get(name, ("", 0.0))[0] == holder:
            del self._leases[name]

    async def report(self, node: str, facts: bytes, ttl: float) -> None:
        self._running()
        self._reports[node] = (facts, self._clock() + ttl)

    async def reports(self) -> dict[str, bytes]:
        self._running()
        now = self._clock()
        self._reports = {node: entry for node, entry in self._reports.items() if now < entry[1]}
        return {node: facts for node, (facts, _) in self._reports.items()}

    async def withdraw(self, node: str) -> None:
        self._running()
        self._reports.pop(node, None)

    def _running(self) -> Deliver:
        if self._deliver is None:
            raise Unavailable
        return self._deliver

    def _publish(self, topic: Topic, data: bytes) -> None:
        deliver = self._running()
        if topic in self._subscribed:
            deliver(topic, data)
