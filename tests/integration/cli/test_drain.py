"""Ending real processes while clients are connected, a tenth of which take nothing."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import websockets

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.hub.signals import ECHO
from tests.kit.client import Tab
from tests.kit.commanded import commanded
from tests.kit.running import Served
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import wait_for

APP = """
import os
from typing import Literal
from fastapi import FastAPI
from pydantic import BaseModel
from hubbub import Connection, Hub, Limits, User
from hubbub.integrations.operations import operations

class Names:
    cookie, bearer = None, True

    async def authenticate(self, credential):
        return User(credential.value)

hub = Hub(auth=Names(), limits=Limits(outbox=16_000_000, closing=float(os.environ.get("CLOSING", "1"))))

class Pour(BaseModel):
    type: Literal["pour"]

@hub.on(Pour)
async def pour(message: Pour, connection: Connection) -> None:
    for _ in range(900):
        await connection.send({"type": "drop", "content": "x" * 10_000})

app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())
"""

#: What the application of these tests gives a peer to take its leave.
_CLOSING = 1.0


@pytest.fixture
def leaving(tmp_path: Path) -> Path:
    """A directory with an application in leaving.py, of a hub that anybody may enter."""
    (tmp_path / "leaving.py").write_text(APP)
    return tmp_path


@contextlib.asynccontextmanager
async def crowd(base: str, count: int = 18, stalled: int = 2) -> AsyncIterator[list[Tab]]:
    """Tabs that read, beside some that do not."""
    async with contextlib.AsyncExitStack() as stack:
        host, _, port = base.removeprefix("ws://").rpartition(":")
        for each in range(stalled):
            narrow = socket.socket()
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            narrow.setblocking(False)
            await asyncio.get_running_loop().sock_connect(narrow, (host, int(port)))
            tab = await stack.enter_async_context(Tab(base, token=f"stalled{each}", sock=narrow))
            stack.callback(tab.socket.transport.abort)
            tab.socket.transport.pause_reading()  # type: ignore[attr-defined]
            await tab.send({"type": "pour"})
        tabs = [await stack.enter_async_context(Tab(base, token=f"u{each}")) for each in range(count)]
        yield tabs


async def goodbyes(tabs: list[Tab]) -> list[tuple[float, int]]:
    """When each was closed, and what it was told to wait; all with 1012 and told once."""

    async def one(tab: Tab) -> tuple[float, int]:
        assert await tab.closed() == 1012
        at = time.monotonic()
        [told] = tab.received("closing")
        assert told["code"] == 1012
        return at, told["retry_after"]

    return sorted(await asyncio.gather(*(one(tab) for tab in tabs)))


async def ended(process: "subprocess.Popen[bytes]", within: float) -> int:
    return await asyncio.to_thread(process.wait, within)


WORKERS = [("--workers", "1"), ("--workers", "3")]


@pytest.mark.slow
@pytest.mark.parametrize("args", WORKERS)
async def test_it_drains_and_ends_within_its_deadline(leaving: Path, args: tuple[str, ...]) -> None:
    with Served("leaving:app", *args, "--drain", "3", cwd=leaving, ready="/health/ready") as server:
        async with crowd(server.ws) as tabs:
            watch = Stopwatch()
            server.send(signal.SIGTERM)
            said = await goodbyes(tabs)
            assert said[-1][0] - said[0][0] > 0.5
            assert max(wait for _, wait in said) > 2000
            assert await ended(server.process, 20) == 0, server.output
            # The parent of several looks twice a second whether it is to end.
            assert watch.own < 3 + _CLOSING + 1.0 + (0.5 if "3" in args else 0)
            assert "Traceback" not in server.output


async def test_while_it_drains_it_lets_nobody_in_and_answers_requests(leaving: Path) -> None:
    with Served("leaving:app", cwd=leaving, env={"HUBBUB_DRAIN": "20"}, ready="/health/ready") as server:
        async with crowd(server.ws, stalled=0) as tabs, httpx.AsyncClient(trust_env=False) as client:
            server.send(signal.SIGTERM)

            async def status(path: str) -> int:
                return (await client.get(server.url + path)).status_code

            while await status("/health/ready") != 503:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
            assert await status("/health/live") == 200
            with pytest.raises(websockets.InvalidStatus) as refused:
                await Tab(server.ws, token="late").connect()
            assert refused.value.response.status_code == 503
            # Sooner it would be the echo of the first.
            await asyncio.sleep(ECHO)
            watch = Stopwatch()
            server.send(signal.SIGTERM)
            await goodbyes(tabs)
            assert await ended(server.process, 20) == 0
            assert watch.own < 3


async def test_a_second_signal_ends_all_workers_at_once(leaving: Path) -> None:
    args = ("--workers", "3", "--drain", "60")
    with Served("leaving:app", *args, cwd=leaving, ready="/health/ready") as server:
        async with crowd(server.ws) as tabs:
            server.send(signal.SIGTERM)
            await asyncio.to_thread(wait_for, lambda: server.output.count("Terminated child") == 3, what="told")
            # Sooner it would be the echo of the first, which each counts from when it has heard that.
            await asyncio.sleep(ECHO + 1)
            watch = Stopwatch()
            server.send(signal.SIGTERM)
            await goodbyes(tabs)
            assert await ended(server.process, 20) == 0
            assert watch.own < 4
            assert "was killed" not in server.output


@pytest.mark.parametrize(
    ("args", "number"),
    [(("--drain", "0"), signal.SIGTERM), ((), signal.SIGINT), (("--reload",), signal.SIGTERM)],
    ids=["drain-0", "SIGINT", "reload"],
)
async def test_without_a_window_all_are_told_at_once(leaving: Path, args: tuple[str, ...], number: int) -> None:
    # With a window they would be told over thirty seconds.
    env = {} if "--drain" in args else {"HUBBUB_DRAIN": "60"}
    with Served("leaving:app", *args, cwd=leaving, env=env, ready="/health/ready") as server:
        async with crowd(server.ws) as tabs:
            watch = Stopwatch()
            server.send(number)
            said = await goodbyes(tabs)
            assert said[-1][0] - said[0][0] < 0.5
            assert max(wait for _, wait in said) < 1000
            assert await ended(server.process, 20) == 0
            assert watch.own < _CLOSING + 1.5


@pytest.mark.slow
async def test_workers_whose_parent_is_gone_do_not_keep_the_port(leaving: Path) -> None:
    args = ("--workers", "2", "--drain", "60")
    with Served("leaving:app", *args, cwd=leaving, ready="/health/ready") as server:
        async with crowd(server.ws, stalled=0) as tabs:
            await asyncio.to_thread(server.kill)
            assert all([await tab.closed() == 1012 for tab in tabs])


@pytest.mark.slow
@pytest.mark.parametrize(
    "args", [("--loop", "asyncio"), ("--loop", "uvloop"), ("--workers", "2")], ids=["asyncio", "uvloop", "2-workers"]
)
async def test_plain_uvicorn_drains_too(leaving: Path, args: tuple[str, ...]) -> None:
    command = ["uvicorn", "leaving:app", "--port", "{port}", "--no-access-log", *args]
    with EmbeddedValkey() as valkey:
        env = {"HUBBUB_DRAIN": "3", "HUBBUB_BROKER": valkey.url}
        with commanded(command, cwd=leaving, env=env) as server:
            async with crowd(server.ws) as tabs:
                watch = Stopwatch()
                server.process.terminate()
                said = await goodbyes(tabs)
                assert said[-1][0] - said[0][0] > 0.5
                assert max(wait for _, wait in said) > 2000
                code = await ended(server.process, 20)
                assert code == (0 if "--workers" in args else -signal.SIGTERM)
                assert watch.own < 3 + _CLOSING + 1.0 + (0.5 if "--workers" in args else 0)
