"""What `Hub.revoke` says, as it crosses the broker and is remembered there: which credentials prove nobody any more.

A session's id is as good as a password, so of it only a digest leaves the process that was told to revoke it.
"""

import json
import math
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

#: Bytes that the id of a token or a session may have.
LONGEST = 1024
#: Seconds for which clocks may differ: what is revoked until a token ends is remembered for so much longer.
MARGIN = 60.0
# The last second of the year 9999, as `auth/jwt.py` has it.
_LAST_DATE = 253_402_300_799.0


class Revoked(StrEnum):
    """Of what a name is."""

    TOKEN = "token"  # noqa: S105 - no password
    SESSION = "session"
    USER = "user"


class Revocation(NamedTuple):
    """`name`: as `known_as` has it. `before`: of a user's, those made before then. `until`: when it may be forgotten.

    Both in Unix seconds.
    """

    of: Revoked
    name: str
    before: float
    until: float

    def encode(self) -> bytes:
        return json.dumps(self, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Revocation | None":
        """None for what this release cannot read."""
        try:
            of, name, before, until = json.loads(data)
            return cls(Revoked(of), str(name), float(before), float(until))
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None


def known_as(of: Revoked, name: str) -> str:
    """By what it is remembered."""
    if of is not Revoked.SESSION:
        return name
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def revocation(
    *,
    token: str | None,
    session: str | None,
    user: str | None,
    until: float | None,
    issued_before: float | None,
    known: float,
    now: float,
) -> Revocation:
    """As `hubbub.Hub.revoke` says. `known`: seconds for which it is remembered where `until` is None.

    Raises TypeError or ValueError, which name the argument.
    """
    named = {Revoked.TOKEN: token, Revoked.SESSION: session, Revoked.USER: user}
    given = [(of, name) for of, name in named.items() if name is not None]
    if len(given) != 1:
        raise TypeError("revoke takes one of token=, session= and user=")
    [(of, name)] = given
    if not isinstance(name, str):
        raise TypeError(f"{of} is a string, not {type(name).__name__}")
    if not 1 <= len(name.encode("utf-8", "surrogatepass")) <= LONGEST:
        raise ValueError(f"{of} has 1 to {LONGEST} bytes")
    if issued_before is not None and of is not Revoked.USER:
        raise TypeError("issued_before goes with user=")
    before = now if issued_before is None else _time("issued_before", issued_before)
    ends = now + known if until is None else max(now, _time("until", until))
    return Revocation(of, known_as(of, name), before if of is Revoked.USER else 0.0, ends + MARGIN)


def _time(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a Unix time in seconds, not {type(value).__name__}")
    if not (math.isfinite(value) and 0 <= value <= _LAST_DATE):
        raise ValueError(f"{name} is a Unix time in seconds, not {value!r}")
    return float(value)
