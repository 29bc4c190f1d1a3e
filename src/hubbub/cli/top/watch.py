"""Looking again and again. A look that fails is said, and the next one tried: the server may be restarting.

Exit codes: 0 ended, or looked once; 1 nobody answered to the first look, or not with metrics; 2 a flag is wrong, or
prometheus-client missing; 130 and 143 ended by SIGINT and SIGTERM.
"""

import asyncio
import json
import math
import sys
from dataclasses import dataclass

import httpx
from rich.console import Console
from rich.live import Live

from hubbub.cli.credential import http_url, target_of
from hubbub.cli.ending import until_told
from hubbub.cli.output import give_up_output
from hubbub.cli.over_http import ways_to
from hubbub.cli.top.scrape import CannotLook, Look, Worker, as_json, look, rows
from hubbub.cli.top.table import table
from hubbub.errors import ConfigurationError

_TIMEOUT = 10.0
#: Seconds between two looks at most: a day.
_RAREST = 86_400.0
# Columns of a file or a pipe, which have no width.
_WIDE = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """As the flags say it."""

    url: str
    path: str
    interval: float
    once: bool
    in_json: bool


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
    try:
        client = httpx.AsyncClient(headers=headers, timeout=_TIMEOUT, **ways_to(target.host))
        return asyncio.run(until_told(_run(client, url, asked)))
    except CannotLook as error:
        print(error, file=sys.stderr)  # noqa: T201 - what the command is for
        return 1
    except BrokenPipeError:
        give_up_output()
        return 0


def _check_installed() -> None:
    """Before anybody is asked. Raises ConfigurationError."""
    try:
        import prometheus_client.parser  # noqa: F401
    except ImportError:
        raise ConfigurationError("hubbub top needs prometheus-client: pip install 'hubbub[metrics]'") from None


async def _run(client: httpx.AsyncClient, url: str, asked: Asked) -> int:
    async with client:
        before = await look(client, url)
        if asked.once or not (asked.in_json or sys.stdout.isatty()):
            await asyncio.sleep(asked.interval)
            _show_once(before, await look(client, url), in_json=asked.in_json)
            return 0
        return await _watch(client, url, before, asked)


async def _watch(client: httpx.AsyncClient, url: str, before: Look, asked: Asked) -> int:
    if asked.in_json:
        while True:
            await asyncio.sleep(asked.interval)
            try:
                now = await look(client, url)
            except CannotLook as error:
                print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201 - what the command is for
                continue
            print(as_json(before, now), flush=True)  # noqa: T201 - as above
            before = now
    console = Console()
    shown = Live(console=console, screen=True, auto_refresh=False)

    def draw(workers: list[Worker], now: Look, trouble: str | None = None) -> None:
        drawn = table(workers, now, width=console.width, height=console.height, trouble=trouble)
        shown.update(drawn, refresh=True)

    try:
        shown.start()
        draw(rows(None, before), before)
        while True:
            await asyncio.sleep(asked.interval)
            try:
                now = await look(client, url)
            except CannotLook as error:
                draw(rows(None, before), before, str(error))
            else:
                draw(rows(before, now), now)
                before = now
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
