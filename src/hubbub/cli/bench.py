"""`hubbub bench`: load for a running server, with a progress bar, a table, or JSON.

Exit codes: 0 measured; 1 the server closed, refused or stalled, or deliveries were missing, doubled or out of order;
2 a flag is wrong, or the machine does not allow it.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from hubbub.cli.credential import endpoint, signer, target_of
from hubbub.cli.settings import Settings
from hubbub.errors import ConfigurationError
from hubbub.loadtest.result import Latency, Result
from hubbub.loadtest.run import Progress as Step
from hubbub.loadtest.run import run
from hubbub.loadtest.v1 import HubbubV1, HubbubV1Requests, user
from hubbub.loadtest.workloads import KINDS, BenchError, Workload, WrongSetting

#: Above this share of a core the tool may be what was measured.
BUSY = 0.9

_REQUEST = '{"type":"direct_message","to":"nobody","content":"{content}"}'


def bench(
    kind: str,
    settings: Settings,
    *,
    url: str,
    path: str | None,
    message: str | None,
    token: str | None,
    hold: float | None,
    in_json: bool,
    **numbers: Any,
) -> int:
    """Measure and print; the exit code. `numbers` are fields of Workload, None where they were not given.

    Raises ConfigurationError for what is wrong with a flag.
    """
    workload = _workload(kind, hold, {name: value for name, value in numbers.items() if value is not None})
    target = target_of(url)
    credential = _credential(token, settings)
    dialect = _dialect(kind, endpoint(path, credential=credential is not None), credential, message)
    try:
        with _progress(show=sys.stderr.isatty()) as report:
            result = run(workload, dialect, target, progress=report)
    except BenchError as error:
        typer.echo(_sentence(str(error)), err=True)
        return 1
    except WrongSetting as error:
        raise ConfigurationError(_flag(error)) from None
    if in_json:
        typer.echo(json.dumps(result.to_json()))
    else:
        Console().print(table(result))
    if result.tool_cpu > BUSY and not in_json:
        typer.echo("The tool itself used a whole core: the server may be faster than this.", err=True)
    return 1 if result.errors.total else 0


def table(result: Result) -> Table:
    """What the run found, a line each; of times only those there were."""
    workload = result.workload
    shown = Table(show_header=False, box=None, pad_edge=False)
    shown.add_column(style="bold")
    shown.add_column(justify="right")
    shown.add_column()
    shown.add_row("workload", workload.kind)
    shown.add_row("connections", f"{result.connections:,}")
    shown.add_row("connected", f"{result.connections_per_second:,.0f}", "a second")
    _latency(shown, "time to connect", result.connecting)
    if result.messages:
        shown.add_row("messages", f"{result.messages:,}")
        shown.add_row("deliveries", f"{result.deliveries:,}", f"in {result.seconds:,.2f} s")
        shown.add_row("deliveries/s", f"{result.deliveries_per_second:,.0f}")
        _latency(shown, "latency", result.latency)
    errors = result.errors
    told = (
        f"{errors.missing:,} missing, {errors.duplicate:,} twice, {errors.out_of_order:,} out of order, "
        f"{errors.unexpected:,} unexpected"
    )
    shown.add_row("errors", f"{errors.total:,}", told if errors.total else "")
    if workload.stall:
        when = "" if result.first_closed is None else f"the first after {result.first_closed:,.1f} s"
        shown.add_row("stalled, closed", f"{result.stalled_closed:,} of {workload.stall:,}", when)
    shown.add_row("this tool", f"{result.tool_cpu:.0%}", "of a core")
    return shown


def _latency(shown: Table, what: str, latency: Latency) -> None:
    for name, value in (("p50", latency.p50), ("p99", latency.p99), ("p99.9", latency.p999), ("max", latency.max)):
        shown.add_row(f"{what} {name}", f"{value:,.2f}", "ms")


def _workload(kind: str, hold: float | None, numbers: dict[str, Any]) -> Workload:
    for known in KINDS:
        if kind == known:
            break
    else:
        raise ConfigurationError(f"WORKLOAD is one of {', '.join(KINDS)}, not {kind!r}")
    if kind == "idle":
        if "duration" in numbers:
            raise ConfigurationError("--duration is for workloads that send; idle connections have --hold")
        numbers |= {} if hold is None else {"duration": hold}
        numbers |= {"warm_up": 0.0}
    elif hold is not None:
        raise ConfigurationError("--hold is for the workload idle; the others have --duration")
    try:
        return Workload(known, **numbers)
    except WrongSetting as error:
        name = "--hold" if kind == "idle" and error.setting == "duration" else None
        raise ConfigurationError(_flag(error, name)) from None


def _flag(error: WrongSetting, name: str | None = None) -> str:
    return f"{name or '--' + error.setting.replace('_', '-')} {error.rule}"


def _credential(token: str | None, settings: Settings) -> Callable[[int], str] | None:
    """Of each connection; None where there is neither a token nor a secret."""
    sign = signer(token, settings)
    return None if sign is None else lambda i: sign(user(i))


def _dialect(kind: str, path: str, credential: Callable[[int], str] | None, message: str | None) -> HubbubV1:
    try:
        HubbubV1(path=path)
    except ConfigurationError as error:
        raise ConfigurationError(f"--path: {error}") from None
    options: dict[str, Any] = {} if message is None else {"message": message}
    try:
        if kind == "request":
            return HubbubV1Requests(path=path, credential=credential, **{"message": _REQUEST, **options})
        return HubbubV1(path=path, credential=credential, **options)
    except ConfigurationError as error:
        raise ConfigurationError(f"--message: {error}") from None


@contextmanager
def _progress(*, show: bool) -> Iterator[Callable[[Step], None] | None]:
    if not show:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", said="", total=None)

        def report(step: Step) -> None:
            unit = "" if step.phase == "connecting" else " s"
            said = f"{step.done:,.0f} of {step.total:,.0f}{unit}" if step.total else ""
            bar.update(task, description=step.phase, completed=step.done, total=step.total or None, said=said)
            bar.refresh()

        yield report


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
