"""What crosses the broker: a small header for the workers and the payload as opaque bytes.

Layout, version 1: one byte version, one byte kind, two bytes length of the header (big endian), the header as JSON
(none where there is nothing to say), the payload. A receiving worker reads the header and never parses the payload of
a message. Never pickle: whoever can publish on the broker would run code in every worker (CVE-2025-61765).

A version we do not know raises `UnknownEnvelope`; the receiver counts and ignores it, so that two releases can share a
broker during a rolling deploy.

A kept message crosses with its position before it: the version, kind 255, `epoch:offset:` in ASCII, the envelope. So
a script on a broker can write it without knowing the layout.

Several cross as one bundle, of kind 0: in place of the header's length their number, then the length of each as four
bytes, then all of them. Taking them apart parses none.
"""

import json
import struct
from collections.abc import Sequence
from enum import IntEnum
from itertools import accumulate, pairwise
from typing import NamedTuple

from hubbub.types import Position

_VERSION = 1
_HEAD = struct.Struct("!BBH")
_BUNDLE = bytes((_VERSION, 0))
POSITIONED = bytes((_VERSION, 255))
"""What a kept message begins with where it crosses the broker."""

#: Envelopes in one bundle.
BUNDLE = 512


class UnknownEnvelope(ValueError):
    """Bytes that are not an envelope we can read."""


class Kind(IntEnum):
    MESSAGE = 1
    """Deliver the payload to the topic's members."""
    NOTICE = 2
    """The same, for what the hub itself says: presence. Never kept in history."""
    DISCONNECT = 3
    """On a user's topic: close the user's connections. Payload: the reason, UTF-8."""
    CLOSE_ROOM = 4
    """On a room's topic: put every member out. Payload: the reason, UTF-8."""
    REMOVE = 5
    """On a room's topic: put the users of `only` out. Payload: the reason, UTF-8."""
    CAME = 6
    """On the topic of a room that collects them: this user is there now. Payload: the user's id, UTF-8."""
    WENT = 7
    """The same, of one that is there no more."""
    PUT_IN = 8
    """On a user's topic: make the user's connections members of a room. Payload: the room's name, UTF-8."""
    TAKE_OUT = 9
    """The same, to have them leave it."""
    SHOWN = 10
    """As NOTICE, for those alone who asked for presence."""
    CHANGED = 11
    """On the topic of a room that collects them: what a user shows is now this. Payload: `{user: {…}}`, JSON."""
    REMOVED = 13
    """On WORKERS: the users of `only` are sent away, all where it is empty, from the room `key`, or without one from
    everywhere. For those who are on their way in, whom the topic of the room or the user does not reach yet. Payload:
    the reason, UTF-8."""
    REVOKED = 14
    """On WORKERS: credentials prove nobody from now on. Payload: see `hubbub.protocol.revocation`."""
    ASKED = 15
    """On WORKERS: answer this to a node. Payload: JSON, see `hubbub.hub.questions`."""
    ANSWERED = 16
    """On a node's topic: what another answers. Payload: the same."""


_NOBODY: frozenset[str] = frozenset()


