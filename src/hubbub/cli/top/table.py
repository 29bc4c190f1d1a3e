"""What is drawn of the workers, as far as there is room: what there is none for is named."""

import math
from collections.abc import Iterable

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hubbub.cli.top.scrape import BEYOND, Look, Worker

_COLUMNS = (
    *("worker", "conns", "in/s", "out/s", "in B/s", "out B/s", "refused/s"),
    *("lag", "broker", "slow", "unsent", "cpu", "memory"),
)
#: What is left out first where there is no room for all.
_LESS = ("unsent", "in B/s", "out B/s", "broker", "memory", "refused/s", "slow", "in/s", "lag", "cpu", "out/s")
#: Blanks between two columns.
_GAP = 2
#: Lines that are not a worker's.
_LINES = 9


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
        return f">{BEYOND:g} s"
    return f"<{seconds * 1000:g} ms" if seconds < 1 else f"<{seconds:g} s"
