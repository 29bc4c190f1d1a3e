"""What the broker brings of a topic while the worker cannot pass it on yet, in the order in which it came.

It is bounded, because a broker that answers slowly must not fill the worker's memory. What does not fit is lost here
only where it is kept elsewhere: a message that history has is left out, and read again; one that history has not makes
room for itself, as its like go to the members at once.

What history has not got remembers its place among what it has, because the read that brings the others may bring them
first: right behind the last one that came before it, or right before the next.
"""

from dataclasses import dataclass
from itertools import takewhile

from hubbub.types import Position


@dataclass(slots=True, eq=False)
class _Waiting:
    """`position` None: history has not got it; then its place is right behind `after`, None while nobody knows."""

    data: bytes
    position: Position | None
    after: Position | None = None

    def is_before(self, position: Position) -> bool:
        after = self.after
        return after is not None and after.epoch == position.epoch and after.offset < position.offset


class Buffer:
    """At most `count` messages of `size` bytes together."""

    __slots__ = ("_count", "_heard", "_messages", "_size", "_used", "overflowed")

    def __init__(self, *, count: int, size: int) -> None:
        self._count = count
        self._size = size
        self._used = 0
        self._messages: list[_Waiting] = []
        self._heard: Position | None = None
        """The newest of those that history has, since when nothing was missed unheard."""
        self.overflowed: bool = False
        """A message that history has was left out."""

    def add(self, data: bytes, position: Position | None) -> bool:
        """False where there is no room for a message that history has not: see `take_unkept`."""
        if position is not None:
            self.hear(position)
        if len(self._messages) < self._count and self._used + len(data) <= self._size:
            self._messages.append(_Waiting(data, position, None if position is not None else self._heard))
            self._used += len(data)
            return True
        if position is None:
            return False
        self.overflowed = True
        return True

    def hear(self, position: Position) -> None:
        """This one came, wherever it is."""
        for waiting in reversed(self._messages):
            if waiting.position is not None or waiting.after is not None:
                break
            waiting.after = Position(position.epoch, position.offset - 1)
        heard = self._heard
        if heard is None or heard.epoch != position.epoch or heard.offset < position.offset:
            self._heard = position

    def doubt(self) -> None:
        """Something may not have come: what comes next does not stand right behind what came last."""
        self._heard = None

    def take_unkept(self) -> list[bytes]:
        """Remove the messages that history has not."""
        taken = [each.data for each in self._messages if each.position is None]
        self._leave([each for each in self._messages if each.position is not None])
        return taken

    def take_before(self, position: Position) -> list[bytes]:
        """Remove those that history has not and whose place is before this one, which it has."""
        unkept = (each for each in self._messages if each.position is None)
        taken = [*takewhile(lambda each: each.is_before(position), unkept)]
        if taken:
            last = self._messages.index(taken[-1])
            kept = [each for each in self._messages[:last] if each.position is not None]
            self._leave(kept + self._messages[last + 1 :])
        return [each.data for each in taken]

    def drop_kept(self) -> None:
        """Remove those that history has: a read that begins now finds them."""
        self._leave([each for each in self._messages if each.position is None])
        self.overflowed = False

    def take_all(self) -> list[tuple[bytes, Position | None]]:
        """Remove everything."""
        messages = self._messages
        self._leave([])
        self._heard = None
        self.overflowed = False
        return [(each.data, each.position) for each in messages]

    def _leave(self, messages: list[_Waiting]) -> None:
        self._messages = messages
        self._used = sum(len(each.data) for each in messages)
