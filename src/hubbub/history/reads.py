"""A read of a topic's history: the question, and what is to be done with the answer."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from hubbub.ports.broker import Entry, Past
from hubbub.ports.epochs import goes_on
from hubbub.types import Position


class Read(NamedTuple):
    """A question to the broker's history, and where the topic stood when it was put.

    `newest`: the newest messages, for clients that come back; elsewhere those from `since` on.
    """

    position: Position | None
    last: bytes | None
    doubts: int
    newest: bool
    since: int | None
    limit: int

    def went_back(self, past: Past) -> bool:
        """Whether the stream was set back behind the topic's position: others may have gone on from there since.

        As after a failover to an older replica. Where equal messages stand at one position, nobody can tell.
        """
        here = self.position
        if here is None or not goes_on(here.epoch, past.top.epoch):
            return False
        if past.top.offset < here.offset or (past.top.epoch != here.epoch and here.offset):
            return True
        last = self.last
        return last is not None and any(entry.offset == here.offset and entry.data != last for entry in past.entries)


class PassOn(NamedTuple):
    """The next message of the history, to the members."""

    data: bytes
    position: Position


class Between(NamedTuple):
    """What history has not got, to the members, in its place among what it has."""

    data: bytes


class Gap(NamedTuple):
    """What is between the offsets is nowhere any more, and the members are told."""

    epoch: str
    after: int
    upto: int


class Backfill(NamedTuple):
    """These are older than what the replay has. `whole`: history has nothing older."""

    epoch: str
    entries: Sequence[Entry]
    whole: bool


class Release(NamedTuple):
    """What waited, to be looked at as if it came now."""

    data: bytes
    position: Position | None


Effect: TypeAlias = PassOn | Between | Gap | Backfill | Release
