"""Everything Hubbub raises.

HubbubError
 ├─ ConfigurationError        the application set something up that cannot work
 ├─ ConnectionClosed          the connection is gone; nothing can be sent on it
 ├─ HandshakeRefused          a socket was refused, and has been answered; nothing is left to do for its route
 ├─ CredentialError           a credential that proves nobody
 │   ├─ InvalidCredential
 │   └─ ExpiredCredential
 ├─ WrongAnswer               a function of the application's gave what it may not; for the log, never for a client
 └─ Refused                   a request the other side may read the reason of: it becomes `error` on the wire
     ├─ Unauthorized  Forbidden  UnknownType  InvalidMessage  UnknownRoom  NotJoined  NotFound  Conflict
     ├─ TooManyRooms  RateLimited
     ├─ Unavailable           the broker is away, or did not answer within its deadline
     │   └─ NotSentToAll      so it was for some of several rooms
     └─ InternalError         an exception of the application's, told without its text

A `Refused` carries fields, not prose: `code` is one of section "Error codes" of the protocol or the application's own,
`field` names the part of the message at fault, `retry_after` is in milliseconds. Whatever an application put there,
what goes on the wire is well formed: a request that is refused is answered.
"""

import math
import traceback
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from hubbub.types import Position

# The most characters of what an application says in a refusal: of its sentence, and of `field` and `code`.
_MAX_SENTENCE = 1000
_MAX_NAME = 200

# The largest integer that every JSON reader keeps exact.
_MAX_MILLISECONDS = 2**53


class HubbubError(Exception):
    """The supported broad catch for everything below."""


class ConfigurationError(HubbubError):
    """The application set something up that cannot work; the text says what and what to do instead."""


class ConnectionClosed(HubbubError):
    """The connection is gone."""

    def __init__(self, connection: str) -> None:
        super().__init__(connection)
        self.connection = connection

    def __str__(self) -> str:
        return f"connection {self.connection} is closed"


class HandshakeRefused(HubbubError):
    """The client was refused and told so. Hubbub ends the route with it quietly; let it pass."""


class CredentialFault(StrEnum):
    """Why a credential proves nobody: what the server's log says and counts by, and no browser is told."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"
    ALGORITHM = "algorithm"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    AUDIENCE = "audience"
    ISSUER = "issuer"
    CLAIM = "claim"
    """One is missing, or is not what it should be."""
    UNKNOWN = "unknown"
    """Well formed, and nobody's: no such session, no such key."""
    REVOKED = "revoked"
    NOT_TAKEN = "not_taken"
    """No authenticator takes what travelled this way."""
    ANOTHER_USER = "another_user"
    """A renewal that is for somebody else than who is there."""
    OTHER = "other"


class CredentialError(HubbubError):
    """A credential that proves nobody. The text never contains the credential; `fault` is what it is counted by."""

    default: ClassVar[CredentialFault] = CredentialFault.OTHER

    def __init__(self, message: str = "", *, fault: CredentialFault | None = None) -> None:
        super().__init__(message)
        self.fault: CredentialFault = fault or self.default


class InvalidCredential(CredentialError):
    """Forged, malformed, for somebody else, or by somebody we do not trust."""


class ExpiredCredential(CredentialError):
    """Was valid, is not any more."""

    default = CredentialFault.EXPIRED


class WrongAnswer(HubbubError, TypeError, ValueError):
    """A function of the application's gave what it may not. The text names the function or a field, never a value."""


class Refused(HubbubError):
    """A request that is answered with `error`: `code`, a sentence, and where it applies `field` and `retry_after`.

    An application may raise it as it is, or have subclasses with a `code` and a `default` sentence of their own.
    Declaring one whose code is the protocol's raises ConfigurationError, unless it inherits that code.
    """

    code: ClassVar[str] = "refused"
    default: ClassVar[str] = "refused"

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        code = cls.code
        if cls.__module__ != __name__ and code in ERROR_CODES and code != getattr(super(cls, cls), "code", None):
            raise ConfigurationError(
                f"{cls.__qualname__}: the code {code!r} belongs to the protocol; inherit from the exception that has "
                "it, or choose another"
            )

    def __init__(self, message: str | None = None, *, field: str | None = None, retry_after: int | None = None) -> None:
        told = text_of(message) or self.default
        super().__init__(told)
        self.message = told
        self.field = field
        self.retry_after = retry_after

    def on_the_wire(self, id: str | int | None = None) -> dict[str, Any]:
        """The `error` message, with the `id` of the request where it had one. What cannot be told is left out."""
        code = self.code if isinstance(self.code, str) else ""
        # A subclass may never have called `__init__`.
        message, field = getattr(self, "message", None), getattr(self, "field", None)
        error: dict[str, Any] = {
            "type": "error",
            "code": text_of(code, limit=_MAX_NAME) or Refused.code,
            "message": text_of(message) or text_of(self.default) or Refused.default,
        }
        if field is not None:
            error["field"] = text_of(_dotted(field), limit=_MAX_NAME)
        retry_after = _milliseconds(getattr(self, "retry_after", None))
        if retry_after is not None:
            error["retry_after"] = retry_after
        if id is not None:
            error["id"] = id
        return error


