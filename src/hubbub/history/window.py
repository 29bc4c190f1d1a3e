"""The newest messages of one topic, as far back as they are known without a hole: for clients that come back.

Kept only while clients do come back, so that many of them cost one look into the broker's history. It reaches from
`after`, exclusive, to the newest message without a hole, and answers from that: what a client missed, that it missed
more than can be known here, or that too little is known to say either.
"""

from collections import deque
from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar


class Sized(Protocol):
    def __len__(self) -> int: ...


M = TypeVar("M", bound=Sized)


class Missed(NamedTuple, Generic[M]):
    """`complete`: nothing is missing between the client's offset and the newest message."""

    messages: Sequence[M]
    complete: bool


class Window(Generic[M]):
    """At most `count` messages of `size` bytes together; `after` is the offset of the newest message there was.

    Nobody is handed more than `count`, wherever they are kept.
    """

    __slots__ = ("_count", "_messages", "_size", "_used", "after", "whole")

    def __init__(self, after: int, *, count: int, size: int) -> None:
        self._count = count
        self._size = size
        self._used = 0
        self._messages: deque[M] = deque()
        self.after: int = after
        self.whole: bool = False
        """Nothing older is kept anywhere, or may be handed to anybody."""

    @property
    def top(self) -> int:
        return self.after + len(self._messages)

    def append(self, message: M) -> None:
        """The next one."""
        self._messages.append(message)
        self._used += len(message)
        while len(self._messages) > self._count:
            self._forget()
        while self._used > self._size:
            self._forget()
            # Older ones are kept and may be handed out, only not from here.
            self.whole = False

    def reach_back(self, messages: Sequence[tuple[int, M]], *, whole: bool) -> None:
        """Older ones, oldest first, with their offsets. Those that do not join on are of no use, nor what does not fit.

        `whole`: nothing older than these is kept.
        """
        fits = True
        for offset, message in reversed(messages):
            if offset != self.after:
                continue
            fits = len(self._messages) < self._count and self._used + len(message) <= self._size
            if not fits:
                break
            self._messages.appendleft(message)
            self._used += len(message)
            self.after -= 1
        self.whole = whole if fits else len(self._messages) >= self._count

    def since(self, offset: int) -> Missed[M] | None:
        """What came after `offset`, at most the top; None where that is not known here."""
        missed = self.top - offset
        if missed <= len(self._messages):
            return Missed(list(self._messages)[len(self._messages) - missed :], complete=True)
        full = len(self._messages) >= self._count
        return Missed((), complete=False) if self.whole or full else None

    def newest(self, size: int) -> Missed[M] | None:
        """All that is kept, as far as it fits into `size` bytes; None where too little is known here.

        Complete where it begins with the first message there ever was.
        """
        if not self.whole and len(self._messages) < self._count and self._used <= size:
            return None
        messages: deque[M] = deque()
        for message in reversed(self._messages):
            size -= len(message)
            if size < 0:
                break
            messages.appendleft(message)
        return Missed(messages, complete=len(messages) == self.top)

    def _forget(self) -> None:
        self._used -= len(self._messages.popleft())
        self.after += 1
