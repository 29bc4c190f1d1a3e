"""`hubbub top`: the workers of a running server as a table that is drawn anew, from `/metrics` of any of them.

What only grows is shown as what came in a second, between two looks. A look that fails is said, and the next one tried:
the server may be restarting. Exit codes: 0 ended, or looked once; 1 nobody answered to the first look, or not with
metrics; 2 a flag is wrong; 130 ended by Ctrl-C.
"""

import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hubbub.cli.credential import http_url, target_of
from hubbub.errors import ConfigurationError, HubbubError

_TIMEOUT = 10.0
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


@dataclass(frozen=True, slots=True)
class Asked:
    """As the flags say it."""

    url: str
    path: str
    interval: float
    once: bool
    in_json: bool


@dataclass(slots=True)
class Look:
    """What was there at a time: numbers of each worker by its node, and of all. `within`: of times, how many took so
    long at most, by worker, metric and upper bound."""

    at: float
    workers: dict[str, dict[str, float]] = field(default_factory=dict)
    within: dict[str, dict[str, dict[float, float]]] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)
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


def watch(asked: Asked, *, key: str | None) -> int:
    """Until it ends; the exit code. Raises ConfigurationError for what is wrong with a flag."""
    if not asked.path.startswith("/"):
        raise ConfigurationError(f"--path is like /metrics, not {asked.path!r}")
    url = http_url(target_of(asked.url), asked.path)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        with httpx.Client(headers=headers, timeout=_TIMEOUT, trust_env=False) as client:
            before = look(client, url)
            if asked.once or not (asked.in_json or sys.stdout.isatty()):
                time.sleep(asked.interval)
                _show_once(before, look(client, url), in_json=asked.in_json)
                return 0
            return _watch(client, url, before, asked)
    except CannotLook as error:
        print(error, file=sys.stderr)  # noqa: T201 - what the command is for
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def look(client: httpx.Client, url: str) -> Look:
    """Raises CannotLook."""
    try:
        answer = client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CannotLook(f"cannot reach {url}: {error or type(error).__name__}") from None
    if answer.status_code != httpx.codes.OK:
        raise CannotLook(f"{url} answers {answer.status_code}{_why(answer)}")
    return read(answer.text, time.monotonic())


def read(text: str, at: float) -> Look:
    """What a scrape says. Raises CannotLook for what is none."""
    from prometheus_client.parser import text_string_to_metric_families

    found = Look(at)
    try:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except ValueError:
        raise CannotLook("what was answered is no metrics") from None
    for sample in samples:
        node = sample.labels.get("node")
        if node is None:
            _of_all(found, sample)
            continue
        worker = found.workers.setdefault(node, {})
        if (name := _COUNTED.get(sample.name) or _GAUGES.get(sample.name)) is not None:
            worker[name] = worker.get(name, 0.0) + sample.value
        if sample.name == "hubbub_requests_refused_total":
            code = sample.labels["code"]
            found.refused[code] = found.refused.get(code, 0.0) + sample.value
        base = sample.name.removesuffix("_bucket")
        if base != sample.name and (name := _TIMES.get(base)) is not None:
            found.within.setdefault(node, {}).setdefault(name, {})[float(sample.labels["le"])] = sample.value
    if not found.workers:
        raise CannotLook("there are no metrics of a hub in what was answered")
    return found


def rows(before: Look | None, now: Look) -> list[Worker]:
    """`before` None: nothing is known yet of what only grows."""
    return [_row(node, before, now) for node in sorted(now.workers)]


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


# What is shown.


