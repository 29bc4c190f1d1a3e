"""What is counted and measured. Names are constants here, so that a counter cannot be misspelt into existence."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class Count(StrEnum):
    CONNECTIONS = "connections_opened"
    REFUSED_HANDSHAKES = "handshakes_refused"
    """All of them; those up to `REFUSED_WORKER` are among them, but for guesses of a key."""
    REFUSED_INVALID = "handshakes_refused_invalid"
    """With 400: it makes no sense."""
    REFUSED_CREDENTIAL = "handshakes_refused_by_credential"
    """With 401, or 4001 after accept: it proves nobody."""
    REFUSED_ORIGIN = "handshakes_refused_by_origin"
    REFUSED_NO_AUTH = "handshakes_refused_without_auth"
    """The hub has no `auth=`, so nobody can be let in."""
    REFUSED_UNREADY = "handshakes_refused_unready"
    """This worker stops, or is not in touch with its broker."""
    REFUSED_FULL = "handshakes_refused_full"
    """`Limits.connections`, or `Limits.unauthenticated`."""
    REFUSED_DESCRIPTORS = "handshakes_refused_without_descriptor"
    REFUSED_LATE = "handshakes_refused_late"
    """Who it is could not be found out in time."""
    REFUSED_FAILED = "handshakes_refused_failed"
    """The application's authenticator raised."""
    REFUSED_ADDRESS = "handshakes_refused_by_address"
    """Too much came from one address; guesses of a key are counted here as well."""
    REFUSED_GUESSES = "guesses_refused_by_address"
    """Those of a key among them."""
    REFUSED_WORKER = "handshakes_refused_by_rate"
    """Too much came to this worker."""
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
    """All of them; those that follow are among them, by `code`. The others have one of the application's own."""
    REQUEST_UNAUTHORIZED = "requests_refused_unauthorized"
    REQUEST_FORBIDDEN = "requests_refused_forbidden"
    REQUEST_UNKNOWN_TYPE = "requests_refused_unknown_type"
    REQUEST_INVALID_MESSAGE = "requests_refused_invalid_message"
    REQUEST_UNKNOWN_ROOM = "requests_refused_unknown_room"
    REQUEST_NOT_JOINED = "requests_refused_not_joined"
    REQUEST_NOT_FOUND = "requests_refused_not_found"
    REQUEST_CONFLICT = "requests_refused_conflict"
    REQUEST_TOO_MANY_ROOMS = "requests_refused_too_many_rooms"
    REQUEST_RATE_LIMITED = "requests_refused_rate_limited"
    REQUEST_UNAVAILABLE = "requests_refused_unavailable"
    REQUEST_INTERNAL = "requests_refused_internal"
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
    HISTORY_READS = "history_reads"
    """From the broker: who comes back is mostly handed what it missed from memory."""
    HISTORY_READS_FAILED = "history_reads_failed"
    """Among them: the broker was away, or did not answer in time."""
    RESUMED = "resumes_complete"
    """Joins with `since` that were handed all that was missed."""
    RESUMED_IN_PART = "resumes_incomplete"
    """Those that were told `recovered: false`: something is not kept any more, or never was."""
    RESUMED_MESSAGES = "messages_resumed"
    """Handed to who had missed them."""
    PRESENCE_CAME = "presence_came"
    """This and those up to `PRESENCE_SHOWN`: the first tab of a user, or the last, in a room or anywhere was here."""
    PRESENCE_WENT = "presence_went"
    ONLINE_CAME = "presence_online"
    ONLINE_WENT = "presence_offline"
    PRESENCE_SHOWN = "presence_shown"
    """What a user shows in a room has changed."""
    PRESENCE_SWEPT = "presence_swept"
    """Entries of dead workers that this one ended."""
    LEASE_RENEWED = "leases_renewed"
    LEASE_FAILED = "leases_not_renewed"
    """The broker did not take it: tried again, until others believe this worker dead."""
    LEASE_LOST = "leases_lost"
    """Renewed too late: this worker's users may have been announced as gone, and were told anew."""
    DEAD = "connections_without_heartbeat"
    CLOSED_1000 = "connections_closed_1000"
    """This and those up to `CLOSED_OTHER`: connections that this side ended, by the code it said."""
    CLOSED_1002 = "connections_closed_1002"
    CLOSED_1003 = "connections_closed_1003"
    CLOSED_1007 = "connections_closed_1007"
    CLOSED_1008 = "connections_closed_1008"
    CLOSED_1009 = "connections_closed_1009"
    CLOSED_1011 = "connections_closed_1011"
    CLOSED_1012 = "connections_closed_1012"
    CLOSED_1013 = "connections_closed_1013"
    CLOSED_4001 = "connections_closed_4001"
    CLOSED_4002 = "connections_closed_4002"
    CLOSED_4003 = "connections_closed_4003"
    CLOSED_4004 = "connections_closed_4004"
    CLOSED_4005 = "connections_closed_4005"
    CLOSED_4006 = "connections_closed_4006"
    CLOSED_4007 = "connections_closed_4007"
    CLOSED_OTHER = "connections_closed_other"
    """The application's own code."""
    LEFT_1000 = "connections_left_1000"
    """This and those up to `LEFT_OTHER`: connections that the client ended, or the network (1006, without a word)."""
    LEFT_1001 = "connections_left_1001"
    LEFT_1005 = "connections_left_1005"
    LEFT_1006 = "connections_left_1006"
    LEFT_OTHER = "connections_left_other"
    HANDLER_FAILED = "handlers_failed"
    HANDLER_BLOCKED = "handlers_blocked_the_loop"
    LOOP_BLOCKED = "loop_blocked"
    """The event loop was held for longer than `Limits.blocking`, by whatever it was."""
    UNKNOWN_ENVELOPES = "unknown_envelopes"
    BROKER_LOST = "broker_connections_lost"
    BROKER_RECONNECTED = "broker_connections_restored"
    RESUBSCRIBED = "broker_resubscriptions"
    """Topics that were subscribed to again, on a new connection or because the server had dropped them."""
    BROKER_DEAF = "broker_deaf"
    """What was published did not come back for too long, though no connection was seen to end."""


