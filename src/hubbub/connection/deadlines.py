"""What time does to a connection: a first message that is late, a credential that ends, a peer that fell silent.

A decision and the time of the next one, nothing else: the connection asks and acts, the hub's wheel of timers wakes it.
"""

from typing import NamedTuple

from hubbub import closes
from hubbub.closes import Close
from hubbub.connection.heartbeat import Beat, Pulse

#: Seconds before its end at which a client that asked for it is told that its credential expires.
TOLD_BEFORE = 60.0


class Expiring(NamedTuple):
    left: float
    """Seconds until the credential ends."""


class Deadlines:
    __slots__ = ("_admit_by", "_authenticate_by", "_expires", "_pulse", "_tell", "heard")

    def __init__(self) -> None:
        self.heard: bool = False
        """Set by whoever hears the peer, for every frame; looked at when the time comes."""
        self._pulse: Pulse | None = None
        self._authenticate_by: float | None = None
        self._admit_by: float | None = None
        self._expires: float | None = None
        self._tell: float | None = None

    @property
    def due(self) -> float | None:
        due = self._pulse.due if self._pulse is not None else None
        for other in (self._authenticate_by, self._admit_by, self._tell, self._expires):
            if other is not None and (due is None or other < due):
                due = other
        return due

    def authenticate_by(self, when: float | None) -> None:
        """When the first message must have come."""
        self._authenticate_by = when

    def admit_by(self, when: float | None) -> None:
        """When we must have let the client in: whoever looks at its credential, or the broker, may not answer."""
        self._admit_by = when

    def watch(self, pulse: Pulse) -> None:
        """From now on the peer is pinged. A route that speaks text has no `ping` of ours; the server's own must do."""
        self._pulse = pulse

    def expires_at(self, when: float | None, *, told: bool = False) -> None:
        """When the credential ends, None: never. `told`: whether the client is to hear of it before."""
        self._expires = when
        self._tell = None if when is None or not told else when - TOLD_BEFORE

    def tick(self, now: float) -> Close | Beat | Expiring:
        """Close, ping, tell that the credential ends, or nothing yet."""
        if self._authenticate_by is not None and now >= self._authenticate_by:
            return closes.CREDENTIAL_LATE
        if self._admit_by is not None and now >= self._admit_by:
            return closes.OVERLOADED
        if self._expires is not None and now >= self._expires:
            return closes.CREDENTIAL_EXPIRED
        if self._expires is not None and self._tell is not None and now >= self._tell:
            self._tell = None
            return Expiring(self._expires - now)
        if self._pulse is None:
            return Beat.NOTHING
        if self.heard:
            self.heard = False
            self._pulse.heard()
        beat = self._pulse.tick(now)
        return closes.NO_HEARTBEAT if beat is Beat.DEAD else beat
