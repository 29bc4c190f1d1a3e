"""When to ping, and when to give a peer up: a decision, not a task.

Every `interval` a ping is due. Whatever the peer sends afterwards answers it. Nothing within `timeout`: dead. But who
looks much too late was held up itself, and the answer may stand unread in the socket: then the peer gets the time once
more, or one handler that blocks the event loop would cost every client of the worker its connection.
"""

from enum import Enum, auto

from hubbub.options import Heartbeat


class Beat(Enum):
    NOTHING = auto()
    PING = auto()
    DEAD = auto()


class Pulse:
    __slots__ = ("_asked", "_excused", "_heartbeat", "_next")

    def __init__(self, heartbeat: Heartbeat, now: float) -> None:
        self._heartbeat = heartbeat
        self._next = now + heartbeat.interval
        self._asked: float | None = None
        self._excused = False

    @property
    def due(self) -> float:
        """When `tick` has something to say, unless something is heard before."""
        return self._next if self._asked is None else min(self._next, self._asked + self._heartbeat.timeout)

    def heard(self) -> None:
        """The peer sent something."""
        self._asked = None
        self._excused = False

    def tick(self, now: float) -> Beat:
        if self._asked is not None and now >= (deadline := self._asked + self._heartbeat.timeout):
            if self._excused or now < deadline + self._heartbeat.timeout / 2:
                self._excused = True  # whoever looks again is told so again
                return Beat.DEAD
            self._asked = now
            self._excused = True
        if now < self._next:
            return Beat.NOTHING
        if self._asked is None:
            self._asked = now
        self._next = now + self._heartbeat.interval
        return Beat.PING
