"""What operators see of connections that the server closed: whose they were and why; and of what it could not do."""

import logging

from hubbub import closes
from hubbub.closes import Close
from hubbub.errors import ERROR_CODES, Refused
from hubbub.ports.clock import Clock
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count
from hubbub.ports.transport import NO_WORD
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.types import ConnectionId, NodeId, RoomName, User

_log = logging.getLogger("hubbub.connection")

# Of which nobody need be told one by one: the client has left, or the worker ends.
_USUAL = {closes.FINISHED.code, closes.RESTARTING.code}
# What is not the client's own doing: to be seen where an application sets up no logging, too.
_GRAVE = {closes.POSITION_LOST.code}

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
    def __init__(self, clock: Clock, node: NodeId) -> None:
        self._log = LimitedLog(_log, clock)
        self._node = node

    def tell(self, connection: ConnectionId, user: User | None, close: Close) -> None:
        """`user`: None before anybody was let in."""
        if close.code in _USUAL:
            return
        whose = "nobody yet" if user is None else f"user {user.id}"
        level = logging.WARNING if close.code in _GRAVE else logging.INFO
        text = "closed connection %s of %s with %d: %s"
        self._log.tell(
            f"closed with {close.code}",
            text,
            connection,
            whose,
            close.code,
            close.reason,
            level=level,
            extra=fields(
                Event.CLOSED,
                node=self._node,
                connection=connection,
                user=None if user is None else user.id,
                code=close.code,
                cause=close.reason,
            ),
        )

    def came(self, connection: ConnectionId, user: User) -> None:
        """It was let in."""
        if _log.isEnabledFor(logging.DEBUG):
            extra = fields(Event.CONNECTED, node=self._node, connection=connection, user=user.id)
            _log.debug("connection %s of user %s was let in", connection, user.id, extra=extra)

    def went(self, connection: ConnectionId, user: User, code: int, reason: str, *, by_client: bool) -> None:
        """It is no more. The client's own words for it are not repeated."""
        if _log.isEnabledFor(logging.DEBUG):
            if by_client:
                reason = "lost" if code == NO_WORD else "closed by the client"
            extra = fields(
                Event.DISCONNECTED, node=self._node, connection=connection, user=user.id, code=code, cause=reason
            )
            _log.debug("connection %s of user %s ended with %d: %s", connection, user.id, code, reason, extra=extra)

    def left_out(self, connection: ConnectionId, user: User, count: int) -> None:
        """Messages of a room that the reader was too slow for; it is told by `gap`."""
        text = "connection %s of user %s is too slow: %d messages are left out"
        extra = fields(Event.MESSAGES_LEFT_OUT, node=self._node, connection=connection, user=user.id, count=count)
        self._log.tell("readers are too slow", text, connection, user.id, count, extra=extra)

    def not_put_in(self, connection: ConnectionId, room: RoomName, error: Refused) -> None:
        """The application put it into a room, and it is not there."""
        text = "connection %s could not be put into room %r: %s"
        self._log.tell(
            f"put in: {error.code}",
            text,
            connection,
            room,
            error.message,
            level=logging.WARNING,
            extra=fields(Event.NOT_PUT_IN, node=self._node, connection=connection, room=room, cause=error.code),
        )

    def stop(self) -> None:
        self._log.stop()
