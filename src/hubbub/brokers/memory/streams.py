"""What is kept of topics, by size and age: the positions, the messages, and which idempotency keys were seen.

Kept as one topic's stream is by a server: the messages go first, the position a day after them. What is over goes when
a later call comes by, so that nothing here needs a timer, and nothing grows that nobody says anything in: of a topic
without a message nothing is kept (`ports/epochs.py`). An epoch is the caller's, because a pure module has no chance.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import islice

from hubbub.errors import Unavailable
from hubbub.options import BROKER_MEMORY, History
from hubbub.ports.broker import KEY_KNOWN, POSITION_KNOWN
from hubbub.ports.epochs import BEGUN_KNOWN, unbegun
from hubbub.types import Position

#: Bytes that a stream takes before its first message, and a message beside its data: about.
_STREAM, _ENTRY = 1024, 160
#: And what is remembered of one that began.
_BEGUN = 200
#: Topics of which that is remembered, at most: clients may bring about as many as they like.
BEGUN_MOST = 250_000


class Stream:
    """One topic's. `now` is in seconds on a clock that never goes back."""

    __slots__ = ("_entries", "_epoch", "_kept_until", "_keys", "_known_until", "_top", "size")

    def __init__(self, epoch: str) -> None:
        self._epoch = epoch
        self._top = 0
        self._entries: deque[tuple[int, bytes, float]] = deque()
        self._keys: dict[str, tuple[Position, float]] = {}
        self._kept_until = self._known_until = 0.0
        self.size: int = _STREAM
        """Bytes it takes, about."""

    @property
    def position(self) -> Position:
        """Of the newest message there ever was."""
        return Position(self._epoch, self._top)

    @property
    def offsets(self) -> list[int]:
        """Of the messages that are held, also of those too old to be read."""
        return [offset for offset, *_ in self._entries]

    @property
    def idempotency_keys(self) -> frozenset[str]:
        """Those that are held, also of those known no longer."""
        return frozenset(self._keys)

    def seen(self, idempotency_key: str, now: float) -> Position | None:
        """What was appended under the idempotency key within KEY_KNOWN."""
        position, until = self._keys.get(idempotency_key, (None, 0.0))
        return position if now < until else None

    def append(self, data: bytes, keep: History, now: float, idempotency_key: str | None = None) -> Position:
        self.touch(keep, now)
        self._kept_until = now + keep.ttl
        self._top += 1
        entries = self._entries
        entries.append((self._top, data, now))
        self.size += len(data) + _ENTRY
        while len(entries) > keep.size or now - entries[0][2] >= keep.ttl:
            self.size -= len(entries.popleft()[1]) + _ENTRY
        position = self.position
        if idempotency_key is not None:
            self._forget_keys(now)
            self._keys[idempotency_key] = position, now + KEY_KNOWN
        return position

    def read(
        self, keep: History, now: float, *, since: int | None, limit: int, reverse: bool = False
    ) -> list[tuple[int, bytes]]:
        """Offset and data, as `Broker.read` says."""
        self.touch(keep, now)
        if not self._entries:
            return []
        # One after the other without a hole, so an offset is a distance from the oldest.
        oldest = self._entries[0][0]
        first, last = max(oldest, self._top - keep.size + 1), self._top
        if since is not None:
            first, last = (first, min(last, since - 1)) if reverse else (max(first, since + 1), last)
        if reverse:
            first = max(first, last - limit + 1)
        found = islice(self._entries, max(0, first - oldest), max(0, last + 1 - oldest))
        entries = list(islice(((offset, data) for offset, data, at in found if now - at < keep.ttl), limit))
        if reverse:
            entries.reverse()
        return entries

    def turn_back(self, epoch: str, another: str) -> Position:
        """As `Broker.turn_back` says."""
        if self._epoch == epoch:
            self._epoch = another
        return self.position

    def touch(self, keep: History, now: float) -> None:
        """The position is asked for, and known for longer."""
        self._known_until = now + keep.ttl + POSITION_KNOWN

    def forget(self, now: float) -> float | None:
        """Forget what is over. When to come by again; None where nothing is left, the position neither."""
        if now >= self._known_until:
            return None
        due = self._known_until
        if self._entries and now >= self._kept_until:
            self._entries.clear()
            self.size = _STREAM
        elif self._entries:
            due = min(due, self._kept_until)
        self._forget_keys(now)
        if self._keys:
            due = min(due, now + KEY_KNOWN)
        return due

    def _forget_keys(self, now: float) -> None:
        # All are known equally long, so the first that came is the first to go.
        while self._keys and (first := next(iter(self._keys.items())))[1][1] <= now:
            del self._keys[first[0]]


