"""What operators ask a worker that no counter says: which rooms and connections are there, and how it has been lately.

Each worker answers from its own memory, and never more than was asked for: whoever asks puts the answers together
(`hubbub.integrations.admin`). Samples are kept only where somebody has them taken.
"""

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from heapq import nlargest, nsmallest
from itertools import islice
from typing import Any

from hubbub.auth.origin import OriginRules
from hubbub.closes import DISCONNECTED
from hubbub.connection.audit import Audit
from hubbub.delivery.registry import Registry
from hubbub.hub.gate import Gate
from hubbub.hub.numbers import Numbers
from hubbub.ports.metrics import BOUNDS, Observed
from hubbub.rooms.declared import DeclaredRooms
from hubbub.types import OWN_ROOM, RoomName

#: Seconds from sample to sample, and how many are kept: fifteen minutes.
EVERY = 5.0
KEPT = 180
#: Of what is listed of one connection, or one room.
LISTED = 200
# Bytes of the names of rooms in one answer, of all connections in it: together with the rest it fits into a MiB.
_NAMES = 256 * 1024
# Of a path, which a client chooses.
_PATH = 256
# What is counted of refusals: of handshakes, of requests, and the connections that this side ended.
_REFUSALS = {
    "handshakes_refused_": "handshake",
    "requests_refused_": "request",
    "connections_closed_": "close",
}
_RATES = {
    "messages_in": "messages_received",
    "messages_out": "messages_delivered",
    "bytes_in": "bytes_received",
    "bytes_out": "bytes_sent",
}
# The usual end, and a deploy's.
_NO_REFUSAL = {"connections_closed_1000", "connections_closed_1012"}


class Operators:
    """`unready`: why this worker takes nobody, None where it does."""

    def __init__(
        self,
        registry: Registry[Any],
        numbers: Numbers,
        gate: Gate,
        unready: Callable[[], str | None],
        audit: Audit | None,
        declared: DeclaredRooms,
    ) -> None:
        self._registry = registry
        self._numbers = numbers
        self._gate = gate
        self._unready = unready
        self._audit = audit
        self._declared = declared
        self._samples: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._last: dict[str, Any] | None = None
        self._last_at = 0.0

    def sample(self) -> None:
        """Remember how it is now. To be called every `EVERY` seconds, by as many as there are pages."""
        now = time.monotonic()
        last, since = self._last, now - self._last_at
        if last is not None and since < EVERY / 2:
            return
        numbers = self._numbers.take()
        self._last, self._last_at = numbers, now
        if last is None:
            return
        counts: Mapping[str, float] = numbers["counts"]
        before: Mapping[str, float] = last["counts"]
        refused = {
            name: counts[name] - before.get(name, 0)
            for name in _refusals(counts)
            if counts[name] != before.get(name, 0)
        }
        self._samples.append(
            {
                "at": time.time(),
                "connections": numbers["gauges"]["connections"],
                "outbox_bytes": numbers["gauges"]["outbox_bytes"],
                "lag": _largest(Observed.LOOP_LAG, numbers, last),
                "round_trip": _mean(Observed.BROKER_ROUND_TRIP, numbers, last),
                "cpu": (counts["cpu_seconds"] - before["cpu_seconds"]) / since,
                "refused": sum(refused.values()) / since,
                "refusals": refused,
                **{name: (counts.get(count, 0) - before.get(count, 0)) / since for name, count in _RATES.items()},
            }
        )

    def overview(self) -> dict[str, Any]:
        # An application that is mounted has no lifespan, and takes none: then who looks has them taken.
        if time.monotonic() - self._last_at >= 1.5 * EVERY:
            self.sample()
        numbers = self._numbers.take()
        counts, gauges = numbers["counts"], numbers["gauges"]
        last = self._samples[-1] if self._samples else None
        recent: Counter[str] = Counter()
        for sample in self._samples:
            recent.update(sample["refusals"])
        return {
            "pid": numbers["pid"],
            "version": numbers["version"],
            "up": max(0.0, time.time() - gauges["started"]),
            "unready": self._unready(),
            "connections": gauges["connections"],
            "slow": gauges["outbox_connections"],
            "outbox_bytes": gauges["outbox_bytes"],
            "memory": gauges.get("resident"),
            **{name: counts.get(count, 0) for name, count in _RATES.items()},
            "rates": None if last is None else {name: last[name] for name in _RATES},
            **{name: None if last is None else last[name] for name in ("lag", "round_trip", "cpu")},
            "refusals": {name: [counts[name], recent[name]] for name in _refusals(counts)},
        }

    def samples(self, since: float = 0.0) -> list[dict[str, Any]]:
        """Those taken after that Unix time in seconds, the oldest first."""
        return [
            {name: value for name, value in each.items() if name != "refusals"}
            for each in self._samples
            if each["at"] > since
        ]

    def rooms(self, prefix: str, after: str | None, limit: int, *, by_size: bool) -> dict[str, int]:
        """Connections of each, of rooms that begin so: the first behind `after` by name, or the largest."""
        names = (
            room
            for room in self._registry.entries[2]
            if room.startswith(prefix) and room != OWN_ROOM and (by_size or after is None or room > after)
        )
        found = nlargest(limit, names, key=self._size) if by_size else nsmallest(limit, names)
        return {room: self._size(room) for room in found}

    def sizes(self, rooms: Iterable[str]) -> dict[str, int]:
        """Connections of each of these rooms."""
        return {room: size for room in rooms if (size := self._size(room))}

    def users(self, room: str) -> list[str]:
        """Who has a connection in the room, at most `LISTED`: of fewer it is known that they are all."""
        found: dict[str, None] = {}
        for each in self._registry.members(room):
            if len(found) == LISTED:
                break
            if (user := _user(each)) is not None:
                found[user] = None
        return list(found)

    def connections(self, limit: int, user: str | None = None) -> list[dict[str, Any]]:
        """Those of a user, or those for which most waits."""
        if user is not None:
            found = list(islice(self._registry.of_user(user), limit))
        else:
            slow = (each for each in self._registry.everyone() if each.unsent)
            found = nlargest(limit, slow, key=lambda each: each.unsent)
        names = _NAMES // max(1, len(found))
        return [self._described(each, names) for each in found]

    def close(self, connection: str, reason: str) -> int:
        """Close it with 4003, where it is here: how many that were."""
        for each in self._registry.everyone():
            if each.id == connection:
                each.connection.close(DISCONNECTED, reason=reason)
                return 1
        return 0

    def has_presence(self, room: str) -> bool:
        """Whether it is counted who is in it."""
        return self._declared.options_of(RoomName(room)).presence

    def record(self, scope: Mapping[str, Any], act: str) -> None:
        """An operator did this, in the audit where there is one."""
        if self._audit is not None:
            self._audit.operated(scope, act)

    def _size(self, room: str) -> int:
        return len(self._registry.members(room))

    def _described(self, recipient: Any, names: int) -> dict[str, Any]:
        """`names`: bytes that those of its rooms may have."""
        rooms = self._registry.rooms(recipient)
        scope = recipient.connection.handshake.scope()
        return {
            "connection": recipient.id,
            "user": _user(recipient),
            "rooms": _fitting(sorted(islice(rooms, LISTED)), names),
            "rooms_total": len(rooms),
            "outbox_bytes": recipient.unsent,
            "address": self._gate.whence(scope).address,
            "path": str(scope.get("path", ""))[:_PATH],
        }


