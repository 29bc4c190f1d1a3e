"""One client's stints in a room, read line by line: what is wrong in them, what came where, and what was owed.

A stretch of an epoch is owed from where the client began to where it had got when its stint ended, without the gaps it
was told of. So a loss is only what nobody admitted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hubbub.testing.ledger import Gap, Got, Ledger, Since, Stint
from hubbub.types import Position


class Wrong(StrEnum):
    """What kind of promise was broken."""

    ORDER = "order"
    """An offset that is not greater than the one before it."""
    HOLE = "hole"
    """Offsets that are missing, and nobody said so."""
    UNTRUE = "untrue"
    """An answer to `since`, or a gap, that cannot be so."""
    STRAY = "stray"
    """A message of a room in which the client was not."""
    DISAGREE = "disagree"
    """Two clients saw different messages at one offset, or one order each."""
    TWICE = "twice"
    """One message at two places."""
    LOST = "lost"
    """Acknowledged to its sender, owed to this client, and not there."""
    BEHIND = "behind"
    """In the room, and not where the room is."""
    PRESENCE = "presence"
    """Somebody who came and went in an order that cannot be, or is believed there and is not."""


@dataclass(frozen=True, slots=True)
class Violation:
    kind: Wrong
    client: str
    room: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.client} in {self.room}: {self.what}"


@dataclass(slots=True)
class Owed:
    """A stretch of one epoch that a client has to have whole: after `after`, up to `upto`, None while it is there."""

    epoch: str
    after: int
    upto: int | None = None
    excused: list[Gap] = field(default_factory=list)

    def __contains__(self, offset: int) -> bool:
        reached = self.after < offset and (self.upto is None or offset <= self.upto)
        return reached and not any(gap.after < offset <= gap.upto for gap in self.excused)


class Reading:
    """One stint, read line by line: what is wrong in it, what was seen where, and what was owed."""

    def __init__(self, ledger: Ledger, stint: Stint) -> None:
        self.wrong: list[Violation] = []
        self.seen: dict[tuple[str, int], Mapping[str, Any]] = {}
        self.owed: list[Owed] = []
        self._ledger = ledger
        self._stint = stint
        self._here = stint.start
        if self._here is not None:
            self.owed.append(Owed(self._here.epoch, self._here.offset))
        self._check_answer()
        for line in stint.lines:
            if isinstance(line, Got) and line.offset is not None and stint.epoch is not None:
                self._got(stint.epoch, line.offset, line.message)
            elif isinstance(line, Gap):
                self._gap(line)
        self._finish()

    def _say(self, kind: Wrong, what: str) -> None:
        self.wrong.append(Violation(kind, self._ledger.client, self._stint.room, what))

    def _check_answer(self) -> None:
        stint = self._stint
        if stint.implicit:
            return
        if (stint.since is None) != (stint.recovered is None):
            self._say(Wrong.UNTRUE, f"recovered is {stint.recovered} and since was {stint.since}")
        if stint.since is None or not stint.recovered:
            return
        if stint.epoch is None or stint.top is None:
            self._say(Wrong.UNTRUE, "recovered in a room that says no position")
        elif stint.since.epoch not in (None, stint.epoch):
            self._say(Wrong.UNTRUE, f"recovered from epoch {stint.since.epoch} into {stint.epoch}")
        elif stint.since.offset > stint.top:
            self._say(Wrong.UNTRUE, f"recovered from {stint.since.offset}, which is beyond the top, {stint.top}")

    def _got(self, epoch: str, offset: int, message: Mapping[str, Any]) -> None:
        here = self._here
        if here is None:
            self.owed.append(Owed(epoch, offset - 1))
            here = Position(epoch, offset - 1)
        self.seen[here.epoch, offset] = message
        if offset <= here.offset:
            self._say(Wrong.ORDER, f"{offset} came after {here.offset} in {here.epoch}")
            return
        if offset > here.offset + 1:
            self._say(Wrong.HOLE, f"{here.offset + 1} to {offset - 1} of {here.epoch} are missing")
        self._here = Position(here.epoch, offset)

    def _gap(self, gap: Gap) -> None:
        here = self._here
        if gap.upto < gap.after:
            self._say(Wrong.UNTRUE, f"a {gap} is none")
            return
        if here is None or gap.epoch != here.epoch:
            if here is not None:
                self.owed[-1].upto = here.offset
                if gap.after:
                    self._say(Wrong.UNTRUE, f"a new epoch begins with a {gap}, and not after 0")
            self.owed.append(Owed(gap.epoch, gap.upto))
            self._here = Position(gap.epoch, gap.upto)
            return
        if any(epoch == gap.epoch and gap.after < offset <= gap.upto for epoch, offset in self.seen):
            self._say(Wrong.UNTRUE, f"a {gap} covers what had come")
        if gap.after > here.offset:
            self._say(Wrong.HOLE, f"{here.offset + 1} to {gap.after} of {here.epoch} are missing before a {gap}")
        self.owed[-1].excused.append(gap)
        self._here = Position(here.epoch, max(here.offset, gap.upto))

    def _finish(self) -> None:
        here, stint = self._here, self._stint
        if stint.ended is not None:
            if self.owed and here is not None:
                self.owed[-1].upto = here.offset
            return
        replayed = stint.top is not None and (stint.recovered or stint.since == Since(None, 0))
        if replayed and here is not None and here.epoch == stint.epoch and here.offset < (stint.top or 0):
            self._say(Wrong.HOLE, f"the replay ended at {here.offset} and was to go to {stint.top}")


def readings(ledger: Ledger, room: str | None = None) -> Iterator[tuple[Stint, Reading]]:
    for name, stints in ledger.stints.items():
        if room in (None, name):
            yield from ((stint, Reading(ledger, stint)) for stint in stints)
