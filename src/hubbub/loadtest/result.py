"""What a run found out, as values and as JSON."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from hubbub.loadtest.histogram import Histogram
from hubbub.loadtest.workloads import Workload


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds; percentiles within 1 %. NaN (in JSON null) where nothing was counted."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float
    mean: float

    @classmethod
    def of(cls, histogram: Histogram) -> Self:
        p50, p90, p99, p999 = (histogram.percentile(percent) / 1e6 for percent in (50, 90, 99, 99.9))
        largest = histogram.largest / 1e6 if histogram.count else math.nan
        return cls(p50, p90, p99, p999, largest, histogram.mean / 1e6)


@dataclass(frozen=True, slots=True)
class Errors:
    """Deliveries. `missing` ones did not come, `unexpected` ones were never sent, or to another room."""

    missing: int = 0
    duplicate: int = 0
    out_of_order: int = 0
    unexpected: int = 0

    @property
    def total(self) -> int:
        return self.missing + self.duplicate + self.out_of_order + self.unexpected


@dataclass(frozen=True, slots=True)
class Result:
    """
    workload: what was asked.
    connections: how many were open, those that stall included.
    connecting: time to connect, from the first SYN to the last answer of the opening.
    connections_per_second: opened, over the time for all.
    messages: sent and counted; those of the warm-up are not.
    deliveries: of these messages. A `request` has one, its reply.
    seconds: from the first counted send to the last counted delivery.
    latency: from the send of its message to the read that brought it, for each delivery.
    received: bytes read while counting and warming up.
    stalled_closed: how many of the stalled members the server closed.
    first_closed: seconds from the first message to the first of them that was seen, None where none was: an end that
        stands behind unread data is found only when the run is over.
    tool_cpu: share of one core that the tool itself used, 0 to 1. Near 1 it measured itself, and not the server.
    """

    workload: Workload
    connections: int
    connecting: Latency
    connections_per_second: float
    messages: int
    deliveries: int
    seconds: float
    latency: Latency
    errors: Errors
    received: int
    stalled_closed: int
    first_closed: float | None
    tool_cpu: float

    @property
    def deliveries_per_second(self) -> float:
        return self.deliveries / self.seconds if self.seconds else 0.0

    @property
    def messages_per_second(self) -> float:
        return self.messages / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """Values for `json.dumps`: numbers are rounded to six digits after the point."""
        values = asdict(self)
        values["workload"]["connections"] = self.workload.members
        values["workload"]["rooms"] = self.workload.room_count
        values["deliveries_per_second"] = self.deliveries_per_second
        values["messages_per_second"] = self.messages_per_second
        rounded: dict[str, Any] = _rounded(values)
        return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
