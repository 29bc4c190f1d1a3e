"""What is kept of topics, by size and age: the positions, the messages, and which idempotency keys were seen.

Kept as one topic's stream is by a server: the messages go first, the position a day after them. What is over goes when
a later call comes by, so that nothing here needs a timer, and nothing grows that nobody asks for. An epoch is the
caller's, because a pure module has no chance of its own.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import islice

from hubbub.options import History
from hubbub.ports.broker import KEY_KNOWN, POSITION_KNOWN
from hubbub.types import Position


class Stream:
    """One topic's. `now` is in seconds on a clock that never goes back."""

    __slots__ = ("_entries", "_epoch", "_kept_until", "_keys", "_known_until", "_top")

    def __init__(self, epoch: str) -> None:
        self._epoch = epoch
        self._top = 0
        self._entries: deque[tuple[int, bytes, float]] = deque()
        self._keys: dict[str, tuple[Position, float]] = {}
        self._kept_until = self._known_until = 0.0

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
        while len(entries) > keep.size or now - entries[0][2] >= keep.ttl:
            entries.popleft()
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
    """Every topic's. `new_epoch` gives a name that no life of a stream has had: ASCII without a colon."""

    def __init__(self, new_epoch: Callable[[], str]) -> None:
        self._new_epoch = new_epoch
        self._streams: dict[str, Stream] = {}
        # One a topic: when there may be something to forget.
        self._due: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def looks(self) -> int:
        """How many times to come by are noted."""
        return len(self._due)

    def append(
        self, topic: str, data: bytes, keep: History, now: float, idempotency_key: str | None = None
    ) -> tuple[Position, bool]:
        """The position, and whether it is a new one: False where the key was seen."""
        stream = self._of(topic, keep, now)
        if idempotency_key is not None and (seen := stream.seen(idempotency_key, now)) is not None:
            return seen, False
        return stream.append(data, keep, now, idempotency_key), True

    def read(
        self, topic: str, keep: History, now: float, *, since: int | None, limit: int, reverse: bool = False
    ) -> tuple[Position, list[tuple[int, bytes]]]:
        stream = self._of(topic, keep, now)
        entries = stream.read(keep, now, since=since, limit=limit, reverse=reverse)
        return stream.position, entries

    def turn_back(self, topic: str, keep: History, now: float, epoch: str) -> Position:
        return self._of(topic, keep, now).turn_back(epoch, self._new_epoch())

    def lose(self, topic: str) -> None:
        """What is kept of the topic is gone, its position too."""
        if topic in self._streams:
            self._streams[topic] = Stream(self._new_epoch())

    def _of(self, topic: str, keep: History, now: float) -> Stream:
        self._forget(now)
        stream = self._streams.get(topic)
        if stream is None:
            stream = self._streams[topic] = Stream(self._new_epoch())
            stream.touch(keep, now)
            heappush(self._due, (now + keep.ttl, topic))
        return stream

    def _forget(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            _, topic = heappop(self._due)
            stream = self._streams.get(topic)
            due = None if stream is None else stream.forget(now)
            if due is None:
                self._streams.pop(topic, None)
            else:
                heappush(self._due, (due, topic))