class Envelope(NamedTuple):
    """`without_users` and `without_connections` do not get it; where `only` is not empty, nobody else does.

    `key`: of the value it is, where a slow reader needs only the latest. `presence`: of a notice, what those who asked
    for it get beside the payload, JSON. In the header, so that a release that does not know it delivers the payload.
    `trace`: which trace it belongs to, see `hubbub.protocol.trace_context`; whatever stands there, it is delivered.
    """

    kind: Kind
    payload: bytes
    without_users: frozenset[str] = _NOBODY
    without_connections: frozenset[str] = _NOBODY
    only: frozenset[str] = _NOBODY
    key: str | None = None
    presence: bytes | None = None
    trace: str | None = None

    def encode(self) -> bytes:
        if not (
            self.without_users
            or self.without_connections
            or self.only
            or self.key is not None
            or self.presence is not None
            or self.trace is not None
        ):
            return _HEADS[self.kind] + self.payload
        fields: dict[str, list[str] | str] = {
            name: sorted(names)
            for name, names in (("u", self.without_users), ("c", self.without_connections), ("o", self.only))
            if names
        }
        if self.key is not None:
            fields["k"] = self.key
        if self.presence is not None:
            fields["p"] = self.presence.decode()
        if self.trace is not None:
            fields["t"] = self.trace
        # Where something is shown, as it is: escaped, a character of one byte or two would be six.
        text = json.dumps(fields, separators=(",", ":"), ensure_ascii=self.presence is None)
        header = text.encode("utf-8", "surrogatepass")
        if len(header) > 0xFFFF:
            raise ValueError("too many exclusions for one message")
        return _HEAD.pack(_VERSION, self.kind, len(header)) + header + self.payload

    @classmethod
    def decode(cls, data: bytes) -> "Envelope":
        """Raises UnknownEnvelope."""
        bare = _BARE.get(data[:4])
        if bare is not None:
            # What calling it comes to, without the call.
            return tuple.__new__(cls, (bare, data[4:], _NOBODY, _NOBODY, _NOBODY, None, None, None))
        try:
            version, kind, length = _HEAD.unpack_from(data)
            if version != _VERSION:
                raise UnknownEnvelope(f"version {version}")
            end = _HEAD.size + length
            if len(data) < end:
                raise UnknownEnvelope("cut short")
            fields = json.loads(data[_HEAD.size : end] or b"{}")
            return cls(
                Kind(kind),
                data[end:],
                without_users=frozenset(fields.get("u", ())),
                without_connections=frozenset(fields.get("c", ())),
                only=frozenset(fields.get("o", ())),
                key=_string(fields.get("k")),
                presence=_text(fields.get("p")),
                trace=trace if isinstance(trace := fields.get("t"), str) else None,
            )
        except UnknownEnvelope:
            raise
        except (struct.error, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise UnknownEnvelope(type(error).__name__) from None


def _string(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError


def _text(value: object) -> bytes | None:
    text = _string(value)
    return None if text is None else text.encode()


#: Heads of envelopes without a header, which nearly all are: to know one by its bytes takes a third of reading it.
_BARE = {_HEAD.pack(_VERSION, kind, 0): kind for kind in Kind}
_HEADS = {kind: head for head, kind in _BARE.items()}

FOR_ALL = _HEADS[Kind.MESSAGE]
"""A message to all members is this and its payload: what `Envelope.encode` makes of one, without the envelope."""


def with_trace(data: bytes, trace: str) -> bytes:
    """What `encode` made without a trace, with this one; the same bytes where the header has no room for it."""
    length = int.from_bytes(data[2:4], "big")
    end = _HEAD.size + length
    field = b'"t":' + json.dumps(trace).encode()
    header = data[_HEAD.size : end - 1] + b"," + field + b"}" if length else b"{" + field + b"}"
    if len(header) > 0xFFFF:
        return data
    return b"".join((data[:2], len(header).to_bytes(2, "big"), header, data[end:]))


def parted(data: bytes) -> tuple[Position | None, bytes]:
    """The position and the envelope; None and the same bytes where there is no position, whole or not."""
    if not data.startswith(POSITIONED):
        return None, data
    try:
        epoch, offset, envelope = data[len(POSITIONED) :].split(b":", 2)
        return Position(epoch.decode("ascii"), int(offset)), envelope
    except ValueError:
        return None, data


def join(envelopes: Sequence[bytes]) -> bytes:
    """As one: what `split` makes these of again. One alone stays what it is. At most BUNDLE of them."""
    if len(envelopes) == 1 and not envelopes[0].startswith(_BUNDLE):
        return envelopes[0]
    lengths = struct.pack(f"!{len(envelopes)}I", *map(len, envelopes))
    return b"".join((_HEAD.pack(_VERSION, 0, len(envelopes)), lengths, *envelopes))


def split(data: bytes) -> Sequence[bytes]:
    """The envelopes of a bundle. What is none, whole or not, is one envelope: who reads that one says what it is."""
    if not data.startswith(_BUNDLE):
        return (data,)
    try:
        *_, count = _HEAD.unpack_from(data)
        lengths = struct.unpack_from(f"!{count}I", data, _HEAD.size)
    except struct.error:
        return (data,)
    ends = tuple(accumulate(lengths, initial=_HEAD.size + 4 * count))
    if not count or ends[-1] != len(data):
        return (data,)
    return [data[start:end] for start, end in pairwise(ends)]
