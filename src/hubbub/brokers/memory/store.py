"""What brokers of one process share: who hears what, what is kept, who is there, whose turn it is.

A store is to a `MemoryBroker` what the server is to a `RedisBroker`. Everything is done in the turn of the loop in
which it is asked for, so each call is atomic. What has run out is forgotten when a later call comes by.

A line longer than other files: every kind of state of a broker is named here once.
"""

import logging
import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import repeat

from hubbub.brokers.memory.edges import EdgeLog
from hubbub.brokers.memory.revocations import RevocationLog
from hubbub.brokers.memory.shown import ShownTable
from hubbub.brokers.memory.streams import Streams
from hubbub.options import BROKER_MEMORY, History
from hubbub.ports.broker import DECLARATION_KNOWN, LIVING, Announcement, Change, Declared, Deliver, Held, Renewal, Shown
from hubbub.ports.logs import Event, fields
from hubbub.types import Position, Topic

logger = logging.getLogger("hubbub.brokers.memory")

#: Seconds for which a holder whose lease ran out is remembered as one.
_LAPSED_KNOWN = 60 * 60.0


class Store:
    """`clock` gives seconds that never jump; all that ends in time ends by it. `wall` gives Unix time in seconds.

    `memory`: bytes that what is kept takes at most, about.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        memory: int = BROKER_MEMORY,
    ) -> None:
        self.clock = clock
        self.wall = wall
        self.streams: Streams = Streams(lambda: secrets.token_hex(8), memory=memory)
        self.presence: PresenceTable = PresenceTable()
        self.edges: EdgeLog = EdgeLog()
        self.shown: ShownTable = ShownTable()
        self.revocations: RevocationLog = RevocationLog()
        self.turns: dict[str, Turn] = {}
        self.reports: dict[str, tuple[bytes, float]] = {}
        self.declarations: Declarations = Declarations()
        self._ears: dict[Topic, tuple[Deliver, ...]] = {}
        self._outgoing: deque[tuple[Topic, bytes, Position | None]] = deque()
        self._delivering = False

    @property
    def topics(self) -> frozenset[Topic]:
        """Those that anybody hears."""
        return frozenset(self._ears)

    def subscribe(self, topic: Topic, deliver: Deliver) -> None:
        ears = self._ears.get(topic, ())
        if deliver not in ears:
            self._ears[topic] = (*ears, deliver)

    def unsubscribe(self, topic: Topic, deliver: Deliver) -> None:
        left = tuple(other for other in self._ears.get(topic, ()) if other != deliver)
        if left:
            self._ears[topic] = left
        else:
            self._ears.pop(topic, None)

    def publish(self, topic: Topic, data: bytes, position: Position | None = None) -> None:
        """All who hear the topic hear this before they hear the next, whoever publishes that while he is told."""
        if topic not in self._ears:
            return
        self._outgoing.append((topic, data, position))
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._outgoing:
                message = self._outgoing.popleft()
                for deliver in self._ears.get(message[0], ()):
                    try:
                        deliver(*message)
                    except Exception:
                        logger.exception("a message could not be delivered", extra=fields(Event.MESSAGE_NOT_DELIVERED))
        finally:
            self._delivering = False

    def keep(self, topic: Topic, data: bytes, keep: History, idempotency_key: str | None) -> Position:
        """As `Broker.publish` says of what is kept."""
        position, new = self.streams.append(topic, data, keep, self.clock(), idempotency_key)
        if new:
            self.publish(topic, data, position)
        return position

    def enter(
        self, topic: Topic, member: str, holder: str, announce: Announcement | None, edge: bool | None = None
    ) -> bool:
        first = self.presence.enter(topic, member, holder)
        if first:
            self._changed(topic, member, announce, edge, here=True)
        return first

    def leave(
        self, topic: Topic, member: str, holder: str, announce: Announcement | None, edge: bool | None = None
    ) -> bool:
        last = self.presence.leave(topic, member, holder)
        if last:
            self._changed(topic, member, announce, edge, here=False)
        return last

    def show(
        self,
        topic: Topic,
        member: str,
        holder: str,
        data: bytes,
        at: int | None,
        announce: Announcement | None,
        change: Change | None,
    ) -> Shown:
        before = self.shown.seen(topic, member)
        place = self.shown.show(topic, member, holder, data, at, self.clock())
        first = self.enter(topic, member, holder, announce)
        self._seen(topic, member, None if first and announce is not None else change, before)
        return Shown(first, place)

    def hide(
        self,
        topic: Topic,
        member: str,
        holder: str,
        announce: Announcement | None,
        change: Change | None,
        edge: bool | None = None,
    ) -> bool:
        before = self.shown.seen(topic, member)
        self.shown.hide(topic, member, holder)
        last = self.leave(topic, member, holder, announce, edge)
        self._seen(topic, member, None if last else change, before)
        return last

    def sweep(
        self,
        held: Held,
        announce: Sequence[Announcement | None],
        changes: Sequence[Change | None],
        edge: bool | None = None,
    ) -> list[bool]:
        if not self.presence.lapsed(held.holder):
            return [False] * len(held.members)
        return [
            self.hide(held.topic, member, held.holder, notice, change, edge)
            for member, notice, change in zip(held.members, announce, changes or repeat(None), strict=False)
        ]

    def _seen(self, topic: Topic, member: str, change: Change | None, before: bytes) -> None:
        now = self.shown.seen(topic, member)
        if change is not None and now != before:
            self.publish(topic, change.of(now))

    def _changed(
        self, topic: Topic, member: str, announce: Announcement | None, edge: bool | None, *, here: bool
    ) -> None:
        self.edges.note(topic, member, edge, self.clock(), self.wall(), here=here)
        if announce is not None:
            self.publish(*announce)

    def take_turn(self, name: str, holder: str, ttl: float) -> int | None:
        now = self.clock()
        turn = self.turns.setdefault(name, Turn())
        if turn.holder not in (None, holder) and now < turn.until:
            return None
        turn.holder, turn.until = holder, now + ttl
        turn.number += 1
        return turn.number

    def give_up(self, name: str, holder: str) -> None:
        turn = self.turns.get(name)
        if turn is not None and turn.holder == holder:
            turn.holder = None


class Declarations:
    """What was declared: when it was said last, and how often by somebody new."""

    def __init__(self) -> None:
        self._said: dict[bytes, float] = {}
        self._version = 0

    def declare(self, word: bytes, now: float) -> Declared:
        fresh = now - self._said.get(word, -math.inf) > LIVING
        self._said = {word: said for word, said in self._said.items() if now - said <= DECLARATION_KNOWN}
        self._said[word] = now
        self._version += fresh
        return self.declared(now, fresh=fresh)

    def declared(self, now: float, *, fresh: bool = False) -> Declared:
        return Declared(str(self._version), fresh, {word: now - said for word, said in self._said.items()})


class Turn:
    """Of one name: whose it is until when, and the number of the last."""

    __slots__ = ("holder", "number", "until")

    def __init__(self) -> None:
        self.holder: str | None = None
        self.number: int = 0
        self.until: float = 0.0


class PresenceTable:
    """Who is in which topic by whom, and which of the holders are to be believed."""

    def __init__(self) -> None:
        self._topics: dict[Topic, dict[str, tuple[str, ...]]] = {}
        # How much each holds: who holds nothing is not looked for. What, is found by looking, because it is asked for
        # only of the dead, and would double what everybody costs.
        self._held: dict[str, int] = {}
        # Every holder is in one of the two at most: until when it is believed, or until when it was.
        self._leases: dict[str, float] = {}
        self._lapsed: dict[str, float] = {}

    def __len__(self) -> int:
        """Topics in which anybody is."""
        return len(self._topics)

    @property
    def holders(self) -> frozenset[str]:
        """Who holds anything."""
        return frozenset(self._held)

    @property
    def all_lapsed(self) -> frozenset[str]:
        """Whose lease ran out, as far as they are remembered."""
        return frozenset(self._lapsed)

    def enter(self, topic: Topic, member: str, holder: str) -> bool:
        # Mostly one holder: a tuple of one is a quarter of a set.
        members = self._topics.setdefault(topic, {})
        holders = members.get(member, ())
        if holder not in holders:
            members[member] = (*holders, holder)
            self._held[holder] = self._held.get(holder, 0) + 1
        return not holders

    def leave(self, topic: Topic, member: str, holder: str) -> bool:
        members = self._topics.get(topic, {})
        holders = members.get(member, ())
        if holder not in holders:
            return False
        self._held[holder] -= 1
        if not self._held[holder]:
            del self._held[holder]
        if len(holders) > 1:
            members[member] = tuple(other for other in holders if other != holder)
            return False
        del members[member]
        if not members:
            del self._topics[topic]
        return True

    def members(self, topic: Topic) -> dict[str, tuple[str, ...]]:
        """With their holders. Not to be changed."""
        return self._topics.get(topic, {})

    def lapsed(self, holder: str) -> bool:
        return holder in self._lapsed

    def renew(self, holder: str, until: float) -> Renewal:
        renewal = Renewal.KEPT if holder in self._leases else Renewal.NEW
        if self._lapsed.pop(holder, None) is not None:
            renewal = Renewal.LOST
        self._leases[holder] = until
        return renewal

    def lost(self, limit: int, now: float, ended: float) -> list[Held]:
        """Of those whose lease had run out at `ended`."""
        for holder in [holder for holder, until in self._leases.items() if until <= ended]:
            self._lapsed[holder] = self._leases.pop(holder)
        over = [holder for holder, since in self._lapsed.items() if since <= now - _LAPSED_KNOWN]
        for holder in over:
            if holder not in self._held:
                del self._lapsed[holder]
        gone = [holder for holder, until in self._lapsed.items() if until <= ended and holder in self._held]
        found: list[Held] = []
        if not gone:
            return found
        for topic, members in self._topics.items():
            for holder in gone:
                theirs = [member for member, holders in members.items() if holder in holders][:limit]
                if theirs:
                    found.append(Held(holder, topic, theirs))
                    limit -= len(theirs)
                if not limit:
                    return found
        return found
