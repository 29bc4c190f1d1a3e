"""What a tab shows of its user: a small JSON object that the hub carries as text and never looks into.

An empty one shows nothing, and so is the same as none. On the wire it stands beside the names it belongs to, as
`presence: {user: {…}}`.
"""

import json
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from pydantic import BaseModel

from hubbub.errors import InvalidMessage
from hubbub.protocol.codec import as_mapping, decode, encode

#: What stands for an object without fields.
NOTHING = b""

_DEPTH = 32


def shown(presence: object, *, limit: int) -> bytes:
    """As compact JSON. Raises InvalidMessage with `field="presence"` for what is no object, or is too large."""
    if not isinstance(presence, Mapping | BaseModel):
        raise InvalidMessage("presence is an object", field="presence")
    try:
        data = encode(as_mapping(presence))
    except (ValueError, TypeError):
        raise InvalidMessage("presence cannot be written as a JSON object", field="presence") from None
    if len(data) > limit:
        raise InvalidMessage(
            f"presence has {len(data)} bytes of JSON, more than the {limit} it may have", field="presence"
        )
    try:
        # What an application gives was never read: keys that are written alike, depth.
        fields = decode(data.decode(), depth=_DEPTH)
    except InvalidMessage as error:
        raise InvalidMessage(f"presence: {error.message}", field="presence") from None
    return data if fields else NOTHING


def fields_of(data: bytes) -> dict[str, Any]:
    """The object again."""
    fields: dict[str, Any] = json.loads(data or b"{}")
    return fields


def around(user: str) -> tuple[bytes, bytes]:
    """What stands before and after what one user shows."""
    return b"{%b:" % encode(user), b"}"


def of_each(each: Mapping[str, bytes]) -> bytes:
    """`{user: {…}, …}`."""
    return b"{%b}" % b",".join(_part(user, data) for user, data in each.items())


def of_some(each: Mapping[str, bytes], *, limit: int) -> tuple[bytes, int]:
    """The same of those who show anything, in at most `limit` bytes; how many there was no room for."""
    parts = [_part(user, data) for user, data in each.items() if data]
    # Two brackets, and a comma before each but the first.
    sizes = accumulate((1 + len(part) for part in parts), initial=1)
    fitting = sum(size <= limit for size in sizes) - 1
    return b"{%b}" % b",".join(parts[:fitting]), len(parts) - fitting


def owner(presence: bytes) -> tuple[str, bytes]:
    """The user and what it shows, of `{user: {…}}`. Raises UnicodeDecodeError, InvalidMessage."""
    each = list(decode(presence.decode(), depth=1 + _DEPTH).items())
    if len(each) != 1 or not isinstance(each[0][1], dict):
        raise InvalidMessage("this is not what one user shows", field="presence")
    [(user, fields)] = each
    return user, encode(fields) if fields else NOTHING


def beside(message: bytes, presence: bytes) -> bytes:
    """A message of the hub's, which has fields, with `presence`."""
    return b'%b,"presence":%b}' % (message[:-1], presence)


def _part(user: str, data: bytes) -> bytes:
    return b"%b:%b" % (encode(user), data or b"{}")
