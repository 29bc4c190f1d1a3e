"""Each row of `docs/howto/servers.md`, on the real server: handshake, room, refusals, and who is told at a stop."""

import asyncio
import contextlib
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from hubbub.transports import HTTP, PROTOCOL
from tests.docs.pages import plain, rows, sections
from tests.kit.client import Tab
from tests.kit.commanded import Commanded, commanded
from tests.kit.waiting import until

APP = """
from fastapi import FastAPI
from hubbub import Hub, InvalidCredential, Limits, User
from hubbub.integrations.operations import operations

class Names:
    cookie, bearer = None, True

    async def authenticate(self, credential):
        if credential.value == "no":
            raise InvalidCredential("nobody's")
        return User(credential.value)

hub = Hub(auth=Names(), limits=Limits(closing=1.0))

@hub.rooms("tea", presence=True)
async def anybody() -> bool:
    return True

class Say:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        try:
            await self.app(scope, receive, send)
        finally:
            if scope["type"] == "websocket":
                print("the call has ended", flush=True)

app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())
app.add_middleware(Say)

@app.post("/tell")
async def tell() -> None:
    await hub.room("tea").send({"type": "news"})

async def started(scope, receive, send):
    if not hub.ready:
        await hub.start()
    await app(scope, receive, send)
"""

STATUS, ALWAYS_403 = "its HTTP status", "403"
SOCKET = "as long as the socket"
WATCHED = f"{SOCKET}, where anybody could tell"
DRAINED = "drained"


@dataclass
class Server:
    command: list[str]
    refused: str = STATUS
    lasts: str = SOCKET
    stop: str = DRAINED
    codes: tuple[int, bool] = (1012, True)
    """That of the end, and whether `closing` came before."""


AT = "127.0.0.1:{port}"
SERVERS = {
    "hubbub serve": Server(["hubbub", "serve", "served:app", "--port", "{port}"], lasts=WATCHED),
    "uvicorn, with our --ws": Server(
        ["uvicorn", "served:app", "--port", "{port}", "--ws", PROTOCOL, "--http", HTTP], lasts=WATCHED
    ),
    "uvicorn": Server(["uvicorn", "served:app", "--port", "{port}"]),
    "gunicorn, with uvicorn's worker": Server(
        ["gunicorn", "served:app", "--bind", AT, "-k", "uvicorn_worker.UvicornWorker"]
    ),
    "gunicorn, -k asgi": Server(["gunicorn", "served:app", "--bind", AT, "-k", "asgi"], refused=ALWAYS_403),
    "Hypercorn, -w 0": Server(["hypercorn", "served:app", "-b", AT, "-w", "0"]),
    "Hypercorn": Server(
        ["hypercorn", "served:app", "-b", AT, "--graceful-timeout", "1"],
        stop="nobody is told; 1011 after --graceful-timeout",
        codes=(1011, False),
    ),
    "Granian": Server(
        ["granian", "--interface", "asgi", "served:app", "--host", "127.0.0.1", "--port", "{port}"],
        stop="nobody is told; 1006 at once",
        codes=(1006, False),
    ),
    "Daphne, started by hand": Server(
        ["daphne", "-b", "127.0.0.1", "-p", "{port}", "served:started"],
        refused=ALWAYS_403,
        stop="told, then 1006",
        codes=(1006, True),
    ),
}


def test_the_page_has_these_rows() -> None:
    # A link is what it shows.
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", sections("docs/howto/servers.md")["Servers"])
    said = [[plain(cell).replace("`", "") for cell in row] for row in rows(text)]
    assert said == [[name, each.refused, each.lasts, each.stop] for name, each in SERVERS.items()]


@pytest.fixture
def served(tmp_path: Path) -> Path:
    (tmp_path / "served.py").write_text(APP)
    return tmp_path


async def status(server: Commanded, **options: Any) -> int:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await Tab(server.ws, **options).connect()
    return refused.value.response.status_code


@pytest.mark.parametrize("name", SERVERS)
async def test_it_does_what_the_page_says(name: str, served: Path) -> None:
    expected = SERVERS[name]
    with commanded(expected.command, cwd=served, env={"HUBBUB_DRAIN": "0.4"}) as server:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
            assert (await http.get("/ws")).status_code == 426
            assert await status(server, token="no") == (401 if expected.refused == STATUS else 403)
            browser = await Tab(server.ws, token="no", origin=server.url).connect()
            assert await browser.closed() == 4001
            await browser.close()
            async with contextlib.AsyncExitStack() as stack:
                ann, bob = [await stack.enter_async_context(Tab(server.ws, token=each)) for each in ("ann", "bob")]
                await ann.join("tea")
                await bob.join("tea")
                await ann.receive("user_joined_room", user="bob")
                assert (await http.post("/tell")).status_code == 200
                for tab in (ann, bob):
                    assert (await tab.receive("news"))["room"] == "tea"
                assert server.output.count("the call has ended") <= 2  # of the refused
                server.process.send_signal(signal.SIGTERM)
                code, told = expected.codes
                for tab in (ann, bob):
                    assert await tab.closed() == code
                    assert [each["code"] for each in tab.received("closing")] == [1012] * told
        await asyncio.to_thread(server.process.wait, 30)


async def test_daphne_says_that_it_starts_no_hub(served: Path) -> None:
    command = ["daphne", "-b", "127.0.0.1", "-p", "{port}", "served:app"]
    with commanded(command, cwd=served, ready="/health/live") as server:
        assert await status(server, token="ann") == 500
        await until(lambda: "nobody runs that: Daphne does not" in server.output, "it says why")
        async with httpx.AsyncClient(trust_env=False) as http:
            ready = await http.get(server.url + "/health/ready")
        assert (ready.status_code, "Daphne" in ready.json()["reason"]) == (503, True)
