"""What one connection has still to be sent, bounded in bytes.

A sender offers and never waits. What does not fit is refused, and the answer says so: whoever offers decides what
that means (today: the reader is too slow and is closed with 1013). A message counts until the transport has handed it
over, so one that a stalled peer does not take keeps its room.
"""

from collections import deque

from hubbub.wire.codec import Prepared


class Outbox:
    __slots__ = ("_limit", "_waiting", "unsent")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[Prepared] = deque()
        self.unsent = 0

    def offer(self, message: Prepared) -> bool:
        """Whether it was taken."""
        if self.unsent + len(message) > self._limit:
            return False
        self.unsent += len(message)
        self._waiting.append(message)
        return True

    def first(self, message: Prepared) -> None:
        """Before all that waits, whatever the bound."""
        self.unsent += len(message)
        self._waiting.appendleft(message)

    def next(self) -> Prepared | None:
        """The oldest that waits; it counts as unsent until `sent`."""
        return self._waiting.popleft() if self._waiting else None

    def sent(self, message: Prepared) -> None:
        self.unsent -= len(message)

    def clear(self) -> None:
        """Forget what waits: the connection is closing and its reader could not keep up."""
        while (message := self.next()) is not None:
            self.sent(message)