def own_origin(scope: Mapping[str, Any]) -> bool:
    """Whether it comes from a page of this host, or from no browser."""
    return OriginRules().refusal(scope, required=True) is None


def refusal_of(name: str) -> tuple[str, str]:
    """What was refused, and why, of a count: a handshake, a request, or a connection that was closed."""
    kind, prefix = next((kind, prefix) for prefix, kind in _REFUSALS.items() if name.startswith(prefix))
    return kind, name.removeprefix(prefix).removeprefix("by_").replace("_", " ")


def _fitting(names: Iterable[str], size: int) -> list[str]:
    """The first of them, as far as their JSON has no more bytes."""
    found = []
    for name in names:
        size -= len(json.dumps(name)) + 2
        if size < 0:
            break
        found.append(name)
    return found


def _user(recipient: Any) -> str | None:
    user = getattr(recipient, "user", None)
    return None if user is None else user.id


def _refusals(counts: Iterable[str]) -> list[str]:
    return [str(name) for name in counts if name.startswith(tuple(_REFUSALS)) and name not in _NO_REFUSAL]


def _since(what: Observed, now: Mapping[str, Any], before: Mapping[str, Any]) -> list[float]:
    """The sum of what was observed between the two, and then how much under each bound."""
    return [a - b for a, b in zip(now["histograms"][what], before["histograms"][what], strict=True)]


def _mean(what: Observed, now: Mapping[str, Any], before: Mapping[str, Any]) -> float | None:
    total, *counts = _since(what, now, before)
    return total / sum(counts) if sum(counts) else None


def _largest(what: Observed, now: Mapping[str, Any], before: Mapping[str, Any]) -> float | None:
    """The bound under which all of it is; of what is beyond them the last one."""
    _, *counts = _since(what, now, before)
    bounds = BOUNDS[what]
    found = max((number for number, count in enumerate(counts) if count), default=None)
    return None if found is None else bounds[min(found, len(bounds) - 1)]
