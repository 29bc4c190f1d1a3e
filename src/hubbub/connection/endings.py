"""What operators see of connections that the server closed: whose they were and why; and of what it could not do."""

import logging

from hubbub import closes
from hubbub.closes import Close
from hubbub.errors import Refused
from hubbub.ports.clock import Clock
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.types import ConnectionId, RoomName, User

_log = logging.getLogger("hubbub.connection")

# Of which nobody need be told one by one: the client has left, or the worker ends.
_USUAL = {closes.FINISHED.code, closes.RESTARTING.code}
# What loses messages: to be seen where an application sets up no logging, too.
_GRAVE = {closes.TOO_SLOW.code, closes.POSITION_LOST.code}


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
