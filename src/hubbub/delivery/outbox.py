"""What one connection has still to be sent, bounded in bytes.

A sender offers and never waits. What does not fit is treated as its lane says: refused (whoever offered closes the
connection), or room is made among what waits of the same room. A client is told of every message it loses: the first
one dropped becomes a gap in its place, and the next ones are counted there, so a room's gap goes before what is left of
that room. A message counts until the transport has handed it over.

Under `latest` a newer value goes to the end and the older one vanishes: a slow reader sees the room's messages in the
order everybody sees, with some left out. Giving it the older one's place lost: a total would overtake the parts it was
made from. The price: where one `take` does not take all values, those that change most often wait longest.

What vanishes from the middle leaves an empty entry, and the queue is rewritten when half of it is empty: O(1) for each.
A linked queue lost, because it would cost the messages of every policy several times the memory.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hubbub.options import Slow
from hubbub.protocol import messages as wire
from hubbub.protocol.codec import Prepared
from hubbub.types import Position

#: Empty entries in a short queue are not worth rewriting it.
FEW = 32


@dataclass(frozen=True, slots=True)
class Lane:
    """How a room's message is treated where it does not fit.

    `key`: of the value it is, under `latest`. `position`: where it stands in the room's history, if it has one.
    """

    room: str
    slow: Slow
    key: str | None = None
    position: Position | None = None


class _Laned:
    """A message of a lane. Without `message` it is a gap of `dropped` messages, or empty where that is 0."""

    __slots__ = ("dropped", "first", "lane", "last", "message")

    def __init__(self, message: Prepared, lane: Lane) -> None:
        self.message: Prepared | None = message
        self.lane = lane
        self.dropped = 0
        # Of the messages dropped, those with a position.
        self.first: Position | None = None
        self.last: Position | None = None

    def count(self, position: Position | None) -> None:
        """One more is dropped."""
        self.dropped += 1
        if position is not None:
            self.first = self.first or position
            self.last = position

    def gap(self) -> Prepared:
        """What the client is told."""
        name = self.lane.room
        if self.first is None or self.last is None:
            return wire.dropped(name, self.dropped)
        # Where the dropped ones are of two lives of the stream, a gap of the new one says so of the old one too.
        after = self.first.offset - 1 if self.first.epoch == self.last.epoch else 0
        return wire.gap(name, epoch=self.last.epoch, after=after, upto=self.last.offset)


class _Room:
    """What waits of one room: its messages, oldest first, empty entries among them, but never the last."""

    __slots__ = ("gap", "messages", "values")

    def __init__(self) -> None:
        self.messages: deque[_Laned] = deque()
        self.values: dict[str | None, _Laned] = {}
        """The newest by key, under `latest`."""
        self.gap: _Laned | None = None
        """Where drops are counted. Stands before all of `messages`."""

    def forget(self, entry: _Laned) -> None:
        """It waits no longer; where it was a value, there is none until the next."""
        if self.values.get(entry.lane.key) is entry:
            del self.values[entry.lane.key]


_Entry: TypeAlias = Prepared | _Laned


class Outbox:
    """Of at most `limit` bytes. `unsent`: bytes that wait, or were taken and not yet sent."""

    __slots__ = ("_dropped", "_empty", "_limit", "_rooms", "_superseded", "_waiting", "unsent")

    def __init__(self, limit: int) -> None:
        self.unsent: int = 0
        self._limit = limit
        # Both are there only while something waits: most outboxes are empty most of the time.
        self._waiting: deque[_Entry] | None = None
        self._rooms: dict[str, _Room] | None = None
        self._empty = 0
        self._dropped = 0
        self._superseded = 0

    @property
    def waiting(self) -> bool:
        """Whether there is anything to take."""
        return self._waiting is not None

    def offer(self, message: Prepared, lane: Lane | None = None) -> bool:
        """Whether it was dealt with. False: it does not fit, and its policy (without a lane too) is to disconnect."""
        size = len(message)
        if lane is None or lane.slow is Slow.DISCONNECT:
            if self.unsent + size > self._limit:
                return False
            self.unsent += size
            self._queue().append(message)
            return True
        room = self._room(lane.room)
        entry = _Laned(message, lane)
        if lane.slow is Slow.LATEST:
            older = room.values.get(lane.key)
            if older is not None:
                self._supersede(older)
            room.values[lane.key] = entry
        self.unsent += size
        room.messages.append(entry)
        self._queue().append(entry)
        while self.unsent > self._limit and room.messages:
            self._drop_oldest(room)
        self._tidy()
        return True

    def first(self, message: Prepared) -> None:
        """Before all that waits, whatever the bound."""
        self.unsent += len(message)
        self._queue().appendleft(message)

    def put_back(self, messages: Sequence[tuple[Prepared, Lane | None]]) -> bool:
        """As `offer` for each, in order, but before all that waits: a write past the outbox was short of these.

        They did not count as unsent. What waits already makes no room for them: it is newer.
        """
        behind = self._waiting, self._rooms, self._empty
        self._waiting, self._rooms, self._empty = None, None, 0
        fits = all(self.offer(message, lane) for message, lane in messages)
        if behind[0] is not None:
            before = self._queue()
            self._waiting, self._rooms, self._empty = behind
            for entry in reversed(before):
                self._prepend(entry)
        return fits

    def take(self, size: int) -> list[Prepared]:
        """The oldest: as many as it takes to reach `size` bytes, at least one where any waits.

        They count as unsent until `sent`.
        """
        taken: list[Prepared] = []
        waiting = self._waiting
        if waiting is None:
            return taken
        while waiting and (size > 0 or not taken):
            entry = waiting.popleft()
            message = entry if isinstance(entry, Prepared) else self._due(entry)
            if message is not None:
                taken.append(message)
                size -= len(message)
        if len(waiting) == self._empty:
            self._let_go()
        return taken

    def sent(self, size: int) -> None:
        """So many bytes of messages taken were handed over."""
        self.unsent -= size

    def clear(self) -> None:
        """Forget what waits: the connection is closing and its reader could not keep up."""
        for entry in self._waiting or ():
            message = entry if isinstance(entry, Prepared) else entry.message
            self.unsent -= len(message or b"")
        self._let_go()

    def refused(self) -> tuple[int, int]:
        """Messages dropped, and messages superseded by a newer value, since this was last asked."""
        refused = self._dropped, self._superseded
        self._dropped = self._superseded = 0
        return refused

    # How it works.

    def _queue(self) -> deque[_Entry]:
        if self._waiting is None:
            self._waiting = deque()
        return self._waiting

    def _room(self, name: str) -> _Room:
        if self._rooms is None:
            self._rooms = {}
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = _Room()
        return room

    def _let_go(self) -> None:
        self._waiting = self._rooms = None
        self._empty = 0

    def _vacate(self, entry: _Laned) -> None:
        self.unsent -= len(entry.message or b"")
        entry.message = None

    def _supersede(self, older: _Laned) -> None:
        self._vacate(older)
        self._superseded += 1
        self._empty += 1

    def _drop_oldest(self, room: _Room) -> None:
        entry = room.messages.popleft()
        if entry.message is None:
            return
        self._vacate(entry)
        self._dropped += 1
        room.forget(entry)
        if room.gap is None:
            room.gap = entry
        else:
            self._empty += 1
        room.gap.count(entry.lane.position)

    def _due(self, entry: _Laned) -> Prepared | None:
        """What is to be sent of an entry that has left the queue: its message, its gap, or nothing."""
        message, name = entry.message, entry.lane.room
        room = self._room(name)
        if room.messages and room.messages[0] is entry:
            room.messages.popleft()
        if message is not None:
            room.forget(entry)
        elif entry.dropped:
            message = entry.gap()
            self.unsent += len(message)
            if room.gap is entry:
                room.gap = None
        else:
            self._empty -= 1
        if self._rooms and not room.messages and room.gap is None:
            del self._rooms[name]
        return message

    def _prepend(self, entry: _Entry) -> None:
        """Put an entry of another queue before all that waits."""
        if isinstance(entry, _Laned):
            if entry.message is None and not entry.dropped:
                return
            room = self._room(entry.lane.room)
            if entry.message is None:
                room.gap = entry
            elif entry.lane.slow is Slow.LATEST and entry.lane.key in room.values:
                self._vacate(entry)
                self._superseded += 1
                return
            else:
                # A gap that waits would now come after a message it may be about. It stays as it is.
                room.gap = None
                room.messages.appendleft(entry)
                if entry.lane.slow is Slow.LATEST:
                    room.values[entry.lane.key] = entry
        self._queue().appendleft(entry)

    def _tidy(self) -> None:
        waiting = self._waiting
        if waiting is None or self._empty <= max(FEW, len(waiting) // 2):
            return
        self._waiting = deque(
            entry for entry in waiting if isinstance(entry, Prepared) or entry.message is not None or entry.dropped
        )
        for room in (self._rooms or {}).values():
            room.messages = deque(entry for entry in room.messages if entry.message is not None)
        self._empty = 0
