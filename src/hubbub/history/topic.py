"""One topic that keeps history, on one worker: where it stands, and what an event means there.

What a message does in each state and what a read comes to stand in the tables of `states.py`; which kind of message it
is, and what a read found, are worked out here. A topic does no input or output and knows no time: `positions.py` asks
it, reads, and does what it says.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

from hubbub.delivery.message import Outgoing
from hubbub.history.buffer import Buffer
from hubbub.history.reads import Backfill, Between, Effect, Gap, PassOn, Read, Release
from hubbub.history.replay import Replay, was_possible
from hubbub.history.states import AFTER_READ, TABLE, Brought, Outcome, State, Step
from hubbub.history.window import Missed
from hubbub.options import History, Limits
from hubbub.ports.broker import Past
from hubbub.ports.epochs import begins, goes_on
from hubbub.protocol.join_room import Since
from hubbub.types import Position

#: Checks, of which there is one a second, without a message before a topic is read though nothing came.
IDLE = 25
#: Checks for which a topic may stay behind while the broker is ready.
STUCK = 30


# An enumeration is slow to ask for a member.
_CURRENT, _BEHIND, _ADVANCE = State.CURRENT, State.BEHIND, Step.ADVANCE
_CATCH_UP, _IGNORE = Step.CATCH_UP, Step.IGNORE
_UNKEPT, _NEXT = Brought.UNKEPT, Brought.NEXT


class Bounds(NamedTuple):
    """`per_read`: messages read at a time to catch up. `buffered`: those that wait meanwhile."""

    per_read: int = 1_000
    buffered: int = 1_000


class Standing(NamedTuple):
    """Where a joiner begins, and what it is handed first. `recovered` None: it did not ask."""

    position: Position
    recovered: bool | None
    missed: Sequence[Outgoing]


class Due(NamedTuple):
    """What a check comes to."""

    read: bool = False
    give_up: bool = False
    """It could not be read for too long although the broker is there."""


class TopicHistory:
    """`position` None: nobody knows yet. Everything else is changed by its own methods only."""

    __slots__ = (
        "_backfill",
        "_backfills",
        "_bounds",
        "_doubts",
        "_idle",
        "_last",
        "_newest",
        "_stuck",
        "buffer",
        "catching_up",
        "keep",
        "position",
        "replay",
        "state",
    )

    def __init__(self, keep: History, limits: Limits, bounds: Bounds) -> None:
        self.keep: History = keep
        self.state: State = State.UNKNOWN
        self.position: Position | None = None
        self.buffer: Buffer = Buffer(count=bounds.buffered, size=limits.outbox)
        self.replay: Replay = Replay(keep, limits)
        self.catching_up: bool = False
        """Whether somebody reads until it is current."""
        self._bounds = bounds
        self._newest = limits.replay
        self._last: bytes | None = None
        """The message at this position, where this worker passed it on."""
        self._backfill = False
        """Somebody waits for the newest messages, and not only for where the history ends."""
        self._backfills = 0
        self._doubts = 0
        """Changes when something may not have been brought: a read from before proves nothing then."""
        self._idle = self._stuck = 0

    # Messages.

    def receive(self, data: bytes, position: Position | None) -> Step:
        """What is to be done with what the broker brought; where it advances, the topic stands there already."""
        here = self.position
        if here is None or position is None:
            brought = _UNKEPT if position is None else _NEXT
        elif position.epoch != here.epoch and not begins(here, position):
            # Where nothing was said before, as far as is told, and here something was: what is read will say it.
            brought = Brought.BEYOND if goes_on(here.epoch, position.epoch) else Brought.OTHER_EPOCH
        elif position.offset == here.offset + 1:
            brought = _NEXT
        else:
            brought = Brought.OLD if position.offset <= here.offset else Brought.BEYOND
        step = TABLE[self.state][brought]
        if step is _ADVANCE:
            self.position, self._last, self._idle = position, data, 0
        elif position is not None and step is _CATCH_UP:
            self.state, self._idle = _BEHIND, 0
            self.buffer.hear(position)
        elif step is _IGNORE:
            self._idle = 0
        return step

    def begin_anew(self, data: bytes, position: Position) -> Gap:
        """The message is the first this worker has of another epoch. What is to be told before it."""
        gap = self._skip(position.epoch, 0, position.offset - 1)
        self.position, self._last, self._idle = position, data, 0
        return gap

    def doubt(self) -> None:
        """Something may not have been brought."""
        self._doubts += 1
        self.buffer.doubt()
        self.state = _BEHIND

    # Joins.

    @property
    def backfills(self) -> int:
        """How often the newest messages were read."""
        return self._backfills

    def standing(self, since: Since | None, *, reads: int, backfills: int) -> Standing | None:
        """Where a joiner begins; None where that is to be read first.

        `reads`: how often it was read for this joiner; `backfills`: as it was before the first time.
        """
        here = self.position
        if here is None or self.state is not _CURRENT:
            return None
        if since is None:
            return Standing(here, None, ())
        found = self.replay.missed(here, since)
        if found is None:
            read = self._backfills != backfills and self.replay.window is not None
            if not (read if was_possible(since, here) else reads):
                return None
            found = Missed((), complete=False)
        # Nothing is new for a client that was here before the first message: it stays with the epoch it was given.
        if found.complete and since.epoch is not None:
            here = Position(since.epoch, here.offset)
        return Standing(here, found.complete, found.messages)

    def ask(self, since: Since | None) -> None:
        """A joiner waits for the next read."""
        # What never was is not looked for among all that is kept: anybody can ask for it.
        if since is not None and (self.position is None or was_possible(since, self.position)):
            self._backfill = True

    # Reads.

    def begin_read(self) -> Read:
        """The next question. What waits and is kept will be in the answer."""
        here = self.position
        # What is behind is brought forward first: the newest few may not reach back to where it stands.
        newest = self._backfill and (here is None or self.state is not _BEHIND)
        self._backfill = self._backfill and not newest
        self.buffer.drop_kept()
        if newest:
            if here is not None and self.replay.window is None:
                # Before the read, so that what comes during it is in there too.
                self.replay.open(here.offset)
            return Read(here, self._last, self._doubts, newest, None, self._newest)
        if here is None:
            return Read(here, self._last, self._doubts, newest, None, 0)
        # With the last one that was passed on: is it still the same?
        since = max(0, here.offset - 1)
        return Read(here, self._last, self._doubts, newest, since, self._bounds.per_read)

    def end_read(self, read: Read, past: Past) -> Iterator[Effect]:
        """What the answer comes to, oldest first in `past`; each effect is to be done before the next is asked for.

        Nothing where something was doubted after the question.
        """
        self._stuck = 0
        if self._doubts != read.doubts:
            return
        self._idle = 0
        outcome = yield from self._bring_forward(read, past)
        self.state = AFTER_READ[self.state][outcome]
        if outcome in (Outcome.OVERTAKEN, Outcome.TOO_SHORT):
            return
        if read.newest and self.replay.window is not None:
            older = [entry for entry in past.entries if entry.offset <= self.replay.window.after]
            yield Backfill(past.top.epoch, older, whole=len(past.entries) < read.limit)
            self._backfills += 1
        if self.state is _CURRENT:
            yield from self._release()

    def _bring_forward(self, read: Read, past: Past) -> Generator[Effect, None, Outcome]:
        """Pass on what history has and the members have not."""
        here, top = self.position, past.top
        if here is None:
            self.position = top
            if read.newest:
                self.replay.open(top.offset)
            return Outcome.LEARNED
        if read.position is None or read.position.epoch != here.epoch:
            return Outcome.OVERTAKEN
        if begins(here, top):
            self.position = here = Position(top.epoch, 0)
        if top.epoch != here.epoch:
            yield self._skip(top.epoch, 0, top.offset)
            return Outcome.OTHER_EPOCH
        fresh = [entry for entry in past.entries if entry.offset > here.offset]
        hole = fresh[0].offset > here.offset + 1 if fresh else top.offset > here.offset
        if read.newest and hole:
            return Outcome.TOO_SHORT
        at = here.offset
        for entry in fresh:
            if entry.offset > at + 1:
                yield self._skip(here.epoch, at, entry.offset - 1)
            at = entry.offset
            position = Position(here.epoch, at)
            for data in self.buffer.take_before(position):
                yield Between(data)
            self.position, self._last = position, entry.data
            yield PassOn(entry.data, position)
        if at < top.offset and (read.newest or len(past.entries) < read.limit):
            yield self._skip(here.epoch, at, top.offset)
            at = top.offset
        return Outcome.COMPLETE if at >= top.offset else Outcome.PARTIAL

    def _release(self) -> Iterator[Effect]:
        overflowed = self.buffer.overflowed
        for data, position in self.buffer.take_all():
            here = self.position
            if position is None or here is None or position.epoch != here.epoch or position.offset > here.offset:
                yield Release(data, position)
        if overflowed:
            self.state = _BEHIND

    def _skip(self, epoch: str, after: int, upto: int) -> Gap:
        self.replay.close()
        self._last = None
        self.position = Position(epoch, upto)
        return Gap(epoch, after, upto)

    # Checks.

    def check(self, *, ready: bool) -> Due:
        """Once a second. `ready`: the broker is there."""
        self.replay.grow_old()
        if not ready or self.position is None:
            return Due()
        self._idle += 1
        if self.state is _BEHIND:
            self._stuck += 1
            return Due(read=not self.catching_up, give_up=self._stuck == STUCK)
        if self._idle < IDLE:
            return Due()
        self._idle = 0
        return Due(read=True)