class Unauthorized(Refused):
    code = "unauthorized"
    default = "the credential does not allow this"


class Forbidden(Refused):
    code = "forbidden"
    default = "not allowed"


class UnknownType(Refused):
    code = "unknown_type"
    default = "no handler for this type"


class InvalidMessage(Refused):
    """`message` may be Pydantic's ValidationError, or its `errors()`: then the first of them is told, and its field.

    Not the text of the whole, which repeats values.
    """

    code = "invalid_message"
    default = "the message is not valid"

    def __init__(self, message: Any = None, *, field: str | None = None, retry_after: int | None = None) -> None:
        first = _first_fault(message)
        if first is not None:
            message, field = first["msg"], _dotted(first.get("loc")) if field is None else field
        super().__init__(message, field=field, retry_after=retry_after)


class UnknownRoom(Refused):
    code = "unknown_room"
    default = "there is no such room"


class NotJoined(Refused):
    code = "not_joined"
    default = "this connection is not in the room"


class NotFound(Refused):
    code = "not_found"
    default = "there is no such thing"


class Conflict(Refused):
    code = "conflict"
    default = "it is not as the request takes it to be"


class TooManyRooms(Refused):
    code = "too_many_rooms"
    default = "this connection is in as many rooms as it may be"


class RateLimited(Refused):
    code = "rate_limited"
    default = "too many messages"


class Unavailable(Refused):
    code = "unavailable"
    default = "the broker is not available"


class NotSentToAll(Unavailable):
    """What was sent to several rooms may not be in all of them.

    `results`: in the order of the rooms its position, None where nothing is kept, or the Unavailable. `failed`: the
    rooms that may not have it, each with its Unavailable. The text has no names, because a client may be told it.
    """

    def __init__(self, rooms: Sequence[str], results: Sequence[Position | Unavailable | None]) -> None:
        self.results: tuple[Position | Unavailable | None, ...] = tuple(results)
        self.failed: dict[str, Unavailable] = {
            room: result for room, result in zip(rooms, results, strict=True) if isinstance(result, Unavailable)
        }
        super().__init__(f"{len(self.failed)} of {len(set(rooms))} rooms may not have got the message")


class InternalError(Refused):
    code = "internal"
    default = "internal error"


def described(error: BaseException) -> str:
    """What a log may say of an exception whose text may quote a secret: its type, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    words = f": {error}" if isinstance(error, WrongAnswer) else ""
    return f"{type(error).__module__}.{type(error).__qualname__}{where}{words}"


def text_of(value: object, *, limit: int = _MAX_SENTENCE) -> str:
    """What an application said, as a client can be told: valid Unicode, at most `limit` characters.

    Empty for None, and for what cannot say what it is.
    """
    try:
        text = "" if value is None else str(value)
    except (Exception, SystemExit):  # noqa: BLE001 - the application's `__str__`
        return ""
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return cut.encode("utf-8", "replace").decode()


def _dotted(field: Any) -> Any:
    """The levels of a place, which Pydantic has in a tuple, with dots between them."""
    return ".".join(map(text_of, field)) if isinstance(field, tuple | list) else field


def _milliseconds(value: object) -> int | None:
    """Rounded up; None for what is no time to wait: NaN and infinity, a negative one, what is no number at all."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_MILLISECONDS:
        return None
    return math.ceil(value)


def _first_fault(found: object) -> Mapping[str, Any] | None:
    """The first of Pydantic's errors, None where these are none."""
    errors = getattr(found, "errors", None) if isinstance(found, Exception) else None
    listed = errors() if callable(errors) else found
    first = listed[0] if isinstance(listed, list | tuple) and listed else None
    return first if isinstance(first, Mapping) and "msg" in first else None


#: Every code of the protocol's that an `error` can have, for documentation and clients.
ERROR_CODES: tuple[str, ...] = (*(kind.code for kind in Refused.__subclasses__()), Refused.code)
