"""What an application may set, in small frozen groups. None is unlimited.

Longer than other files: nearly all of it is said to whoever sets something.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Literal, NoReturn, TypeAlias

#: The deepest message that the protocol has: a `join_room` of several rooms, each `since` a position.
_DEEPEST = 4
#: Values of the same message where each of its parts is there once.
_FEWEST = 16
#: Bytes that `Limits.presence` may be set to: with its escapes it has to fit the header of a notice.
MOST_PRESENCE = 16 * 1024


def _positive(group: object) -> None:
    for field in fields(group):  # type: ignore[arg-type]
        if field.type not in (int, float):
            continue
        value = getattr(group, field.name)
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ValueError(f"{type(group).__name__}.{field.name} must be finite and greater than 0, not {value!r}")


#: Bytes that what is kept may take where the broker is ours, the memory of one process or an embedded server: 256 MiB.
BROKER_MEMORY = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one connection, and of what one worker takes on. Sizes are bytes of UTF-8, times are seconds."""

    message: int = 64 * 1024
    """Largest message a client may send; more closes with 1009. Default 64 KiB (OWASP's figure)."""
    depth: int = 32
    """Deepest nesting of JSON in a client's message."""
    nodes: int = 4096
    """Values in the JSON of a client's message, those in lists and objects counted: more is `invalid_message`. What
    reading a message costs is in its values more than in its bytes. Default 4,096."""
    name: int = 128
    """Longest room name and user id."""
    rooms: int = 128
    """Rooms one connection may be in."""
    presence: int = 1024
    """Largest presence a tab may show in a room with presence data, as compact JSON. Default 1 KiB, at most 16 KiB."""
    outbox: int = 1024 * 1024
    """Unsent data one connection may have. What does not fit is treated as its room's `slow` says: by default the
    connection is closed with 1013. Default 1 MiB."""
    payload: int = 512 * 1024
    """Largest message the application may send. Default 512 KiB, so that two fit an outbox."""
    waiting: int = 32
    """Messages of one connection that may wait behind the one being handled; more are `rate_limited`. Beside them joins
    of `rooms` rooms and `@me`, as many leaves, and as many messages again of those that are `at_once`."""
    waiting_bytes: int = 256 * 1024
    """Of one connection's messages that wait: beyond that nothing more is read from it until half of them are handled.
    Counted as what they take in memory, about. Default 256 KiB."""
    first_message: int = 4 * 1024
    """What a connection that nobody has authenticated may send beside its token: a first message of `credential` and so
    many bytes, more closes with 1009; and so much of what it sends while its token is looked at is read, the rest
    afterwards. Default 4 KiB."""
    authenticate: float = 5.0
    """Time for the first message of a connection that came without a credential; later closes with 4002."""
    closing: float = 5.0
    """Time for a peer to take what is left and answer our close frame; then the socket is dropped."""
    credential: int = 8 * 1024
    """Longest token or cookie value that is looked at; a longer one is invalid."""
    replay: int = 300
    """Messages of a room's history that one join is handed; who missed more is told `recovered: false`."""
    replay_rate: float = 500.0
    """Messages of history a second that joins of one connection are handed in the long run; at once as many as all its
    rooms have. A join itself counts as 25 of them. All tabs of a user have eight times as much. More is `rate_limited`,
    but in development. Default 500."""
    replay_bytes: int = 1024 * 1024
    """Bytes a second of that, and of lists of members; at once half an outbox for each of its rooms. Default 1 MiB."""
    notices: int = 5_000
    """Single notices of users who come and go that one worker sends in a second, and at once, to the members of one
    room, or to everyone: one who comes to a room of a thousand makes a thousand. Beyond that they are told together,
    twice a second. Default 5,000; rooms with fewer than 32 members on the worker are not counted."""
    queued: int = 1_000
    """Messages of one worker that may wait for the broker to come back, where `send(..., patience=)` asks for it."""
    batch: int = 1_000
    """Rooms of one `hub.each_room`, and messages of one HTTP batch. Default 1,000."""
    batch_bytes: int = 1024 * 1024
    """Largest body of an HTTP batch. Default 1 MiB, which is read without holding the event loop for long."""
    blocking: float | None = 0.1
    """Time anything may hold the event loop at a stretch before it is named in the log. None: nobody looks. Default
    0.1 s, and at least 0.01."""
    connections: int = 65_536
    """Connections of one worker; more are refused with 503."""
    unauthenticated: int = 1_000
    """Connections of one worker that may wait for their first message at once; more are refused with 503. And so many
    again that are told by 4001 that their credential is invalid; more are refused with 401. Default 1,000 each."""
    connections_per_user: int = 128
    """Connections of one user on one worker; one more is closed with 4004."""
    handshakes: float = 1_000.0
    """Handshakes a second that one worker looks at, twice as many at once; more are refused with 503. None is counted
    from loopback, and none in development. Default 1,000, near what one can do."""

    def __post_init__(self) -> None:
        _positive(self)
        if self.blocking is not None and not (
            isinstance(self.blocking, int | float) and 0.01 <= self.blocking < math.inf
        ):
            raise ValueError(f"Limits.blocking must be at least 0.01 and finite, or None, not {self.blocking!r}")
        if self.payload > self.outbox:
            raise ValueError("Limits.payload must not be greater than Limits.outbox, or it could never be sent")
        if self.depth < _DEEPEST:
            raise ValueError(f"Limits.depth must be at least {_DEEPEST}, or who comes back could not say where it was")
        if self.nodes < _FEWEST:
            raise ValueError(f"Limits.nodes must be at least {_FEWEST}, or who comes back could not say where it was")
        if self.presence > MOST_PRESENCE:
            raise ValueError(f"Limits.presence must not be greater than {MOST_PRESENCE}, or no notice could carry it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast a client may send: token buckets of one connection, and of all that a user has on one worker.

    Every frame is counted before it is looked at. Messages beyond the rate are `rate_limited`, and going on regardless
    closes with 1008. Bytes beyond it are read later, and nothing else happens. Joins have a bucket of their own, of as
    many rooms at once as messages, and at least twice `Limits.rooms`. In development there is none.
    """

    messages: float = 100.0
    """Messages a second in the long run, of whatever kind. Default 100."""
    burst: int = 200
    """Messages at once. Default 200."""
    refusals: int = 200
    """Refused messages, regained at one a second, before the connection is closed with 1008. Default 200."""
    bytes: float = 256 * 1024.0
    """Bytes a second in the long run, inflated where they were compressed. Default 256 KiB: four of the largest
    messages."""
    bytes_burst: int = 1024 * 1024
    """Bytes at once, and at least `Limits.message`. Default 1 MiB."""
    tabs: float = 4.0
    """What all connections of a user on one worker may send together, in what one may. Default 4."""

    def __post_init__(self) -> None:
        _positive(self)
        if self.burst < 1:
            raise ValueError(f"Rate.burst must be at least 1, not {self.burst!r}: no message would ever be let through")
        if self.tabs < 1:
            raise ValueError(f"Rate.tabs must be at least 1, not {self.tabs!r}: one tab could not send what it may")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRate:
    """How much may be published into one room through one worker; more is `rate_limited`, with `retry_after`.

    Who reads as fast as that is never closed for being too slow. One user has half of it in the long run. It holds
    for what clients' messages and joins bring about; where `@hub.rooms(rate=)` declares one, for all that is published
    into the room. A message larger than what is left goes through, and the next waits for it.
    """

    messages: float = 1_000.0
    """Messages a second in the long run. Default 1,000."""
    bytes: float = 256 * 1024
    """Bytes of JSON a second in the long run. Default 256 KiB, a quarter of `Limits.outbox` where that was set."""
    burst: int = 2_000
    """Messages at once. Default 2,000."""
    burst_bytes: int = 512 * 1024
    """Bytes at once. Default 512 KiB, half of `Limits.outbox` where that was set; at most `Limits.outbox`."""

    def __post_init__(self) -> None:
        _positive(self)
        for name in ("burst", "burst_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"RoomRate.{name} must be at least 1, not {getattr(self, name)!r}")


def check_rate_fits(rate: RoomRate | None, limits: Limits) -> None:
    """Raises ValueError for a rate at which a reader that has read all falls at once."""
    if rate is not None and rate.burst_bytes > limits.outbox:
        raise ValueError(
            f"RoomRate.burst_bytes is {rate.burst_bytes}, more than Limits.outbox, {limits.outbox}: readers would be "
            "closed for what may be published at once. Lower the one or raise the other"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """What the clients of one address may have of one worker; more is refused with 429, before anything is looked at.

    An address of IPv6 stands for its /64, IPv4 within IPv6 for itself. Nothing is limited for loopback, for unix
    sockets, and for proxies that are not named; in development nothing at all.
    """

    connections: int = 2_000
    """Connections at a time, handshakes among them. Default 2,000: a company comes from one address."""
    unauthenticated: int = 250
    """Connections at a time that wait for their first message. Default 250, a quarter of `Limits.unauthenticated`."""
    handshakes: float = 50.0
    """Handshakes a second in the long run. Default 50."""
    burst: int = 1_000
    """Handshakes at once: a company whose line comes back. Default 1,000."""
    failures: int = 500
    """Handshakes, and keys for publishing, that came to nothing at once: no sense in them, or nobody's credential.
    Regained at a tenth of `handshakes`; until then nothing is looked at from there. Default 500."""
    proxies: Sequence[str] | None = None
    """Addresses and networks of proxies that are believed whom they speak for, `unix` for those that come by a unix
    socket. Default HUBBUB_PROXIES; an empty list says that there is none."""
    header: str = "x-forwarded-for"
    """In which they say it: a list of addresses, the last one added by the nearest; or `forwarded` (RFC 7239)."""
    known: int = 16_384
    """Addresses without a connection that are remembered, those that were heard last. Default 16,384."""

    def __post_init__(self) -> None:
        _positive(self)
        for name in ("connections", "unauthenticated", "burst", "failures", "known"):
            if getattr(self, name) < 1:
                raise ValueError(f"Addresses.{name} must be at least 1, not {getattr(self, name)!r}")
        if not isinstance(self.header, str) or not self.header.isascii() or not self.header.strip():
            raise ValueError(f"Addresses.header is the name of a header, not {self.header!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """`ping` every `interval` seconds; a peer that sends nothing within `timeout` seconds of it is closed with 4007.

    Defaults 25 and 10: under the 60 s after which common proxies drop an idle connection.
    """

    interval: float = 25.0
    timeout: float = 10.0

    def __post_init__(self) -> None:
        _positive(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How much a room keeps: the last `size` messages, none older than `ttl` seconds.

    Who comes back is handed at most `Limits.replay` of them.
    """

    size: int
    ttl: float

    def __post_init__(self) -> None:
        _positive(self)


#: What is said of keeping a room's messages, or a user's. None: nothing is said, and what another service on the same
#: broker keeps is kept. False: they are not to be kept any more.
Keep: TypeAlias = History | Literal[False] | None


def check_keep(keep: object, field: str) -> None:
    """Raises ValueError for what is no `Keep`."""
    if not (keep is None or keep is False or isinstance(keep, History)):
        raise ValueError(f"{field} is History(size=…, ttl=…), None or False, not {keep!r}")


def check_fits(keep: Keep, limits: Limits) -> None:
    """Raises ValueError where a message may be kept that could not be handed to who comes back."""
    # Who joins has a quarter of it unsent at most, and is told first where it stands.
    if keep and 3 * limits.payload > 2 * limits.outbox:
        raise ValueError(
            f"Limits.payload is {limits.payload}, more than two thirds of Limits.outbox, {limits.outbox}: a message "
            "that is kept could not be handed to who comes back. Lower the one, raise the other, or keep nothing"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """When somebody who is gone counts as gone, and how a worker goes. Times are seconds."""

    lease: float = 10.0
    """After a worker died, its users are announced as gone within so long. Default 10."""
    grace: float = 0.0
    """A user counts as there for so long after the last tab: a page that is reloaded is no news. Default 0."""
    window: float = 5.0
    """A worker told to end (SIGTERM) spreads its clients' return over so long; 0 sends all away at once. Default 5."""

    def __post_init__(self) -> None:
        for name in ("lease", "grace", "window"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ValueError(f"Leaving.{name} must be finite and not negative, not {value!r}")
        if self.lease == 0:
            raise ValueError("Leaving.lease must be greater than 0: nobody can renew it in no time")


class Slow(StrEnum):
    """What becomes of a room's message that a reader is too slow for."""

    DISCONNECT = "disconnect"
    """The reader is closed with 1013."""
    DROP_OLDEST = "drop_oldest"
    """The room's oldest messages are left out, and the reader is told how many by `gap`."""
    LATEST = "latest"
    """A value that waits is replaced by the next with the same `send(..., key=)`; what does not fit even so is left
    out as under `drop_oldest`."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"slow is disconnect, drop_oldest or latest, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomOptions:
    """What a room pattern asked for.

    `presence`: the broker counts who is in the room and the members are told who comes and goes. Default off.
    `presence_data`: each of them shows the others a small object of its own, a name or a status. Default off.
    `diff`: they are told by `presence_diff`, collected over half a second, instead of one notice each. Default off.
    `history`: what is kept of its messages, see `Keep`. Default None.
    `slow`: what becomes of a message that a reader is too slow for. Default: the reader is closed with 1013.
    `rate`: how much may be published into it through one worker. Default: `Hub(room_rate=)`, for what clients do.

    Raises ValueError for a `history` that is none of these, for `presence_data` without presence, and for `latest` with
    history: of values that replace each other nothing can be missed.
    """

    presence: bool = False
    presence_data: bool = False
    diff: bool = False
    history: Keep = None
    slow: Slow = Slow.DISCONNECT
    rate: RoomRate | None = None

    def __post_init__(self) -> None:
        check_keep(self.history, "history")
        if self.presence_data and not self.presence:
            raise ValueError(
                'presence_data=True needs presence=True or presence="diff": else nobody is told who is there'
            )
        if self.slow is Slow.LATEST and self.history:
            raise ValueError('a room with slow="latest" keeps no history: leave out history=, or slow=')
