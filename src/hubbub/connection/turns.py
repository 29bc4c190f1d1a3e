"""What a connection's client asked for and is not done yet: which of it waits, beside what, and what waits for nothing.

Requests are worked on one at a time, in the order in which they came. Messages, joins and leaves are counted apart: who
comes back joins all its rooms at once, who goes elsewhere leaves them at once, and what waits of either is little more
than a name. They stand in one queue all the same, because a message to a room must not be handled before the room was
joined.

What is declared `at_once` has a line of its own beside that queue: in order among its like, bounded alike, and there
only where somebody uses it.

They are bounded in bytes as well, both lines together. Nobody is refused for that: the client is not read until half of
what waits is done, so it is the sender who waits.
"""

import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from hubbub.connection.iterator import MessageIterator
from hubbub.connection.requests import Request
from hubbub.options import Limits
from hubbub.ports.transport import Transport
from hubbub.protocol.join_room import Join
from hubbub.protocol.session import Leave, Message
from hubbub.scheduling.serial import Serial
from hubbub.scheduling.tasks import Begin

#: Of which there is one for each room.
_OF_ROOMS = (Join, Leave)
#: Bytes that a list or an object takes in memory beside those it was read from, and any other value.
_CONTAINER, _VALUE = 128, 64


class _Side(Protocol):
    @property
    def transport(self) -> Transport | None: ...

    @property
    def welcomed(self) -> bool: ...


class Owner(Protocol):
    """The connection whose requests they are."""

    @property
    def outbound(self) -> _Side: ...

    @property
    def iterator(self) -> MessageIterator | None: ...


Client = TypeVar("Client", bound=Owner)


class Turns(Serial[Client, Request]):
    """Beside the request that is worked on `limits.waiting` others may wait, and joins of `limits.rooms` and `@me`.

    And as many leaves.
    """

    __slots__ = ("_at_once", "_limits", "_weight", "stopped")

    def __init__(
        self,
        begin: Begin,
        do: Callable[[Client, Request], Coroutine[Any, Any, None]],
        owner: Client,
        limits: Limits,
        *,
        context: contextvars.Context,
    ) -> None:
        super().__init__(begin, do, owner, limit=limits.waiting, context=context)
        self._limits = limits
        self._at_once: _Beside[Client] | None = None
        self._weight = 0
        self.stopped: bool = False
        """Nothing more is read, because so much waits."""

    def overtake(self, message: Message, source: str | bytes = b"") -> bool:
        """As `submit`, past all that waits; in its turn before `welcome`, and where a route reads the messages."""
        owner = self._owner
        if not owner.outbound.welcomed or owner.iterator is not None:
            return self.submit(message, source)
        if self._at_once is None:
            self._at_once = _Beside(self._begin, self._do, owner, limit=self._limit, context=self._context)
            self._at_once.turns = self
        return self._at_once.submit(message, source)

    def clear(self) -> None:
        super().clear()
        if self._at_once is not None:
            self._at_once.clear()

    def weighed(self, more: int) -> None:
        """What waits weighs so much more, or less."""
        self._weight += more
        outbound, limits = self._owner.outbound, self._limits
        limit = limits.waiting_bytes if outbound.welcomed else limits.first_message
        if outbound.transport is None:
            return
        if self.stopped and self._weight <= limit // 2:
            self.stopped = False
            outbound.transport.read_on()
        elif not self.stopped and self._weight > limit:
            self.stopped = True
            outbound.transport.stop_reading()

    def _weighed(self, more: int) -> None:
        self.weighed(more)

    def _weight_of(self, work: Request, source: str | bytes) -> int:
        return weight(work, source)

    def _fits_beside(self, waiting: deque[tuple[Request, int]], work: Request) -> bool:
        # Counted where it is in doubt, and so seldom: a number kept for it would be of every connection.
        kind = type(work)
        if kind in _OF_ROOMS:
            return sum(type(each) is kind for each, _ in waiting) <= self._limits.rooms
        return sum(type(each) not in _OF_ROOMS for each, _ in waiting) < self._limit


class _Beside(Serial[Client, Request]):
    """What passes the queue."""

    __slots__ = ("turns",)

    turns: Turns[Client]

    def _weight_of(self, work: Request, source: str | bytes) -> int:
        return weight(work, source)

    def _weighed(self, more: int) -> None:
        self.turns.weighed(more)


def weight(work: Request, source: str | bytes) -> int:
    """What this takes in memory while it waits, about and rather more; `source`: what it was read from."""
    if isinstance(work, Join):  # of a message that may have asked for several
        return len(work.room) + len(work.since.epoch or "" if work.since else "")
    if isinstance(source, bytes):
        return len(source)
    return len(source) + _CONTAINER * (source.count("{") + source.count("[")) + _VALUE * source.count(",")
