"""What a client that comes back is handed from the worker's memory, and for how long it is there.

The newest messages of a topic (`history/window.py`) are at hand only while clients ask for them: every topic's, for
ever, would be a second copy of all that the broker keeps.
"""

from collections.abc import Sequence

from hubbub.delivery.message import Outgoing
from hubbub.history.window import Missed, Window
from hubbub.options import History, Limits
from hubbub.ports.epochs import goes_on
from hubbub.protocol.join_room import Since
from hubbub.types import Position

#: Checks, of which there is one a second, for which the messages stay at hand after somebody asked for them.
_WARM = 10
#: The part of the time for which messages are kept, by which they may be handed out too long.
_STALE = 0.1
#: What an offset takes is less than such a part of a large message.
_ADDED = 128


class Replay:
    """`window` None: no message is at hand."""

    __slots__ = ("_count", "_longest", "_most", "_open", "_size", "_unasked", "window")

    def __init__(self, keep: History, limits: Limits) -> None:
        self._count = min(keep.size, limits.replay)
        self._size = limits.outbox
        # More than a connection may have unsent would close it, and it would come back, for ever. But of the largest
        # message one always fits, with the offset that it is given (`options.check_fits`).
        self._most = max(limits.outbox // 2, limits.payload + limits.payload // _ADDED)
        # How old its messages are a window does not know, so none is open for long beside the time they are kept.
        self._longest = keep.ttl * _STALE
        self._unasked = self._open = 0
        self.window: Window[Outgoing] | None = None

    def open(self, after: int) -> None:
        """What comes after this offset stays at hand."""
        self._unasked = self._open = 0
        self.window = Window(after, count=self._count, size=self._size)

    def close(self) -> None:
        self.window = None

    def reach_back(self, older: Sequence[tuple[int, Outgoing]], *, whole: bool) -> None:
        """Older messages with their offsets, see `Window.reach_back`; nothing where none is at hand any more."""
        if self.window is not None:
            self.window.reach_back(older, whole=whole)

    def grow_old(self) -> None:
        """One check more."""
        self._unasked += 1
        self._open += 1
        if self._unasked > _WARM or self._open > self._longest:
            self.window = None

    def missed(self, position: Position, since: Since) -> Missed[Outgoing] | None:
        """What a client missed that was at `since`, where the topic is at `position`; None where only history knows."""
        if not was_possible(since, position):
            return None
        if since.offset == position.offset:
            return Missed((), complete=True)
        if self.window is None:
            return None
        self._unasked = 0
        if since == Since(None, 0):
            return self.window.newest(self._most)
        found = self.window.since(since.offset)
        if found is not None and sum(map(len, found.messages)) > self._most:
            return Missed((), complete=False)
        return found


def was_possible(since: Since, position: Position) -> bool:
    """Whether a client of a topic that is at `position` may have been at `since`, as far as this worker knows.

    Another worker may know more: it heard of an epoch, or of a message, a moment earlier.
    """
    return (since.epoch is None or goes_on(since.epoch, position.epoch)) and since.offset <= position.offset
