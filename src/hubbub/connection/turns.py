"""What a connection's client asked for and is not done yet: which of it waits, beside what, and what waits for nothing.

Requests are worked on one at a time, in the order in which they came. Messages, joins and leaves are counted apart: who
comes back joins all its rooms at once, who goes elsewhere leaves them at once, and what waits of either is little more
than a name. They stand in one queue all the same, because a message to a room must not be handled before the room was
joined.

What is declared `at_once` has a line of its own beside that queue: in order among its like, bounded alike, and there
only where somebody uses it.
"""

import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from hubbub.connection.iterator import MessageIterator
from hubbub.connection.requests import Request
from hubbub.options import Limits
from hubbub.protocol.join_room import Join
from hubbub.protocol.session import Leave, Message
from hubbub.scheduling.serial import Serial
from hubbub.scheduling.tasks import Begin

#: Of which there is one for each room.
_OF_ROOMS = (Join, Leave)


class _Side(Protocol):
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

    __slots__ = ("_at_once", "_rooms")

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
        self._rooms = limits.rooms + 1
        self._at_once: Serial[Client, Request] | None = None

    def overtake(self, message: Message) -> bool:
        """As `submit`, past all that waits; in its turn before `welcome`, and where a route reads the messages."""
        owner = self._owner
        if not owner.outbound.welcomed or owner.iterator is not None:
            return self.submit(message)
        if self._at_once is None:
            self._at_once = Serial(self._begin, self._do, owner, limit=self._limit, context=self._context)
        return self._at_once.submit(message)

    def clear(self) -> None:
        super().clear()
        if self._at_once is not None:
            self._at_once.clear()

    def _fits_beside(self, waiting: deque[Request], work: Request) -> bool:
        # Counted where it is in doubt, and so seldom: a number kept for it would be of every connection.
        kind = type(work)
        if kind in _OF_ROOMS:
            return sum(type(each) is kind for each in waiting) < self._rooms
        return sum(type(each) not in _OF_ROOMS for each in waiting) < self._limit
