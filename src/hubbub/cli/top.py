"""`hubbub top`: the workers of a running server as a table that is drawn anew, from `/metrics` of any of them.

What only grows is shown as what came in a second, between two looks. A look that fails is said, and the next one tried:
the server may be restarting. Exit codes: 0 ended, or looked once; 1 nobody answered to the first look, or not with
metrics; 2 a flag is wrong, or prometheus-client missing; 130 and 143 ended by SIGINT and SIGTERM.
"""

import json
import math
import os
import signal
import ssl
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hubbub.auth.origin import is_loopback
from hubbub.auth.redaction import harmless
from hubbub.cli.credential import http_url, target_of
from hubbub.errors import ConfigurationError, HubbubError
from hubbub.ports.metrics import BOUNDS, Observed

_TIMEOUT = 10.0
# The last bound of any time that is shown: JSON has no infinity for what is beyond it.
_BEYOND = max(BOUNDS[Observed.LOOP_LAG][-1], BOUNDS[Observed.BROKER_ROUND_TRIP][-1])
#: Seconds between two looks at most: a day.
_RAREST = 86_400.0
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


class _Ended(BaseException):
    """By SIGTERM. Python would end at once, and leave the terminal on its other screen."""


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


def watch(asked: Asked, *, key: str | None) -> int:
    """Until it ends; the exit code. Raises ConfigurationError for what is wrong with a flag."""
    if not asked.path.startswith("/"):
        raise ConfigurationError(f"--path is like /metrics, not {asked.path!r}")
    if not (math.isfinite(asked.interval) and 0 < asked.interval <= _RAREST):
        raise ConfigurationError(f"--interval is a number of seconds above 0, at most {_RAREST:g}")
    _check_installed()
    target = target_of(asked.url)
    url = http_url(target, asked.path)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    # A proxy from the environment would be asked for its own loopback.
    trust = not is_loopback(target.host)
    # The authorities of this machine, as the other commands have them, and not those of a package.
    trusted = ssl.create_default_context()
    try:
        with (
            _told_to_end(),
            httpx.Client(headers=headers, timeout=_TIMEOUT, trust_env=trust, verify=trusted) as client,
        ):
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
        return 128 + signal.SIGINT
    except _Ended:
        return 128 + signal.SIGTERM
    except BrokenPipeError:
        # Python would flush it once more when it ends, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _check_installed() -> None:
    """Before anybody is asked. Raises ConfigurationError."""
    try:
        import prometheus_client.parser  # noqa: F401
    except ImportError:
        raise ConfigurationError("hubbub top needs prometheus-client: pip install 'hubbub[metrics]'") from None


@contextmanager
def _told_to_end() -> Iterator[None]:
    def end(*_: object) -> None:
        raise _Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def look(client: httpx.Client, url: str) -> Look:
    """Raises CannotLook."""
    try:
        answer = client.get(url)
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


# What is shown.

_COLUMNS = (
    *("worker", "conns", "in/s", "out/s", "in B/s", "out B/s", "refused/s"),
    *("lag", "broker", "slow", "unsent", "cpu", "memory"),
)
#: What is left out first where there is no room for all.
_LESS = ("unsent", "in B/s", "out B/s", "broker", "memory", "refused/s", "slow", "in/s", "lag", "cpu", "out/s")
#: Blanks between two columns.
_GAP = 2
_WIDE = 200
#: Lines that are not a worker's.
_LINES = 9


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
    console = Console()
    shown = Live(console=console, screen=True, auto_refresh=False)
    try:
        # Within, because a signal may come while it is drawn for the first time.
        shown.start()
        shown.update(table(rows(None, before), before, width=console.width, height=console.height), refresh=True)
        while True:
            time.sleep(asked.interval)
            try:
                now = look(client, url)
            except CannotLook as error:
                said = table(rows(None, before), before, width=console.width, height=console.height, trouble=str(error))
            else:
                said = table(rows(before, now), now, width=console.width, height=console.height)
                before = now
            shown.update(said, refresh=True)
    finally:
        shown.stop()


def _show_once(before: Look, now: Look, *, in_json: bool) -> None:
    if in_json:
        print(as_json(before, now), flush=True)  # noqa: T201 - what the command is for
        return
    # A file or a pipe has no width: all columns are written.
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    with console.capture() as drawn:
        console.print(table(rows(before, now), now, width=console.width))
    # Not by rich, which ends the command by itself where nobody reads.
    print(drawn.get(), end="", flush=True)  # noqa: T201 - as above


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
                {name: _BEYOND if value == math.inf else value for name, value in asdict(worker).items()}
                for worker in rows(before, now)
            ],
        }
    )


def table(
    workers: list[Worker], now: Look, *, width: int, height: int | None = None, trouble: str | None = None
) -> Group:
    """`width`, `height`: of the terminal. `trouble`: why there is nothing newer."""
    most = len(workers) if height is None else max(1, height - _LINES)
    listed = workers[:most]
    # All of them first: below, a terminal may have no more lines.
    told = [*([_totals(workers)] if len(workers) > 1 else []), *map(_cells, listed)]
    columns = _fitting([list(_COLUMNS), *told], width)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for at in columns:
        shown.add_column(_COLUMNS[at], justify="right" if at else "left", no_wrap=True)
    styles = [*(["bold"] if len(workers) > 1 else []), *(None if each.ready else "yellow" for each in listed)]
    for cells, style in zip(told, styles, strict=True):
        shown.add_row(*(Text(cells[at]) for at in columns), style=style)
    left_out = [name for at, name in enumerate(_COLUMNS) if at not in columns]
    wider = [Text(f"in a wider window: {', '.join(left_out)}", style="dim")] if left_out else []
    more = len(workers) - len(listed)
    higher = [Text(f"in a higher window: {more} more workers", style="dim")] if more else []
    return Group(*_lines(workers, now, trouble), *wider, *higher, Text(), shown)


def _fitting(told: list[list[str]], width: int) -> list[int]:
    """Which columns there is room for: a number that is cut off would be another number."""
    widths = [max(len(row[at]) for row in told) for at in range(len(_COLUMNS))]
    kept = [*range(len(_COLUMNS))]
    for name in _LESS:
        if sum(widths[at] + _GAP for at in kept) - _GAP <= width:
            break
        kept.remove(_COLUMNS.index(name))
    return kept


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
    if seconds == math.inf:
        return f">{_BEYOND:g} s"
    return f"<{seconds * 1000:g} ms" if seconds < 1 else f"<{seconds:g} s"
