"""Who came, who went, who was refused and who was put out: one record of each, for those who must be able to say.

Off unless asked for, because who talks to a server from where is nobody's to keep by accident. A record has its fields
twice: as attributes, for programs, and in a line of a stable form. Nothing is in there that a client could log in with
or has chosen the words of: of its reason to leave only that it left, of a credential only its fault. Of each kind a
thousand a second are written, and of a flood beyond that how many there were.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from hubbub import closes
from hubbub.ports.clock import Clock
from hubbub.ports.logs import Event, fields
from hubbub.ports.transport import NO_WORD
from hubbub.protocol.handshake import Handshake
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.types import ConnectionId, NodeId, User

_log = logging.getLogger("hubbub.audit")

#: The fields of every record, in the order of the line.
FIELDS = ("event", "user", "address", "origin", "cause", "code", "connection", "node")
# Of each event in a second.
_BURST = 1_000
_SHOWN = 200
_PLAIN = re.compile(r"[\w.,:;/@%+~!*()\[\]{}-]+", re.ASCII)

# Where nobody was put out: the application was through with it, or the worker ends.
_USUAL = {closes.FINISHED.code, closes.RESTARTING.code}


class Whence(NamedTuple):
    """From where a client comes: its address and the site of its `Origin`, as far as they are known."""

    address: str | None
    origin: str | None


class _Side(Protocol):
    @property
    def welcomed(self) -> bool: ...


class Audited(Protocol):
    """A connection, as far as it is audited."""

    @property
    def id(self) -> ConnectionId: ...

    @property
    def handshake(self) -> Handshake: ...

    @property
    def outbound(self) -> _Side: ...


class Audit:
    def __init__(self, node: NodeId, clock: Clock, whence: Callable[[Mapping[str, Any]], Whence]) -> None:
        self._node = node
        self._whence = whence
        self._records = LimitedLog(_log, clock, burst=_BURST, every=1.0)
        if _log.level == logging.NOTSET:
            _log.setLevel(logging.INFO)
        if not _log.hasHandlers():
            _log.warning(
                "the audit is on, and nothing is set up that would write it: give a handler to hubbub.audit",
                extra=fields(Event.AUDIT_UNWRITTEN),
            )

    def connected(self, connection: Audited) -> None:
        """It was let in."""
        self._tell("connect", connection.handshake.scope(), connection=connection)

    def ended(self, connection: Audited, code: int, reason: str, *, by_client: bool) -> None:
        """It is no more; of one that left before it was let in there is nothing to say."""
        if by_client:
            reason = "lost" if code == NO_WORD else "closed by the client"
        if connection.outbound.welcomed:
            event = "disconnect" if by_client or code in _USUAL else "kicked"
        elif by_client:
            return
        else:
            event = "refused"
        self._tell(event, connection.handshake.scope(), connection=connection, cause=reason, code=code)

    def refused(self, scope: Mapping[str, Any], code: int, cause: str) -> None:
        """A handshake, with this status or close code."""
        self._tell("refused", scope, cause=cause, code=code)

    def operated(self, scope: Mapping[str, Any], act: str) -> None:
        """An operator did this, by the admin page or its API."""
        self._tell("operated", scope, cause=act)

    def stop(self) -> None:
        self._records.stop()

    def _tell(
        self,
        event: str,
        scope: Mapping[str, Any],
        *,
        connection: Audited | None = None,
        cause: str | None = None,
        code: int | None = None,
    ) -> None:
        user: User | None = None if connection is None else getattr(connection.outbound, "user", None)
        address, origin = self._whence(scope)
        values = (
            event,
            None if user is None else user.id,
            address,
            origin,
            cause,
            code,
            None if connection is None else connection.id,
            self._node,
        )
        line = " ".join(f"{name}={_shown(value)}" for name, value in zip(FIELDS[1:], values[1:], strict=True))
        self._records.tell(event, "%s %s", event, line, extra=dict(zip(FIELDS, values, strict=True)))


def _shown(value: object) -> str:
    """As it is where that is one word, as JSON elsewhere: nobody's name is to look like another field, or line."""
    if value is None:
        return "-"
    text = str(value)[:_SHOWN]
    return text if _PLAIN.fullmatch(text) and text != "-" else json.dumps(text)
