"""Everything Hubbub raises.

HubbubError
 ├─ ConfigurationError        the application set something up that cannot work
 ├─ ConnectionClosed          the connection is gone; nothing can be sent on it
 ├─ HandshakeRefused          a socket was refused, and has been answered; nothing is left to do for its route
 ├─ CredentialError           a credential that proves nobody
 │   ├─ InvalidCredential
 │   └─ ExpiredCredential
 └─ Refused                   a request the other side may read the reason of: it becomes `error` on the wire
     ├─ Unauthorized  Forbidden  UnknownType  InvalidMessage  UnknownRoom  NotJoined  TooManyRooms  RateLimited
     ├─ Unavailable           the broker is away, or did not answer within its deadline
     └─ InternalError         an exception of the application's, told without its text

A `Refused` carries fields, not prose: `code` is one of section "Error codes" of the protocol, `field` names the part
of the message at fault, `retry_after` is in integer milliseconds.
"""

import traceback
from enum import StrEnum
from typing import Any, ClassVar


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
        self.fault = fault or self.default


class InvalidCredential(CredentialError):
    """Forged, malformed, for somebody else, or by somebody we do not trust."""


class ExpiredCredential(CredentialError):
    """Was valid, is not any more."""

    default = CredentialFault.EXPIRED


class Refused(HubbubError):
    """A request that is answered with `error`: `code`, a sentence, and where it applies `field` and `retry_after`."""

    code: ClassVar[str]
    default: ClassVar[str]

    def __init__(self, message: str | None = None, *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message or self.default)
        self.message = message or self.default
        self.field = field
        self.retry_after = retry_after

    def on_the_wire(self, id: str | int | None = None) -> dict[str, Any]:
        """The `error` message, with the `id` of the request where it had one."""
        error: dict[str, Any] = {"type": "error", "code": self.code, "message": self.message}
        if self.field is not None:
            error["field"] = self.field
        if self.retry_after is not None:
            error["retry_after"] = self.retry_after
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
    code = "invalid_message"
    default = "the message is not valid"


class UnknownRoom(Refused):
    code = "unknown_room"
    default = "there is no such room"


class NotJoined(Refused):
    code = "not_joined"
    default = "this connection is not in the room"


class TooManyRooms(Refused):
    code = "too_many_rooms"
    default = "this connection is in as many rooms as it may be"


class RateLimited(Refused):
    code = "rate_limited"
    default = "too many messages"


class Unavailable(Refused):
    code = "unavailable"
    default = "the broker is not available"


class InternalError(Refused):
    code = "internal"
    default = "internal error"


def described(error: BaseException) -> str:
    """What a log may say of an exception whose text may quote a secret: its type, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return f"{type(error).__module__}.{type(error).__qualname__}{where}"


#: Every code an `error` can have, for documentation and clients.
ERROR_CODES: tuple[str, ...] = tuple(kind.code for kind in Refused.__subclasses__())
