"""What the broker brings of a topic while the worker cannot pass it on yet, in the order in which it came.

It is bounded, because a broker that answers slowly must not fill the worker's memory. What does not fit is lost here
only where it is kept elsewhere: a message that history has is left out, and read again; one that history has not makes
room for itself, as its like go to the members at once.
"""

from hubbub.types import Position


class Buffer:
    """At most `count` messages of `size` bytes together."""

    __slots__ = ("_count", "_messages", "_size", "_used", "overflowed")

    def __init__(self, *, count: int, size: int) -> None:
        self._count = count
        self._size = size
        self._used = 0
        self._messages: list[tuple[bytes, Position | None]] = []
        self.overflowed = False
        """A message that history has was left out."""

    def add(self, data: bytes, position: Position | None) -> bool:
        """False where there is no room for a message that history has not: see `take_unkept`."""
        if len(self._messages) < self._count and self._used + len(data) <= self._size:
            self._messages.append((data, position))
            self._used += len(data)
            return True
        if position is None:
            return False
        self.overflowed = True
        return True

    def take_unkept(self) -> list[bytes]:
        """Remove the messages that history has not."""
        taken = [data for data, position in self._messages if position is None]
        self._leave([each for each in self._messages if each[1] is not None])
        return taken

    def drop_kept(self) -> None:
        """Remove those that history has: a read that begins now finds them."""
        self._leave([each for each in self._messages if each[1] is None])
        self.overflowed = False

    def take_all(self) -> list[tuple[bytes, Position | None]]:
        """Remove everything."""
        messages = self._messages
        self._leave([])
        self.overflowed = False
        return messages

    def _leave(self, messages: list[tuple[bytes, Position | None]]) -> None:
        self._messages = messages
        self._used = sum(len(data) for data, _ in messages)
