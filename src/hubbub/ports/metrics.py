"""What is counted and measured. Names are constants here, so that a counter cannot be misspelt into existence."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class Count(StrEnum):
    CONNECTIONS = "connections_opened"
    REFUSED_HANDSHAKES = "handshakes_refused"
    REFUSED_ADDRESS = "handshakes_refused_by_address"
    """Among them, and guesses of a key: too much came from one address."""
    REFUSED_WORKER = "handshakes_refused_by_rate"
    """Among them: too much came to this worker."""
    INVALID_REQUESTS = "requests_invalid"
    """This and those up to `DROPPED_SOCKETS`: ends of sockets that no hub had, or not yet."""
    LARGE_HEADS = "request_heads_too_large"
    LATE_HEADS = "request_heads_late"
    LATE_BODIES = "request_bodies_late"
    INVALID_HANDSHAKES = "handshakes_invalid"
    """Of a WebSocket, and not refused by a hub: it had no say."""
    LATE_HANDSHAKES = "handshakes_not_answered"
    """By the application."""
    CLOSED_SOCKETS = "sockets_closed"
    """WebSockets on plain routes whose client broke the rules."""
    CROWDED_SOCKETS = "sockets_without_descriptor"
    """Refused because the process was about to have no file descriptor left."""
    DROPPED_SOCKETS = "sockets_dropped"
    """Without a word: what was sent was not taken, a ping not answered, or the end not agreed."""
    CREDENTIALS_MALFORMED = "credentials_malformed"
    """This and the next: credentials that proved nobody, by `hubbub.CredentialFault`, at handshakes and afterwards."""
    CREDENTIALS_SIGNATURE = "credentials_signature"
    CREDENTIALS_ALGORITHM = "credentials_algorithm"
    CREDENTIALS_EXPIRED = "credentials_expired"
    CREDENTIALS_NOT_YET_VALID = "credentials_not_yet_valid"
    CREDENTIALS_AUDIENCE = "credentials_audience"
    CREDENTIALS_ISSUER = "credentials_issuer"
    CREDENTIALS_CLAIM = "credentials_claim"
    CREDENTIALS_UNKNOWN = "credentials_unknown"
    CREDENTIALS_REVOKED = "credentials_revoked"
    CREDENTIALS_NOT_TAKEN = "credentials_not_taken"
    CREDENTIALS_ANOTHER_USER = "credentials_another_user"
    CREDENTIALS_OTHER = "credentials_other"
    MESSAGES_IN = "messages_received"
    DELIVERIES = "messages_delivered"
    REFUSED = "requests_refused"
    NOTICES_COLLECTED = "notices_collected"
    """Of users who came or went, told with others because they were too many."""
    NOTICES_LEFT_OUT = "notices_left_out"
    """Not told one by one to clients without the feature `diff`, which get the list of members instead."""
    JOINS_LIMITED = "joins_limited"
    """Joins, and changes of what is shown, refused because their client had been handed too much."""
    PUBLISHING_LIMITED = "publishing_limited"
    """Messages that were not published, because their room had as many as it may have."""
    FLOODING = "connections_flooding"
    """Closed with 1008: they went on sending more than they may."""
    READ_LATER = "readings_postponed"
    """Nothing was read from a connection for a moment, because more bytes had come than its rate allows."""
    SLOW = "connections_too_slow"
    DROPPED = "messages_dropped"
    """Not sent to a reader that was too slow; it was told by `gap`."""
    GAPS = "gaps_told"
    """Holes in a room's messages that its members were told of, because history could not fill them."""
    REPEATED = "messages_repeated"
    """Brought by the broker a second time, and not delivered again."""
    SUPERSEDED = "messages_superseded"
    """Replaced by a newer value before they were sent."""
    DEAD = "connections_without_heartbeat"
    HANDLER_FAILED = "handlers_failed"
    HANDLER_BLOCKED = "handlers_blocked_the_loop"
    UNKNOWN_ENVELOPES = "unknown_envelopes"
    BROKER_LOST = "broker_connections_lost"
    BROKER_RECONNECTED = "broker_connections_restored"
    BROKER_DEAF = "broker_deaf"
    """What was published did not come back for too long, though no connection was seen to end."""


class Observed(StrEnum):
    LOOP_LAG = "loop_lag"
    """Seconds by which the event loop was late for what it was to do."""


#: The upper bounds of what falls together, in ascending order; beyond the last is one more.
BOUNDS: dict[Observed, tuple[float, ...]] = {
    Observed.LOOP_LAG: (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
}


class Metrics(Protocol):
    def count(self, what: Count, by: int = 1) -> None:
        """Add to a counter. Called on hot paths: must be cheap and must not raise."""

    def observe(self, what: Observed, value: float) -> None:
        """Add to a histogram. The same holds."""


class _Counts(Counter[Count]):
    """With a dict's own way of deleting: because of Counter's, every change would go by way of a lookup."""

    __delitem__ = dict.__delitem__  # type: ignore[assignment]


class Histogram:
    """How many observations fell under each bound, the rest last, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        # A bound belongs to what is under it, as Prometheus has it.
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Tally:
    """Counts in memory: the default, and what tests read."""

    def __init__(self) -> None:
        self.counts: Counter[Count] = _Counts()
        self.histograms = {what: Histogram(bounds) for what, bounds in BOUNDS.items()}

    def count(self, what: Count, by: int = 1) -> None:
        self.counts[what] += by

    def observe(self, what: Observed, value: float) -> None:
        self.histograms[what].observe(value)
