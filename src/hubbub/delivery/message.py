"""A message on its way to the members of a topic, or to one connection, and for whom of them it is."""

from collections.abc import Set as AbstractSet
from typing import Protocol

from hubbub.delivery.outbox import Lane
from hubbub.protocol.codec import Prepared
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.protocol.features import PRESENCE, Features
from hubbub.types import ConnectionId, RoomName, User

# Asked for with every notice, and an enumeration is slow to ask for a member.
_MESSAGE, _SHOWN = Kind.MESSAGE, Kind.SHOWN


class Outgoing:
    __slots__ = ("envelope", "kept", "lane", "message", "number", "who_is_in")

    def __init__(
        self,
        message: Prepared,
        envelope: Envelope | None = None,
        lane: Lane | None = None,
        *,
        kept: bool = False,
        who_is_in: RoomName | None = None,
    ) -> None:
        self.message: Prepared = message
        self.kept: bool = kept
        """It is in the topic's history, or says what is no longer: a position stands for all that came up to it."""
        self.envelope: Envelope | None = envelope
        """Who is not to have it; None where everybody is, and for the hub's own answers."""
        self.lane: Lane | None = lane
        self.who_is_in: RoomName | None = who_is_in
        """The room of whose members it tells, None for all else."""
        self.number: int = 0

    def __len__(self) -> int:
        return len(self.message)

    def again(self) -> "Outgoing":
        """To be sent once more, in another place of the order."""
        return Outgoing(self.message, self.envelope, self.lane, kept=self.kept, who_is_in=self.who_is_in)

    def is_for(self, target: "Reader") -> bool:
        envelope = self.envelope
        if envelope is None:
            return True
        kind = envelope.kind
        if kind is not _MESSAGE:
            if target.text or self.who_is_in in target.blind:
                return False
            # A notice that has something beside it is there twice, for those who asked for that and for the others.
            if (kind is _SHOWN or envelope.presence is not None) and (PRESENCE in target.features) is not (
                kind is _SHOWN
            ):
                return False
        return wanted(envelope, target)


class Addressed(Protocol):
    @property
    def id(self) -> ConnectionId: ...

    @property
    def user(self) -> User: ...


class Reader(Addressed, Protocol):
    @property
    def text(self) -> bool: ...

    @property
    def features(self) -> Features:
        """What it understands and asked for."""

    @property
    def blind(self) -> AbstractSet[RoomName]:
        """Rooms in which it may not see who is there."""


def wanted(envelope: Envelope, who: Addressed) -> bool:
    """Whether the envelope is for this connection."""
    if who.id in envelope.without_connections:
        return False
    if not (envelope.without_users or envelope.only):
        return True
    user = who.user.id
    return user not in envelope.without_users and (not envelope.only or user in envelope.only)
