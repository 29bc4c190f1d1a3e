"""What operators see of connections that the server closed: whose they were and why; and of what it could not do."""

import logging

from hubbub import closes
from hubbub.closes import Close
from hubbub.errors import ERROR_CODES, Refused
from hubbub.ports.clock import Clock
from hubbub.ports.metrics import Count
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.types import ConnectionId, RoomName, User

_log = logging.getLogger("hubbub.connection")

# Of which nobody need be told one by one: the client has left, or the worker ends.
_USUAL = {closes.FINISHED.code, closes.RESTARTING.code}
# What loses messages: to be seen where an application sets up no logging, too.
_GRAVE = {closes.TOO_SLOW.code, closes.POSITION_LOST.code}

_CLOSED = {
    code: Count(f"connections_closed_{code}")
    for code in {each.code for each in (*closes.CLOSES, closes.PROTOCOL_ERROR)}
}
_LEFT = {code: Count(f"connections_left_{code}") for code in (1000, 1001, 1005, 1006)}
_REFUSED = {code: Count(f"requests_refused_{code}") for code in ERROR_CODES if code != Refused.code}


def ended(code: int, *, by_client: bool) -> Count:
    """As what a connection that ended with this code is counted: one of few, whatever a client says."""
    return _LEFT.get(code, Count.LEFT_OTHER) if by_client else _CLOSED.get(code, Count.CLOSED_OTHER)


def refused(error: Refused) -> Count | None:
    """As what a refusal counts beside `Count.REFUSED`; None for a code of the application's own."""
    code = error.code
    return _REFUSED.get(code) if type(code) is str else None


class Endings:
    def __init__(self, clock: Clock) -> None:
        self._log = LimitedLog(_log, clock)

    def tell(self, connection: ConnectionId, user: User | None, close: Close) -> None:
        """`user`: None before anybody was let in."""
        if close.code in _USUAL:
            return
        whose = "nobody yet" if user is None else f"user {user.id}"
        level = logging.WARNING if close.code in _GRAVE else logging.INFO
        text = "closed connection %s of %s with %d: %s"
        self._log.tell(f"closed with {close.code}", text, connection, whose, close.code, close.reason, level=level)

    def not_put_in(self, connection: ConnectionId, room: RoomName, error: Refused) -> None:
        """The application put it into a room, and it is not there."""
        text = "connection %s could not be put into room %r: %s"
        self._log.tell(f"put in: {error.code}", text, connection, room, error.message, level=logging.WARNING)

    def stop(self) -> None:
        self._log.stop()
