"""What one worker knows of one topic that keeps history: where it stands, and the newest messages while they are asked
for. Decides nothing about looking; that is `history/positions.py`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from hubbub.delivery.message import Outgoing
from hubbub.history.window import Missed, Window
from hubbub.options import History, Limits
from hubbub.ports.broker import Past
from hubbub.protocol.session import Since
from hubbub.scheduling.single_flight import SingleFlight
from hubbub.types import Position

#: IdleCheck for which the newest messages stay at hand after somebody asked for them.
_WARM = 10
#: The part of the time for which messages are kept, by which they may be handed out too long.
_STALE = 0.1
#: Messages that wait behind a hole.
_WAITING = 1_000


class Standing(NamedTuple):
    """Where a joiner begins, and what it is handed first. `recovered` None: it did not ask."""

    position: Position
    recovered: bool | None
    missed: Sequence[Outgoing]


class TopicHistory:
    """`position` None: nobody has looked yet."""

    __slots__ = (
        "_age",
        "_crowded",
        "_limits",
        "_open",
        "_waiting",
        "_weight",
        "behind",
        "catching_up",
        "deep",
        "depths",
        "doubts",
        "idle",
        "keep",
        "last",
        "look",
        "position",
        "stuck",
        "window",
    )

    def __init__(self, keep: History, limits: Limits, look: Callable[["TopicHistory"], SingleFlight[None]]) -> None:
        self.keep = keep
        self.position: Position | None = None
        self.last: bytes | None = None
        """The message at this position, where it was passed on from here."""
        self.look = look(self)
        self.deep = False
        """Somebody who waits for the next look wants what is kept, and not only where it ends."""
        self.depths = 0
        """Changes with every look that found what is kept."""
        self.behind = False
        self.doubts = 0
        """Changes when something may not have been brought: a look from before proves nothing then."""
        self.catching_up = False
        """Somebody sees to it that it is not behind for long."""
        self._waiting: list[tuple[bytes, Position | None]] = []
        self._weight = 0
        self._crowded = False
        self.window: Window[Outgoing] | None = None
        self.idle = 0
        """IdleCheck without a message or a look."""
        self.stuck = 0
        """IdleCheck behind."""
        self._age = self._open = 0
        self._limits = limits

    def hold_back(self, data: bytes, position: Position | None) -> bool:
        """Until it is caught up with. False where too much waits; what is kept need not, it is looked up then."""
        if len(self._waiting) < _WAITING and self._weight + len(data) <= self._limits.outbox:
            self._waiting.append((data, position))
            self._weight += len(data)
            return True
        self._crowded = self._crowded or position is not None
        return position is not None

    def let_pass(self) -> list[bytes]:
        """What waits and is not kept, because one more cannot wait: in the order in which it came."""
        passing = [data for data, position in self._waiting if position is None]
        self._leave_waiting([each for each in self._waiting if each[1] is not None])
        return passing

    def begin_look(self) -> None:
        """What is kept of all that waits will be found by the look."""
        self._leave_waiting([each for each in self._waiting if each[1] is None])
        self._crowded = False

    def let_go(self) -> tuple[list[tuple[bytes, Position | None]], bool]:
        """What waited, in the order in which it came, and whether all that is kept is there."""
        waiting, whole = self._waiting, not self._crowded
        self._leave_waiting([])
        self._crowded = False
        return waiting, whole

    def _leave_waiting(self, waiting: list[tuple[bytes, Position | None]]) -> None:
        self._waiting = waiting
        self._weight = sum(len(data) for data, _ in waiting)

    def open_window(self, after: int) -> None:
        """From now on what is passed on stays at hand."""
        self._age = self._open = 0
        count = min(self.keep.size, self._limits.replay)
        self.window = Window(after, count=count, size=self._limits.outbox)

    def grow_old(self) -> None:
        """A round is over."""
        self._age += 1
        self._open += 1
        # How old its messages are is not known here, so it must not be at hand for long beside their time.
        if self._age > _WARM or self._open > self.keep.ttl * _STALE:
            self.window = None

    def recover(self, here: Position, since: Since) -> Missed[Outgoing] | None:
        """What was missed since then; None where that is not known here, or happened elsewhere a moment ago."""
        if not came_by(since, here):
            return None
        if since.offset == here.offset:
            return Missed((), complete=True)
        if self.window is None:
            return None
        self._age = 0
        # More than a connection may have unsent would close it, and it would come back, for ever.
        most = self._limits.outbox // 2
        if since == Since(None, 0):
            return self.window.newest(most)
        found = self.window.since(since.offset)
        if found is not None and sum(map(len, found.messages)) > most:
            return Missed((), complete=False)
        return found


def came_by(since: Since, here: Position) -> bool:
    """Whether a topic that stands here was ever there, as far as is known: it may have got there elsewhere just now."""
    return since.epoch in (None, here.epoch) and since.offset <= here.offset


def went_back(past: Past, here: Position, last: bytes | None) -> bool:
    """Whether the stream was set back behind `here`, where `last` was: others may have gone on from there since.

    As after a failover to an older replica. Where equal messages stand at one position, nobody can tell.
    """
    if past.top.epoch != here.epoch:
        return False
    if past.top.offset < here.offset:
        return True
    return last is not None and any(entry.offset == here.offset and entry.data != last for entry in past.entries)
