"""What this worker can say of itself in numbers, for whoever asks: another worker, or a registry of its own process.

Nothing is worked out before somebody asks. What is said is plain JSON, by the names of `hubbub.ports.metrics` and of
the gauges below, so that two releases can share a cluster: a name that one of them does not know is passed over there.
"""

import gc
import importlib.metadata
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hubbub.connection.connection import Connection
from hubbub.handlers.table import HandlerTable
from hubbub.hub.composition import Parts
from hubbub.hub.handshakes import Handshakes
from hubbub.ports.metrics import Count, Histogram, Metrics, Observed, Tally
from hubbub.transports.descriptors import descriptors, lowest_free

_STATM = Path("/proc/self/statm")


class WithTally:
    """What an application counts by, and a tally beside it, so that there is always something to be asked."""

    def __init__(self, given: Metrics) -> None:
        self.tally: Tally = Tally()
        self._given = given
        # Metrics from before there was anything to observe only count.
        self._observes = callable(getattr(given, "observe", None))

    def count(self, what: Count, by: int = 1) -> None:
        self.tally.count(what, by)
        self._given.count(what, by)

    def observe(self, what: Observed, value: float) -> None:
        self.tally.observe(what, value)
        if self._observes:
            self._given.observe(what, value)


def with_tally(metrics: Metrics) -> Metrics:
    """Metrics that can be read."""
    return metrics if isinstance(metrics, Tally) else WithTally(metrics)


class Numbers:
    """`ready`: whether this worker takes new connections."""

    def __init__(
        self,
        parts: Parts,
        handlers: HandlerTable[Any],
        handshakes: Handshakes,
        connections: Iterable[Connection],
        ready: Callable[[], bool],
    ) -> None:
        self._parts = parts
        self._handlers = handlers
        self._handshakes = handshakes
        self._connections = connections
        self._ready = ready
        self._started = time.time()
        self._version = importlib.metadata.version("hubbub")
        metrics: Any = parts.metrics
        self._tally: Tally = metrics if isinstance(metrics, Tally) else metrics.tally

    def take(self) -> dict[str, Any]:
        """As of now. May be called in any thread: what is counted is copied in one go."""
        traffic = self._parts.traffic
        return {
            "pid": os.getpid(),
            "version": self._version,
            "counts": {
                **dict(self._tally.counts),
                "bytes_received": traffic.bytes_in,
                "bytes_sent": traffic.bytes_out,
                "messages_sent_alone": traffic.alone,
                "cpu_seconds": time.process_time(),
                **{f"gc_{number}": each["collections"] for number, each in enumerate(gc.get_stats())},
            },
            "histograms": {
                **{what: _listed(histogram) for what, histogram in self._tally.histograms.items()},
                # Added up where it is counted anyway.
                "fanout_members": [self._tally.counts[Count.DELIVERIES], *traffic.sizes.counts],
                "fanout_seconds": _listed(traffic.turns),
            },
            "handlers": {
                type: _listed(handler.times) for type in (*self._handlers,) if (handler := self._handlers.get(type))
            },
            "gauges": self._gauges(),
        }

    def _gauges(self) -> Mapping[str, float]:
        parts = self._parts
        unsent = [size for each in (*self._connections,) if (size := each.outbound.unsent)]
        believed = parts.presence.believed_until - parts.clock.now()
        gauges: dict[str, float] = {
            "ready": int(self._ready()),
            "started": self._started,
            "connections": len(parts.registry),
            "unauthenticated": len(self._handshakes.unauthenticated),
            "under_way": self._handshakes.under_way,
            "users": parts.registry.users,
            "rooms": len(parts.registry.entries[2]),
            "subscriptions": len(parts.subscriptions),
            "history_topics": len(parts.positions),
            "publishes_waiting": len(parts.publish_queue),
            "outbox_bytes": sum(unsent),
            "outbox_largest": max(unsent, default=0),
            "outbox_connections": len(unsent),
            "broker_ready": int(parts.broker.ready),
            "broker_deaf": parts.broker.deaf_for,
        }
        if believed != math.inf:
            gauges["lease_left"] = max(0.0, believed)
        if (allowed := descriptors()) is not None:
            gauges["descriptors"], gauges["descriptors_limit"] = lowest_free() or allowed.limit, allowed.limit
        if sys.platform == "linux":
            # Where no descriptor is left, and where there is no /proc, the other numbers are wanted all the more.
            with suppress(OSError):
                gauges["resident"] = int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return gauges


def _listed(histogram: Histogram) -> list[float]:
    """Its sum, and then what fell under each bound."""
    return [histogram.sum, *histogram.counts]
