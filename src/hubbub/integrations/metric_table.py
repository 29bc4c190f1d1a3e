"""Every metric that operators see: its name, what it means, and which of a worker's numbers it is.

The names are those of Prometheus' conventions: base units, `_total` for what only grows. What a label can be is listed
here, but for the types of messages, which an application declares: so there are as many series as this table and the
application have, whoever connects, and none has the name of a room or a user.

Longer than other files, because it is one table.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from hubbub.errors import ERROR_CODES, CredentialFault, Refused
from hubbub.ports.metrics import BOUNDS, MEMBERS, SECONDS, Count, Observed

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

#: A worker's numbers, as `hubbub.hub.numbers` has them.
Said: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """`of`: the number. `less`: what is counted in it as well, and has samples of its own; `more`: what that takes away
    too much. `values`: of the family's labels beside `node`."""

    of: str
    values: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """`beside`: its labels beside `node`, which every sample has. `samples`: none where there is one for each type."""

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...] = ()
    beside: tuple[str, ...] = ()
    bounds: Sequence[float] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        return ("node", *self.beside)

    def numbers(self, said: Said) -> Iterable[tuple[tuple[str, ...], Any]]:
        """What a worker says of it: the values of the labels beside `node`, and the number.

        A histogram's number is a list: its sum, and what fell under each bound. What the worker does not know, because
        its release is another, is left out.
        """
        if self.kind == "histogram":
            yield from self._histograms(said)
            return
        known = said.get("counts" if self.kind == "counter" else "gauges", {})
        for sample in self.samples:
            number = known.get(sample.of)
            if number is None and self.kind == "counter" and sample.of in _COUNTS:
                number = 0  # nothing of it has happened yet
            if number is not None:
                if sample.less:
                    number -= sum(known.get(each, 0) for each in sample.less)
                    number = max(0, number + sum(known.get(each, 0) for each in sample.more))
                yield sample.values, number

    def _histograms(self, said: Said) -> Iterable[tuple[tuple[str, ...], list[float]]]:
        if self.samples:
            known = said.get("histograms", {})
            found = [(sample.values, known[sample.of]) for sample in self.samples if sample.of in known]
        else:
            found = [((type,), numbers) for type, numbers in sorted(said.get("handlers", {}).items())]
        for labels, numbers in found:
            if len(numbers) == len(self.bounds) + 2:
                yield labels, numbers


_COUNTS = frozenset(Count)


def _counter(name: str, says: str, of: str) -> Family:
    return Family(f"hubbub_{name}_total", "counter", says, (Sample(of),))


def _counters(name: str, says: str, label: str, of: Mapping[str, Sample | str]) -> Family:
    samples = tuple(
        Sample(each, (value,)) if isinstance(each, str) else replace(each, values=(value,))
        for value, each in of.items()
    )
    return Family(f"hubbub_{name}_total", "counter", says, samples, (label,))


def _gauge(name: str, says: str, of: str) -> Family:
    return Family(f"hubbub_{name}", "gauge", says, (Sample(of),))


def _histogram(name: str, says: str, of: str, bounds: Sequence[float]) -> Family:
    return Family(f"hubbub_{name}", "histogram", says, (Sample(of),), bounds=bounds)


_CODES = tuple(code for code in ERROR_CODES if code != Refused.code)
_OUTCOMES = {
    "invalid": Count.REFUSED_INVALID,
    "credential": Count.REFUSED_CREDENTIAL,
    "origin": Count.REFUSED_ORIGIN,
    "no_auth": Count.REFUSED_NO_AUTH,
    "unready": Count.REFUSED_UNREADY,
    "full": Count.REFUSED_FULL,
    "descriptors": Count.REFUSED_DESCRIPTORS,
    "late": Count.REFUSED_LATE,
    "failed": Count.REFUSED_FAILED,
    "rate": Count.REFUSED_WORKER,
}

