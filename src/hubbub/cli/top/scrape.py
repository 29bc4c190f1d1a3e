"""What two looks at `/metrics` say of each worker: what only grows is what came in a second, between them."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from hubbub.auth.redaction import harmless
from hubbub.errors import HubbubError
from hubbub.ports.metrics import BOUNDS, Observed

# The last bound of any time that is shown: JSON has no infinity for what is beyond it.
BEYOND = max(BOUNDS[Observed.LOOP_LAG][-1], BOUNDS[Observed.BROKER_ROUND_TRIP][-1])
#: What only grows, by the column it is in.
_COUNTED = {
    "hubbub_messages_received_total": "messages_in",
    "hubbub_messages_sent_total": "messages_out",
    "hubbub_received_bytes_total": "bytes_in",
    "hubbub_sent_bytes_total": "bytes_out",
    "hubbub_requests_refused_total": "refused",
    "hubbub_process_cpu_seconds_total": "cpu",
}
_GAUGES = {
    "hubbub_connections": "connections",
    "hubbub_outbox_connections": "slow",
    "hubbub_outbox_bytes": "outbox_bytes",
    "hubbub_process_resident_memory_bytes": "memory",
    "hubbub_ready": "ready",
}
_TIMES = {"hubbub_loop_lag_seconds": "lag", "hubbub_broker_round_trip_seconds": "round_trip"}


class CannotLook(HubbubError):
    """There are no metrics to be had; one sentence says why."""


@dataclass(slots=True)
class Look:
    """What was there at a time: numbers of each worker by its node, and of all. `within`: of times, how many took so
    long at most, by worker, metric and upper bound. `refused`: by worker and code."""

    at: float
    workers: dict[str, dict[str, float]] = field(default_factory=dict)
    within: dict[str, dict[str, dict[float, float]]] = field(default_factory=dict)
    refused: dict[str, dict[str, float]] = field(default_factory=dict)
    users: int | None = None
    rooms: int | None = None
    silent: int = 0


@dataclass(frozen=True, slots=True)
class Worker:
    """A row: `…_in`, `…_out` and `refused` a second, times in seconds, `cpu` of one core; None: not known yet."""

    node: str
    ready: bool
    connections: int
    messages_in: float | None
    messages_out: float | None
    bytes_in: float | None
    bytes_out: float | None
    refused: float | None
    lag: float | None
    round_trip: float | None
    slow: int
    outbox_bytes: int
    cpu: float | None
    memory: int | None


async def look(client: httpx.AsyncClient, url: str) -> Look:
    """Raises CannotLook."""
    try:
        answer = await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CannotLook(f"cannot reach {url}: {error or type(error).__name__}") from None
    if answer.status_code != httpx.codes.OK:
        raise CannotLook(f"{url} answers {answer.status_code}{harmless(_why(answer))}")
    return read(answer.text, time.monotonic())


def read(text: str, at: float) -> Look:
    """What a scrape says. Raises CannotLook for what is none."""
    from prometheus_client.parser import text_string_to_metric_families

    found = Look(at)
    try:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        for sample in samples:
            if sample.name.startswith("hubbub_") and math.isfinite(sample.value):
                _take(found, sample)
    except (ValueError, KeyError, IndexError):
        raise CannotLook("what was answered is no metrics") from None
    if not found.workers:
        raise CannotLook("there are no metrics of a hub in what was answered")
    return found


def rows(before: Look | None, now: Look) -> list[Worker]:
    """`before` None: nothing is known yet of what only grows."""
    return [_row(node, before, now) for node in sorted(now.workers)]


def _take(found: Look, sample: Any) -> None:
    node = sample.labels.get("node")
    if node is None:
        _of_all(found, sample)
        return
    # Whoever answers has chosen it, and it goes to a terminal.
    node = harmless(node, limit=40)
    worker = found.workers.setdefault(node, {})
    if (name := _COUNTED.get(sample.name) or _GAUGES.get(sample.name)) is not None:
        worker[name] = worker.get(name, 0.0) + sample.value
    if sample.name == "hubbub_requests_refused_total":
        found.refused.setdefault(node, {})[sample.labels["code"]] = sample.value
    base = sample.name.removesuffix("_bucket")
    if base != sample.name and (name := _TIMES.get(base)) is not None:
        found.within.setdefault(node, {}).setdefault(name, {})[float(sample.labels["le"])] = sample.value


def _of_all(found: Look, sample: Any) -> None:
    if sample.name == "hubbub_cluster_users":
        found.users = int(sample.value)
    elif sample.name == "hubbub_cluster_rooms":
        found.rooms = int(sample.value)
    elif sample.name == "hubbub_workers" and sample.labels.get("state") != "answered":
        found.silent += int(sample.value)


def _row(node: str, before: Look | None, now: Look) -> Worker:
    numbers = now.workers[node]
    known = before is not None and node in before.workers
    earlier = before.workers[node] if before is not None and known else {}
    seconds = now.at - before.at if before is not None else 0.0

    def each(name: str) -> float | None:
        return (numbers.get(name, 0.0) - earlier.get(name, 0.0)) / seconds if known and seconds > 0 else None

    def slowest(name: str) -> float | None:
        was = before.within.get(node, {}).get(name, {}) if before is not None and known else None
        return None if was is None else _slowest(now.within.get(node, {}).get(name, {}), was)

    memory = numbers.get("memory")
    return Worker(
        node=node,
        ready=bool(numbers.get("ready", 1)),
        connections=int(numbers.get("connections", 0)),
        slow=int(numbers.get("slow", 0)),
        outbox_bytes=int(numbers.get("outbox_bytes", 0)),
        memory=None if memory is None else int(memory),
        lag=slowest("lag"),
        round_trip=slowest("round_trip"),
        **{name: each(name) for name in _COUNTED.values()},
    )


def _slowest(now: Mapping[float, float], before: Mapping[float, float]) -> float | None:
    """The bound that nothing since has exceeded; None where nothing was observed."""
    bounds = sorted(now)
    since = [now[bound] - before.get(bound, 0.0) for bound in bounds]
    if not since or since[-1] <= 0:
        return None
    return next(bound for bound, count in zip(bounds, since, strict=True) if count >= since[-1])


def _why(answer: httpx.Response) -> str:
    if answer.status_code == httpx.codes.NOT_FOUND:
        return ": app.include_router(operations()) shows it there, or --path says where"
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return ": HUBBUB_ADMIN_KEY is shown as a bearer where it is set"
    try:
        detail = answer.json().get("detail")
    except (ValueError, AttributeError):
        return ""
    return f": {detail}" if isinstance(detail, str) else ""


def as_json(before: Look, now: Look) -> str:
    """`{"users", "rooms", "silent", "refused": {code: a second}, "workers": [as Worker]}`.

    Of a time beyond all bounds the last one.
    """
    seconds = max(now.at - before.at, 1e-9)
    refused: dict[str, float] = {}
    # Of those that are in both: who was silent before would have refused all it ever did in this moment.
    for node in sorted(now.refused.keys() & before.refused.keys()):
        for code, count in sorted(now.refused[node].items()):
            since = count - before.refused[node].get(code, 0.0)
            refused[code] = refused.get(code, 0.0) + since / seconds
    return json.dumps(
        {
            "users": now.users,
            "rooms": now.rooms,
            "silent": now.silent,
            "refused": {code: rate for code, rate in refused.items() if rate > 0},
            "workers": [
                {name: BEYOND if value == math.inf else value for name, value in asdict(worker).items()}
                for worker in rows(before, now)
            ],
        }
    )
