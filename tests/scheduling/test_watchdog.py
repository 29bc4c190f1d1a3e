"""A call that blocks the event loop is named by function, file and line, wherever it stands: real servers, real time.

What blocks does so for as long that a busy machine makes no difference: what its thread waits for a processor counts
for nothing, and half a second is left of it.
"""

import asyncio
import logging
import re
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal

import httpx
import pytest
import websockets
from fastapi import Depends, FastAPI, WebSocket
from pydantic import BaseModel

from hubbub import Connection, Hub, Limits, User
from hubbub.ports.auth import Credential
from hubbub.ports.metrics import Count, Observed, Tally
from hubbub.types import UserId
from tests.kit.client import Tab
from tests.kit.serving import serving
from tests.kit.waiting import until

pytestmark = pytest.mark.watched

SECONDS = 0.6
HERE = "tests/scheduling/test_watchdog.py"


class Say(BaseModel):
    type: Literal["say"] = "say"


class Slow:
    cookie, bearer = None, True

    def __init__(self, where: str) -> None:
        self.where = where

    async def authenticate(self, credential: Credential) -> User:
        if self.where == "authenticator":
            time.sleep(SECONDS)  # noqa: ASYNC251 - authenticator
        return User(UserId(credential.value))


def application(where: str) -> tuple[Hub, FastAPI]:
    hub = Hub(auth=Slow(where), broker="memory")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with hub.running():
            if where == "startup":
                time.sleep(SECONDS)  # noqa: ASYNC251 - startup
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(hub.router)

    async def dependency() -> None:
        if where == "dependency":
            time.sleep(SECONDS)  # noqa: ASYNC251 - dependency

    @hub.on(Say)
    async def say(message: Say, needed: Annotated[None, Depends(dependency)], connection: Connection) -> None:
        if where == "handler":
            time.sleep(SECONDS)  # noqa: ASYNC251 - handler
        if where == "task":
            connection.spawn(task())

    async def task() -> None:
        await asyncio.sleep(0)
        time.sleep(SECONDS)  # noqa: ASYNC251 - task

    @hub.rooms("r")
    async def check() -> bool:
        if where == "room":
            time.sleep(SECONDS)  # noqa: ASYNC251 - room
        return True

    @hub.on_connect
    async def hook() -> None:
        if where == "hook":
            time.sleep(SECONDS)  # noqa: ASYNC251 - hook

    @app.get("/")
    async def route(*, warm: bool = False) -> None:
        if warm:
            return
        if where == "route":
            time.sleep(SECONDS)  # noqa: ASYNC251 - route
        if where == "python":
            until = time.thread_time() + SECONDS
            while time.thread_time() < until:
                pass  # python
        if where == "library":
            subprocess.run(["sleep", str(SECONDS)], check=True)  # noqa: ASYNC221 - library
        if where == "callback":
            asyncio.get_running_loop().call_soon(time.sleep, SECONDS)

    @app.websocket("/plain")
    async def plain(websocket: WebSocket) -> None:
        await websocket.accept()
        if where == "plain":
            time.sleep(SECONDS)  # noqa: ASYNC251 - plain
        await websocket.close()

    return hub, app


FUNCTIONS = {
    "authenticator": "Slow.authenticate",
    "startup": "lifespan",
    "dependency": "dependency",
    "handler": "say",
    "task": "task",
    "room": "check",
    "hook": "hook",
    "route": "route",
    "python": "route",
    "library": "route",
    "plain": "plain",
}


def _line_of(where: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f" {where}") and "#" in line)


@pytest.mark.parametrize("where", FUNCTIONS)
async def test_wherever_it_stands(where: str, caplog: pytest.LogCaptureFixture) -> None:
    hub, app = application(where)
    async with serving(app) as server:
        async with httpx.AsyncClient() as client:
            # Whatever a first call takes, of which this one is to be no part.
            await client.get(server.url, params={"warm": True})
            await client.get(server.url)
        async with Tab(server.ws, token="ann") as tab:
            await tab.request("say")
            await tab.join("r")
        async with asyncio.timeout(30):
            async with websockets.connect(f"{server.ws}/plain", proxy=None) as socket:
                await socket.wait_closed()
        await asyncio.sleep(0.3)
    # To make a client may hold the loop as well, which is this test's.
    said = [record for record in caplog.records if record.name == "hubbub.loop"]
    told = [record for record in said if vars(record)["function"].endswith(f".{FUNCTIONS[where]}")]
    assert told, [record.getMessage() for record in said]
    for record in told:
        assert vars(record)["event"] == "loop_blocked"
        assert vars(record)["file"] == HERE
        assert record.levelno == logging.WARNING
    line = _line_of(where)
    assert {vars(record)["line"] for record in told} <= {line - 1, line}
    assert re.search(rf"{HERE}:({line}|{line - 1})\)", told[0].getMessage())
    if where == "library":
        assert vars(told[0])["within"].startswith("subprocess.run at subprocess.")
    assert isinstance(hub.metrics, Tally)
    assert hub.metrics.counts[Count.LOOP_BLOCKED] >= 1
    assert sum(hub.metrics.histograms[Observed.LOOP_LAG].counts) > 0


async def test_what_is_not_python_has_no_place_of_its_own_and_is_not_said_to_be_anybodys() -> None:
    hub, app = application("callback")
    async with serving(app) as server, httpx.AsyncClient() as client:
        await client.get(server.url)
        assert isinstance(hub.metrics, Tally)
        lag = hub.metrics.histograms[Observed.LOOP_LAG]
        await until(lambda: lag.sum > SECONDS / 2, "the lag")


async def test_nobody_looks_where_that_is_not_wanted(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Slow(""), broker="memory", limits=Limits(blocking=None))

    @hub.on(Say)
    async def say(message: Say) -> None:
        time.sleep(SECONDS)  # noqa: ASYNC251

    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        await tab.request("say")
        assert isinstance(hub.metrics, Tally)
        assert not hub.metrics.counts[Count.HANDLER_BLOCKED]
        assert not sum(hub.metrics.histograms[Observed.LOOP_LAG].counts)
    assert "blocked" not in caplog.text