class Observed(StrEnum):
    LOOP_LAG = "loop_lag"
    """Seconds by which the event loop was late for what it was to do."""
    GC_PAUSE = "gc_pause"
    """Seconds for which Python's garbage collector held everything up."""
    PUBLISH_TO_DELIVERY = "publish_to_delivery"
    """Seconds from sending until it was handed to the sockets of this same worker, see `Journeys`."""
    BROKER_ROUND_TRIP = "broker_round_trip"
    """Seconds that a message of this worker to itself took, by way of the broker."""


_FROM_FAST_TO_LOST = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Of what a handler takes, and of what one turn of writing does.
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Of the members of this worker that one message goes to.
MEMBERS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)

#: The upper bounds of what falls together, in ascending order; beyond the last is one more.
BOUNDS: dict[Observed, tuple[float, ...]] = {
    Observed.LOOP_LAG: (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    Observed.GC_PAUSE: (0.0001, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    Observed.PUBLISH_TO_DELIVERY: _FROM_FAST_TO_LOST,
    Observed.BROKER_ROUND_TRIP: _FROM_FAST_TO_LOST,
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
        self.bounds: Sequence[float] = bounds
        self.counts: list[int] = [0] * (len(bounds) + 1)
        self.sum: float = 0.0

    def observe(self, value: float) -> None:
        # A bound belongs to what is under it, as Prometheus has it.
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Tally:
    """Counts in memory: the default, and what tests read."""

    def __init__(self) -> None:
        self.counts: Counter[Count] = _Counts()
        self.histograms: dict[Observed, Histogram] = {what: Histogram(bounds) for what, bounds in BOUNDS.items()}

    def count(self, what: Count, by: int = 1) -> None:
        self.counts[what] += by

    def observe(self, what: Observed, value: float) -> None:
        self.histograms[what].observe(value)


class Traffic:
    """What is counted where even a call would be too much: added to in place, and read when somebody asks.

    It stands beside `Metrics`, and is the same whatever an application gives a hub for that. Bytes are those of whole
    frames, heads included, as sockets of our own have them; on other servers those of the messages.
    """

    __slots__ = ("alone", "bytes_in", "bytes_out", "sizes", "turns")

    def __init__(self) -> None:
        self.bytes_in: int = 0
        self.bytes_out: int = 0
        self.alone: int = 0
        """Messages to one connection alone: answers, what it had missed, what an application sent to one tab."""
        self.sizes: Histogram = Histogram(MEMBERS)
        """Members of this worker, by message. Its sum stays 0: it is `Count.DELIVERIES`."""
        self.turns: Histogram = Histogram(SECONDS)
        """Seconds of writing all that left in one turn of the event loop, where messages to rooms were among it."""