FAMILIES: tuple[Family, ...] = (
    # Who is there.
    _gauge("connections", "Connections that were let in.", "connections"),
    _gauge("connections_unauthenticated", "Connections that are nobody's yet.", "unauthenticated"),
    _gauge("users", "Users with a connection to this worker.", "users"),
    _gauge("rooms", "Rooms with a member on this worker.", "rooms"),
    _gauge("handshakes_under_way", "Handshakes that are being looked at.", "under_way"),
    # Who comes and goes.
    _counters(
        "handshakes",
        "Handshakes that came to this hub, by what became of them.",
        "outcome",
        {
            "accepted": Count.CONNECTIONS,
            **_OUTCOMES,
            "address": Sample(Count.REFUSED_ADDRESS, less=(Count.REFUSED_GUESSES,)),
            "other": Sample(
                Count.REFUSED_HANDSHAKES,
                less=(*_OUTCOMES.values(), Count.REFUSED_ADDRESS),
                more=(Count.REFUSED_GUESSES,),
            ),
        },
    ),
    _counters(
        "credentials_rejected",
        "Credentials that proved nobody, at handshakes and afterwards, by what was wrong with them.",
        "fault",
        {fault.value: Count(f"credentials_{fault}") for fault in CredentialFault},
    ),
    _counter(
        "guesses_refused",
        "Guesses of a key that were not looked at: too many came from one address.",
        Count.REFUSED_GUESSES,
    ),
    _counters(
        "sockets_ended",
        "Sockets that ended without the hub's doing: before it had them, or on other routes of the application.",
        "reason",
        {
            "invalid_request": Count.INVALID_REQUESTS,
            "large_head": Count.LARGE_HEADS,
            "late_head": Count.LATE_HEADS,
            "late_body": Count.LATE_BODIES,
            "invalid_handshake": Count.INVALID_HANDSHAKES,
            "late_handshake": Count.LATE_HANDSHAKES,
            "broke_the_rules": Count.CLOSED_SOCKETS,
            "descriptors": Count.CROWDED_SOCKETS,
            "dropped": Count.DROPPED_SOCKETS,
        },
    ),
    Family(
        "hubbub_connections_closed_total",
        "counter",
        "Connections that ended, by who ended them and the close code: 1006 is a network that went without a word.",
        tuple(
            Sample(count, (by, count.value.removeprefix(prefix)))
            for by, prefix in (("server", "connections_closed_"), ("client", "connections_left_"))
            for count in Count
            if count.value.startswith(prefix)
        ),
        ("by", "code"),
    ),
    _counter(
        "connections_without_heartbeat", "Connections that were closed because no heartbeat was answered.", Count.DEAD
    ),
    _counter("connections_too_slow", "Connections that were closed because they read too slowly.", Count.SLOW),
    _counter(
        "connections_flooding", "Connections that were closed because they went on sending too much.", Count.FLOODING
    ),
    # What is said.
    _counter("messages_received", "Messages from clients.", Count.MESSAGES_IN),
    _counters(
        "messages_sent",
        "Messages to clients: to many, what was sent to a room, a user or everyone, once for each connection that got "
        "it; to one, answers, what it had missed, and what was sent to it alone.",
        "to",
        {"many": Count.DELIVERIES, "one": "messages_sent_alone"},
    ),
    _counter(
        "received_bytes",
        "Bytes from clients after the handshake; on servers without our transport, of messages alone.",
        "bytes_received",
    ),
    _counter("sent_bytes", "Bytes to clients after the handshake, the same.", "bytes_sent"),
    _counter(
        "reads_postponed",
        "How often nothing was read from a connection for a moment: it sent more than its rate allows.",
        Count.READ_LATER,
    ),
    _counters(
        "requests_refused",
        "Requests that were answered by an error, by its code; other: one of the application's own.",
        "code",
        {
            **{code: Count(f"requests_refused_{code}") for code in _CODES},
            "other": Sample(Count.REFUSED, less=tuple(f"requests_refused_{code}" for code in _CODES)),
        },
    ),
    _counter(
        "joins_limited", "Joins that were refused because their client had been handed too much.", Count.JOINS_LIMITED
    ),
    _counter(
        "publishes_limited",
        "Messages that were not published: their room had as many as it may have.",
        Count.PUBLISHING_LIMITED,
    ),
    # How fast.
    _histogram(
        "fanout_members", "Connections of this worker that a message goes to, by message.", "fanout_members", MEMBERS
    ),
    _histogram(
        "fanout_seconds",
        "Writing what leaves in one turn of the event loop, where messages to many are among it.",
        "fanout_seconds",
        SECONDS,
    ),
    _histogram(
        "publish_to_delivery_seconds",
        "From sending until it was written to this same worker's clients, by way "
        "of the broker: at most twenty messages a second are timed.",
        Observed.PUBLISH_TO_DELIVERY,
        BOUNDS[Observed.PUBLISH_TO_DELIVERY],
    ),
    Family(
        "hubbub_handler_seconds",
        "histogram",
        "From the begin of a handler to its end, waiting included, by the type of the message.",
        beside=("type",),
        bounds=SECONDS,
    ),
    _histogram(
        "loop_lag_seconds",
        "How late the event loop was for what it was to do.",
        Observed.LOOP_LAG,
        BOUNDS[Observed.LOOP_LAG],
    ),
    _histogram(
        "gc_pause_seconds",
        "For how long Python's garbage collector held everything up, but for its youngest generation.",
        Observed.GC_PAUSE,
        BOUNDS[Observed.GC_PAUSE],
    ),
    _counters(
        "gc_collections",
        "Collections of Python's garbage collector.",
        "generation",
        {str(number): f"gc_{number}" for number in range(3)},
    ),
    # Who is too slow, and what is lost.
    _gauge("outbox_bytes", "Bytes that wait to be sent to clients.", "outbox_bytes"),
    _gauge("outbox_largest_bytes", "Bytes that wait for the one client for whom most do.", "outbox_largest"),
    _gauge("outbox_connections", "Connections for which something waits.", "outbox_connections"),
    _counter(
        "messages_dropped", "Messages that were not sent to a reader that was too slow; it was told.", Count.DROPPED
    ),
    _counter(
        "messages_superseded", "Messages that were replaced by a newer value before they were sent.", Count.SUPERSEDED
    ),
    _counter(
        "gaps", "Holes in a room's messages that its members were told of: history could not fill them.", Count.GAPS
    ),
    # History.
    _gauge("history_topics", "Topics of which this worker knows where they stand.", "history_topics"),
    _counters(
        "history_reads",
        "Reads of what was missed, from the broker.",
        "outcome",
        {
            "complete": Sample(Count.HISTORY_READS, less=(Count.HISTORY_READS_FAILED,)),
            "failed": Count.HISTORY_READS_FAILED,
        },
    ),
    _counters(
        "resumes",
        "Joins with `since`: complete, all that was missed was handed over; incomplete, not all of it is kept.",
        "outcome",
        {"complete": Count.RESUMED, "incomplete": Count.RESUMED_IN_PART},
    ),
    _counter("messages_resumed", "Messages that were handed to clients which had missed them.", Count.RESUMED_MESSAGES),
    _counter(
        "messages_repeated",
        "Messages that the broker brought a second time, and that were not delivered again.",
        Count.REPEATED,
    ),
    # Presence.
    _counters(
        "presence_changes",
        "What this worker told the broker of who is there: came to a room, went from one, is online, is offline, shows "
        "something else.",
        "change",
        {
            "came": Count.PRESENCE_CAME,
            "went": Count.PRESENCE_WENT,
            "online": Count.ONLINE_CAME,
            "offline": Count.ONLINE_WENT,
            "shown": Count.PRESENCE_SHOWN,
        },
    ),
    _counter("presence_swept", "Entries of dead workers that this one ended.", Count.PRESENCE_SWEPT),
    _counter(
        "presence_notices_collected",
        "Notices of users who came or went that were told with others: they were too many.",
        Count.NOTICES_COLLECTED,
    ),
    _counter(
        "presence_notices_left_out",
        "Notices that were not told one by one to clients which get the list of members instead.",
        Count.NOTICES_LEFT_OUT,
    ),
    _gauge("lease_left_seconds", "For how long others go on believing that this worker lives.", "lease_left"),
    _counters(
        "lease_renewals",
        "Renewals of this worker's lease: renewed in time; lost, renewed too late; failed, the broker did not take it.",
        "outcome",
        {
            "renewed": Sample(Count.LEASE_RENEWED, less=(Count.LEASE_LOST,)),
            "lost": Count.LEASE_LOST,
            "failed": Count.LEASE_FAILED,
        },
    ),
    # The application's functions.
    _counter(
        "handlers_failed", "Handlers, checks and hooks that raised what nobody meant to raise.", Count.HANDLER_FAILED
    ),
    _counter("handlers_blocking", "How often a handler held the event loop longer than it may.", Count.HANDLER_BLOCKED),
    _counter(
        "loop_blocked", "How often the event loop was held longer than it may be, by anything.", Count.LOOP_BLOCKED
    ),
    # The broker.
    _gauge("ready", "Whether this worker takes new connections.", "ready"),
    _gauge("broker_ready", "Whether this worker hears its broker.", "broker_ready"),
    _gauge("broker_deaf_seconds", "For how long it has not.", "broker_deaf"),
    _histogram(
        "broker_round_trip_seconds",
        "What a message of this worker to itself takes, by way of the broker.",
        Observed.BROKER_ROUND_TRIP,
        BOUNDS[Observed.BROKER_ROUND_TRIP],
    ),
    _counter("broker_connections_lost", "Connections to the broker that were lost.", Count.BROKER_LOST),
    _counter("broker_connections_restored", "How often the broker came back.", Count.BROKER_RECONNECTED),
    _counter(
        "broker_deaf",
        "How often what was published did not come back for too long, though no connection was seen to end.",
        Count.BROKER_DEAF,
    ),
    _counter(
        "broker_resubscriptions",
        "Topics that were subscribed to again: on another connection, or because the server had dropped them.",
        Count.RESUBSCRIBED,
    ),
    _gauge("subscriptions", "Topics that this worker hears.", "subscriptions"),
    _gauge("publishes_waiting", "Messages that wait for the broker to come back.", "publishes_waiting"),
    _counter("unknown_envelopes", "Messages from the broker that could not be read.", Count.UNKNOWN_ENVELOPES),
    # The process.
    _counter("process_cpu_seconds", "Processor time of this worker's process.", "cpu_seconds"),
    _gauge("process_resident_memory_bytes", "Memory of this worker's process.", "resident"),
    _gauge("process_open_fds", "File descriptors that this worker's process has, about.", "descriptors"),
    _gauge("process_max_fds", "File descriptors that it may have.", "descriptors_limit"),
    _gauge("process_start_time_seconds", "When this worker started, Unix time.", "started"),
)
