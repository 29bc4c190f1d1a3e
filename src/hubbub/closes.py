"""The close codes of `hubbub.v1`, in one table: code, reason, and whether the client should come back.

1000 to 1015 are RFC 6455 section 7.4.1 and the IANA registry; 4000 to 4999 are private use and ours. Clients import
the same numbers (`showcase/static/backoff.js` is checked against this table by a test).
"""

from dataclasses import dataclass, replace
from enum import Enum

from hubbub.errors import text_of

#: RFC 6455 section 5.5: a control frame carries 125 bytes, of which the code takes two.
MAX_REASON_BYTES = 123


class Return(Enum):
    """What a client should do after a close."""

    NEVER = "no"
    BACKOFF = "with backoff"
    AT_ONCE = "at once"
    AFTER_RETRY = "after retry_after"
    NEW_CREDENTIAL = "after fetching a new credential"


def short(reason: str | bytes) -> str:
    """A reason as it may be told: what a close frame can carry of it, whatever it was."""
    data = reason if isinstance(reason, bytes) else text_of(reason).encode()
    return data[:MAX_REASON_BYTES].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class Close:
    code: int
    reason: str
    comes_back: Return

    def because(self, reason: str | bytes) -> "Close":
        """The same close with the application's reason, cut to what a close frame can carry."""
        told = short(reason)
        return replace(self, reason=told) if told else self


FINISHED = Close(1000, "finished", Return.NEVER)
BINARY = Close(1003, "binary frame where text is expected", Return.NEVER)
NOT_UTF8 = Close(1007, "text is not valid UTF-8", Return.NEVER)
FLOODING = Close(1008, "too many messages refused", Return.NEVER)
TOO_BIG = Close(1009, "message is larger than allowed", Return.NEVER)
OUR_FAULT = Close(1011, "internal error", Return.BACKOFF)
RESTARTING = Close(1012, "restarting", Return.AFTER_RETRY)
OVERLOADED = Close(1013, "overloaded, try again later", Return.BACKOFF)
TOO_SLOW = Close(1013, "this reader is too slow", Return.BACKOFF)
CREDENTIAL_INVALID = Close(4001, "credential invalid, or first message was none", Return.NEW_CREDENTIAL)
CREDENTIAL_LATE = Close(4002, "no credential within the time allowed", Return.BACKOFF)
DISCONNECTED = Close(4003, "disconnected by the application", Return.NEVER)
TOO_MANY_CONNECTIONS = Close(4004, "too many connections for this user", Return.NEVER)
CREDENTIAL_EXPIRED = Close(4005, "credential expired", Return.NEW_CREDENTIAL)
POSITION_LOST = Close(4006, "position lost, join again with since", Return.AT_ONCE)
NO_HEARTBEAT = Close(4007, "no heartbeat answer", Return.AT_ONCE)

CLOSES: tuple[Close, ...] = (
    FINISHED,
    BINARY,
    NOT_UTF8,
    FLOODING,
    TOO_BIG,
    OUR_FAULT,
    RESTARTING,
    OVERLOADED,
    TOO_SLOW,
    CREDENTIAL_INVALID,
    CREDENTIAL_LATE,
    DISCONNECTED,
    TOO_MANY_CONNECTIONS,
    CREDENTIAL_EXPIRED,
    POSITION_LOST,
    NO_HEARTBEAT,
)

#: RFC 6455's own, for a peer that breaks the framing. Outside the table: no message of the protocol leads to it.
PROTOCOL_ERROR = Close(1002, "protocol error", Return.NEVER)
