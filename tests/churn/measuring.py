"""A worker in a process of its own, counted before, while and after the cycles."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from statistics import linear_regression
from typing import Any

import httpx
import redis

from hubbub.brokers.embedded import EmbeddedValkey
from tests.churn.cycles import Cycles
from tests.kit.raw_peers import OURS
from tests.kit.waiting import until

ROUND = 5_000
"""Cycles between two looks."""
SLOPE = 10.0
"""Bytes a cycle may leave behind in the long run: 1 MB per 100,000."""
_MOVES = {"memory", "objects", "blocks"}


@dataclass
class Report:
    """`before` and `after` are what was counted with nobody there; `looks` cycles, and bytes of memory after them."""

    before: dict[str, Any]
    after: dict[str, Any] = field(default_factory=dict)
    looks: list[tuple[int, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def slope(self) -> float:
        """Bytes per cycle, of the second half: in the first one what is kept for use again finds its size."""
        late = self.looks[len(self.looks) // 2 :]
        return linear_regression(*zip(*late, strict=True)).slope if len(late) > 1 else 0.0

    @property
    def moved(self) -> dict[str, tuple[Any, Any]]:
        """What is not where it began."""
        return {
            name: (self.before[name], there)
            for name, there in self.after.items()
            if name not in _MOVES and self.before[name] != there
        }

    @property
    def well(self) -> bool:
        return not self.wrong and not self.moved and self.slope < SLOPE

    def __str__(self) -> str:
        cycles, memory = self.looks[-1]
        return (
            f"{cycles:,} cycles, {self.before['memory'] / 1e6:.1f} MB at first, {memory / 1e6:.1f} MB now, "
            f"{self.slope * 100_000 / 1e6:+.3f} MB per 100,000; "
            f"objects {self.before['objects']:,}, {self.after['objects']:,}; "
            f"blocks {self.before['blocks']:,}, {self.after['blocks']:,}; "
            f"moved: {self.moved or 'nothing'}; wrong: {self.wrong[:3] or 'nothing'}"
        )


@contextlib.asynccontextmanager
async def worker(loop: str, environment: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """Its HTTP side, at the address of its sockets."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        command = [sys.executable, "-m", "uvicorn", "tests.churn.application:app", "--loop", loop]
        command += ["--ws", OURS["ws"], "--http", OURS["http"], "--log-level", "warning"]
        command += ["--fd", str(listening.fileno())]
        environment = {**os.environ, **environment}
        with subprocess.Popen(command, pass_fds=[listening.fileno()], env=environment) as server:  # noqa: ASYNC220
            try:
                url = f"http://127.0.0.1:{listening.getsockname()[1]}"
                async with httpx.AsyncClient(base_url=url, timeout=60) as http:
                    yield http
            finally:
                server.terminate()


async def measure(
    loop: str, cycles: int, *, valkey: bool = False, tell: Callable[[Report], object] = lambda _: None
) -> Report:
    """So many cycles against one worker on that event loop."""
    with contextlib.ExitStack() as own:
        store = None
        environment = {}
        if valkey:
            broker = own.enter_context(EmbeddedValkey())
            environment["HUBBUB_BROKER"] = broker.url
            store = own.enter_context(redis.Redis(unix_socket_path=broker.url.removeprefix("unix://")))
        async with worker(loop, environment) as http:

            async def look() -> dict[str, Any]:
                found: dict[str, Any] = (await http.get("/counts")).json()
                if store is not None:
                    found["keys"] = sorted(key.decode() for key in store.keys("*"))
                    found["channels"] = len(store.pubsub_channels("*"))
                return found

            here = Cycles(str(http.base_url))
            await here.make(min(ROUND, cycles // 10))  # what is made once, is made now
            first = await rest(look)
            report = Report(first)
            begun = here.made
            while here.made - begun < cycles:
                await here.make(min(ROUND, cycles - here.made + begun))
                now = await look()
                report.looks.append((here.made - begun, now["memory"]))
                report.wrong = here.wrong
                report.after = now
                tell(report)
            with contextlib.suppress(AssertionError):  # it is told by the report
                report.after = await until(lambda: _same(look, report), "everything is back where it began", within=20)
            return report


async def _same(look: Callable[[], Any], report: Report) -> dict[str, Any] | None:
    report.after = await look()
    return None if report.moved else report.after


async def rest(look: Callable[[], Any]) -> dict[str, Any]:
    """What is counted when it does not change any more."""
    last: dict[str, Any] = {}
    while True:
        now: dict[str, Any] = await look()
        if {name: there for name, there in now.items() if name not in _MOVES} == last:
            return now
        last = {name: there for name, there in now.items() if name not in _MOVES}
        await asyncio.sleep(2)
