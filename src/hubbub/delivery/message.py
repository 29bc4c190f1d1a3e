"""A message on its way to the members of a topic, or to one connection, and for whom of them it is."""

from typing import Protocol

from hubbub.delivery.outbox import Lane
from hubbub.protocol.codec import Prepared
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.types import ConnectionId, User


class Outgoing:
    __slots__ = ("envelope", "kept", "lane", "message", "number")

    def __init__(
        self, message: Prepared, envelope: Envelope | None = None, lane: Lane | None = None, *, kept: bool = False
    ) -> None:
        self.message = message
        self.kept = kept
        """It is in the topic's history, or says what is no longer: a position stands for all that came up to it."""
        self.envelope = envelope
        """Who is not to have it; None where everybody is, and for the hub's own answers."""
        self.lane = lane
        self.number = 0

    def __len__(self) -> int:
        return len(self.message)

    def again(self) -> "Outgoing":
        """To be sent once more, in another place of the order."""
        return Outgoing(self.message, self.envelope, self.lane, kept=self.kept)

    def is_for(self, target: "Reader") -> bool:
        envelope = self.envelope
        if envelope is None:
            return True
        if target.text and envelope.kind is Kind.NOTICE:
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


def wanted(envelope: Envelope, who: Addressed) -> bool:
    """Whether the envelope is for this connection."""
    if who.id in envelope.without_connections:
        return False
    if not (envelope.without_users or envelope.only):
        return True
    user = who.user.id
    return user not in envelope.without_users and (not envelope.only or user in envelope.only)