class Streams:
    """Every topic's. `new_epoch` gives a name that no life of a stream has had: ASCII without a colon or a hyphen.

    `memory`: bytes they take at most, about.
    """

    def __init__(self, new_epoch: Callable[[], str], *, memory: int = BROKER_MEMORY, begun: int = BEGUN_MOST) -> None:
        self._new_epoch = new_epoch
        self._memory = memory
        # A quarter of the memory, or new topics would be refused for what is long gone.
        self._begun_most = min(begun, memory // 4 // _BEGUN)
        self._streams: dict[str, Stream] = {}
        self._life = new_epoch()
        # When a topic's history began, the oldest first: `ports/epochs.py`.
        self._begun: dict[str, float] = {}
        # One a topic: when there may be something to forget.
        self._due: list[tuple[float, str]] = []
        self.size: int = 0
        """Bytes they take, about."""

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def looks(self) -> int:
        """How many times to come by are noted."""
        return len(self._due)

    @property
    def begun(self) -> frozenset[str]:
        """The topics of which it is remembered that their history began."""
        return frozenset(self._begun)

    def append(
        self, topic: str, data: bytes, keep: History, now: float, idempotency_key: str | None = None
    ) -> tuple[Position, bool]:
        """The position, and whether it is a new one: False where the key was seen. Raises Unavailable where full."""
        self._forget(now)
        stream = self._streams.get(topic)
        if stream is not None and idempotency_key is not None and (seen := stream.seen(idempotency_key, now)):
            return seen, False
        more = len(data) + _ENTRY + (0 if stream else _STREAM)
        if self.size + len(self._begun) * _BEGUN + more > self._memory:
            raise Unavailable("the broker's memory is full")
        if stream is None:
            stream = self._begin(topic, self._unbegun(topic, now) or self._new_epoch(), keep, now)
        before = stream.size
        position = stream.append(data, keep, now, idempotency_key)
        self.size += stream.size - before
        return position, True

    def read(
        self, topic: str, keep: History, now: float, *, since: int | None, limit: int, reverse: bool = False
    ) -> tuple[Position, list[tuple[int, bytes]]]:
        self._forget(now)
        stream = self._streams.get(topic)
        if stream is None:
            epoch = self._unbegun(topic, now)
            if epoch is not None:
                return Position(epoch, 0), []
            stream = self._begin(topic, self._new_epoch(), keep, now)
        entries = stream.read(keep, now, since=since, limit=limit, reverse=reverse)
        return stream.position, entries

    def turn_back(self, topic: str, keep: History, now: float, epoch: str) -> Position:
        self._forget(now)
        stream = self._streams.get(topic)
        if stream is None:
            stream = self._begin(topic, self._new_epoch(), keep, now)
        return stream.turn_back(epoch, self._new_epoch())

    def lose(self, topic: str, now: float) -> None:
        """What is kept of the topic is gone, its position too, and every position from before it."""
        self._note(topic, now)
        stream = self._streams.get(topic)
        if stream is not None:
            fresh = self._streams[topic] = Stream(self._new_epoch())
            self.size += fresh.size - stream.size

    def _unbegun(self, topic: str, now: float) -> str | None:
        """The epoch of a topic that nothing was said in; None where something was, and is lost."""
        return None if topic in self._begun else unbegun(self._life, now)

    def _begin(self, topic: str, epoch: str, keep: History, now: float) -> Stream:
        stream = self._streams[topic] = Stream(epoch)
        self.size += stream.size
        stream.touch(keep, now)
        heappush(self._due, (now + keep.ttl, topic))
        self._note(topic, now)
        return stream

    def _note(self, topic: str, now: float) -> None:
        if len(self._begun) >= self._begun_most:
            # What is forgotten has no name in common with what comes: a position from before any message is lost.
            self._begun.clear()
            self._life = self._new_epoch()
        self._begun.pop(topic, None)  # what was noted last stands last
        self._begun[topic] = now

    def _forget(self, now: float) -> None:
        while self._begun and now - self._begun[first := next(iter(self._begun))] >= BEGUN_KNOWN:
            del self._begun[first]
        while self._due and self._due[0][0] <= now:
            _, topic = heappop(self._due)
            stream = self._streams[topic]
            before = stream.size
            due = stream.forget(now)
            if due is None:
                del self._streams[topic]
                self.size -= before
            else:
                self.size += stream.size - before
                heappush(self._due, (due, topic))