def _watch(client: httpx.Client, url: str, before: Look, asked: Asked) -> int:
    if asked.in_json:
        while True:
            time.sleep(asked.interval)
            try:
                now = look(client, url)
            except CannotLook as error:
                print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201 - what the command is for
                continue
            print(as_json(before, now), flush=True)  # noqa: T201 - as above
            before = now
    with Live(table(rows(None, before), before, None), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(asked.interval)
            try:
                now = look(client, url)
            except CannotLook as error:
                live.update(table(rows(None, before), before, str(error)), refresh=True)
                continue
            live.update(table(rows(before, now), now, None), refresh=True)
            before = now


def _show_once(before: Look, now: Look, *, in_json: bool) -> None:
    if in_json:
        print(as_json(before, now))  # noqa: T201 - what the command is for
        return
    # A file or a pipe has no width: all columns are written.
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(table(rows(before, now), now, None))


def as_json(before: Look, now: Look) -> str:
    """`{"users", "rooms", "silent", "refused": {code: a second}, "workers": [as Worker]}`."""
    seconds = max(now.at - before.at, 1e-9)
    refused = {code: (count - before.refused.get(code, 0.0)) / seconds for code, count in sorted(now.refused.items())}
    return json.dumps(
        {
            "users": now.users,
            "rooms": now.rooms,
            "silent": now.silent,
            "refused": {code: rate for code, rate in refused.items() if rate > 0},
            "workers": [asdict(worker) for worker in rows(before, now)],
        }
    )


def table(workers: list[Worker], now: Look, trouble: str | None) -> Group:
    """`trouble`: why there is nothing newer."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("worker", no_wrap=True)
    for column in ("conns", "in/s", "out/s", "in B/s", "out B/s", "refused/s", "lag", "broker", "slow", "unsent"):
        shown.add_column(column, justify="right", no_wrap=True)
    shown.add_column("cpu", justify="right", no_wrap=True)
    shown.add_column("memory", justify="right", no_wrap=True)
    for each in workers:
        shown.add_row(*_cells(each), style=None if each.ready else "yellow")
    if len(workers) > 1:
        shown.add_section()
        shown.add_row(*_totals(workers), style="bold")
    return Group(*_lines(workers, now, trouble), Text(), shown)


def _lines(workers: list[Worker], now: Look, trouble: str | None) -> Iterable[Text]:
    users = "?" if now.users is None else f"{now.users:,}"
    rooms = "?" if now.rooms is None else f"{now.rooms:,}"
    connections = sum(worker.connections for worker in workers)
    yield Text(f"{users} users, {connections:,} connections, {rooms} rooms on {len(workers)} workers")
    if now.silent:
        yield Text(f"{now.silent} workers live and have not answered", style="yellow")
    if trouble is not None:
        yield Text(f"nothing newer: {trouble}", style="red")


def _cells(worker: Worker) -> list[str]:
    return [
        worker.node if worker.ready else f"{worker.node} (not ready)",
        f"{worker.connections:,}",
        _rate(worker.messages_in),
        _rate(worker.messages_out),
        _size(worker.bytes_in),
        _size(worker.bytes_out),
        _rate(worker.refused),
        _time(worker.lag),
        _time(worker.round_trip),
        f"{worker.slow:,}",
        _size(worker.outbox_bytes),
        "-" if worker.cpu is None else f"{100 * worker.cpu:.0f} %",
        _size(worker.memory),
    ]


def _totals(workers: list[Worker]) -> list[str]:
    def of_all(name: str) -> float | None:
        known = [value for worker in workers if (value := getattr(worker, name)) is not None]
        return sum(known) if known else None

    cpu = of_all("cpu")
    sums = [_rate(of_all("messages_in")), _rate(of_all("messages_out")), _size(of_all("bytes_in"))]
    sums += [_size(of_all("bytes_out")), _rate(of_all("refused"))]
    slow, unsent = int(of_all("slow") or 0), _size(of_all("outbox_bytes"))
    connections = int(of_all("connections") or 0)
    share = "-" if cpu is None else f"{100 * cpu:.0f} %"
    return ["all", f"{connections:,}", *sums, "", "", f"{slow:,}", unsent, share, _size(of_all("memory"))]


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def _size(value: float | None) -> str:
    if value is None:
        return "-"
    for unit in ("B", "K", "M", "G"):
        if value < 1000 or unit == "G":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"<{seconds * 1000:g} ms" if seconds < 1 else f"<{seconds:g} s"
