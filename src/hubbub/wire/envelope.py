"""What crosses the broker: a small header for the workers and the payload as opaque bytes.

Layout, version 1: one byte version, one byte kind, two bytes length of the header (big endian), the header as JSON
(none where there is nothing to say), the payload. A receiving worker reads the header and never parses the payload of
a message. Never pickle: whoever can publish on the broker would run code in every worker (CVE-2025-61765).

A version we do not know raises `UnknownEnvelope`; the receiver counts and ignores it, so that two releases can share a
broker during a rolling deploy.
"""

import json
import struct
from dataclasses import dataclass
from enum import IntEnum

_VERSION = 1
_HEAD = struct.Struct("!BBH")


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


@dataclass(frozen=True, slots=True)
class Envelope:
    """`without_users` and `without_connections` do not get it; where `only` is not empty, nobody else does."""

    kind: Kind
    payload: bytes
    without_users: frozenset[str] = frozenset()
    without_connections: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()

    def encode(self) -> bytes:
        fields = {
            name: sorted(names)
            for name, names in (("u", self.without_users), ("c", self.without_connections), ("o", self.only))
            if names
        }
        header = json.dumps(fields, separators=(",", ":")).encode() if fields else b""
        if len(header) > 0xFFFF:
            raise ValueError("too many exclusions for one message")
        return _HEAD.pack(_VERSION, self.kind, len(header)) + header + self.payload

    @classmethod
    def decode(cls, data: bytes) -> "Envelope":
        """Raises UnknownEnvelope."""
        try:
            version, kind, length = _HEAD.unpack_from(data)
            if version != _VERSION:
                raise UnknownEnvelope(f"version {version}")
            end = _HEAD.size + length
            if not length:
                return cls(Kind(kind), data[end:])
            if len(data) < end:
                raise UnknownEnvelope("cut short")
            fields = json.loads(data[_HEAD.size : end])
            return cls(
                Kind(kind),
                data[end:],
                without_users=frozenset(fields.get("u", ())),
                without_connections=frozenset(fields.get("c", ())),
                only=frozenset(fields.get("o", ())),
            )
        except UnknownEnvelope:
            raise
        except (struct.error, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise UnknownEnvelope(type(error).__name__) from None
