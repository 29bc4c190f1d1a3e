"""Each row of `docs/howto/servers.md`, on the real server: transport, handshake, room, refusals, who is told at a stop.

Then each of them with several workers and a broker, and with TLS where it has that.
"""

import asyncio
import contextlib
import re
import signal
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.transports import HTTP, PROTOCOL
from tests.docs.pages import plain, rows, sections
from tests.kit.certificates import make_certificate
from tests.kit.client import Tab
from tests.kit.commanded import Commanded, commanded
from tests.kit.waiting import tries, until

APP = """
from fastapi import FastAPI
from hubbub import History, Hub, InvalidCredential, Limits, User
from hubbub.integrations.operations import operations

class Names:
    cookie, bearer = None, True

    async def authenticate(self, credential):
        if credential.value == "no":
            raise InvalidCredential("nobody's")
        return User(credential.value)

hub = Hub(auth=Names(), limits=Limits(closing=1.0))

@hub.rooms("tea", presence=True, history=History(size=10, ttl=60))
async def anybody() -> bool:
    return True

class Say:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            kind = "fast" if "hubbub.transport" in scope.get("extensions", {}) else "plain"
            print("a socket of the", kind, "kind", flush=True)
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
async def tell(what: str) -> None:
    await hub.room("tea").send({"type": "news", "what": what})

async def started(scope, receive, send):
    if not hub.ready:
        await hub.start()
    await app(scope, receive, send)
"""

STATUS, ALWAYS_403 = "its HTTP status", "403"
SOCKET = "as long as the socket"
WATCHED = f"{SOCKET}, where anybody could tell"
DRAINED = "drained"
FAST, BY_ASGI = "fast", "by ASGI"


@dataclass
class Server:
    command: list[str]
    sockets: str = FAST
    refused: str = STATUS
    lasts: str = WATCHED
    stop: str = DRAINED
    codes: tuple[int, bool] = (1012, True)
    """That of the end, and whether `closing` came before."""


AT = "127.0.0.1:{port}"
SERVERS = {
    "hubbub serve": Server(["hubbub", "serve", "served:app", "--port", "{port}"]),
    "uvicorn": Server(["uvicorn", "served:app", "--port", "{port}"]),
    "uvicorn, with our --ws": Server(["uvicorn", "served:app", "--port", "{port}", "--ws", PROTOCOL, "--http", HTTP]),
    "uvicorn, with another --ws": Server(
        ["uvicorn", "served:app", "--port", "{port}", "--ws", "wsproto"], sockets=BY_ASGI, lasts=SOCKET
    ),
    "fastapi run": Server(["fastapi", "run", "served.py", "--port", "{port}"]),
    "fastapi dev": Server(["fastapi", "dev", "served.py", "--port", "{port}"], stop="all at once"),
    "gunicorn, with uvicorn's worker": Server(
        ["gunicorn", "served:app", "--bind", AT, "-k", "uvicorn_worker.UvicornWorker"]
    ),
    "gunicorn, -k asgi": Server(
        ["gunicorn", "served:app", "--bind", AT, "-k", "asgi"], sockets=BY_ASGI, refused=ALWAYS_403, lasts=SOCKET
    ),
    "Hypercorn, -w 0": Server(["hypercorn", "served:app", "-b", AT, "-w", "0"], sockets=BY_ASGI, lasts=SOCKET),
    "Hypercorn": Server(
        ["hypercorn", "served:app", "-b", AT, "--graceful-timeout", "1"],
        sockets=BY_ASGI,
        lasts=SOCKET,
        stop="nobody is told; 1011 after --graceful-timeout",
        codes=(1011, False),
    ),
    "Granian": Server(
        ["granian", "--interface", "asgi", "served:app", "--host", "127.0.0.1", "--port", "{port}"],
        sockets=BY_ASGI,
        lasts=SOCKET,
        stop="nobody is told; 1006 at once",
        codes=(1006, False),
    ),
    "Daphne, started by hand": Server(
        ["daphne", "-b", "127.0.0.1", "-p", "{port}", "served:started"],
        sockets=BY_ASGI,
        refused=ALWAYS_403,
        lasts=SOCKET,
        stop="told, then 1006",
        codes=(1006, True),
    ),
}

WITH_CERTIFICATE = "--certfile CERT --keyfile KEY"
SEVERAL = {
    "hubbub serve": ("--workers 2", "--ssl-certfile CERT --ssl-keyfile KEY"),
    "uvicorn": ("--workers 2", "--ssl-certfile CERT --ssl-keyfile KEY"),
    "fastapi run": ("--workers 2", ""),
    "gunicorn, with uvicorn's worker": ("WEB_CONCURRENCY=2", WITH_CERTIFICATE),
    "gunicorn, -k asgi": ("WEB_CONCURRENCY=2", WITH_CERTIFICATE),
    "Hypercorn": ("-w 2", WITH_CERTIFICATE),
    "Granian": ("--workers 2", "--ssl-certificate CERT --ssl-keyfile KEY"),
}
"""How each is given two workers, and a certificate."""


def said(section: str) -> list[list[str]]:
    # A link is what it shows.
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", sections("docs/howto/servers.md")[section])
    return [[plain(cell).replace("`", "") for cell in row] for row in rows(text)]


def test_the_page_has_these_rows() -> None:
    assert said("Servers") == [
        [name, each.sockets, each.refused, each.lasts, each.stop] for name, each in SERVERS.items()
    ]
    assert said("Several workers") == [[name, several, tls or "none"] for name, (several, tls) in SEVERAL.items()]


@pytest.fixture
def served(tmp_path: Path) -> Path:
    (tmp_path / "served.py").write_text(APP)
    return tmp_path


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    with EmbeddedValkey() as server:
        yield server.url


async def status(server: Commanded, **options: Any) -> int:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await Tab(server.ws, **options).connect()
    return refused.value.response.status_code


@pytest.mark.complains(r"(?s)Running on http://\S+ \(CTRL \+ C to quit\).*hypercorn/asyncio/run.py.*CancelledError")
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
                assert (await http.post("/tell", params={"what": "rain"})).status_code == 200
                for tab in (ann, bob):
                    assert (await tab.receive("news"))["room"] == "tea"
                assert server.output.count("the call has ended") <= 2  # of the refused
                kinds = set(re.findall("a socket of the (.*) kind", server.output))
                assert kinds == {"fast" if expected.sockets == FAST else "plain"}
                assert server.output.count("go through ASGI") == (expected.sockets == BY_ASGI)
                server.process.send_signal(signal.SIGTERM)
                code, told = expected.codes
                for tab in (ann, bob):
                    assert await tab.closed() == code
                    assert [each["code"] for each in tab.received("closing")] == [1012] * told
                # What it cannot say is told to the operator, once.
                assert server.output.count("does not close with 1012") == (code == 1006 and told)
        await asyncio.to_thread(server.process.wait, 30)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEVERAL)
async def test_several_workers_meet_at_a_broker(name: str, served: Path, valkey: str) -> None:
    several, tls = SEVERAL[name]
    certificate, key = make_certificate(served)
    more = several.split() if several.startswith("-") else []
    env = {"HUBBUB_BROKER": valkey, "HUBBUB_DRAIN": "0.2"}
    env |= {} if more else dict([several.split("=")])
    command = [*SERVERS[name].command, *more, *tls.replace("CERT", str(certificate)).replace("KEY", str(key)).split()]
    trusted = ssl.create_default_context(cafile=str(certificate))
    verify: Any = trusted if tls else True
    client = httpx.Client(trust_env=False, verify=verify)
    with commanded(command, cwd=served, env=env, scheme="https" if tls else "http", client=client) as server:
        options = {"ssl": trusted} if tls else {}
        async with contextlib.AsyncExitStack() as stack:
            first = await stack.enter_async_context(Tab(server.ws, token="ann", **options))
            await first.join("tea")
            for number in tries("a tab on another worker"):
                other = await stack.enter_async_context(Tab(server.ws, token=f"bob-{number}", **options))
                if other.node != first.node:
                    break
            joined = await other.join("tea")
            assert joined["members"] == ["ann", f"bob-{number}"]
            await first.receive("user_joined_room", user=f"bob-{number}")
            async with httpx.AsyncClient(base_url=server.url, trust_env=False, verify=verify) as http:
                assert (await http.post("/tell", params={"what": "rain"})).status_code == 200
                seen = [await tab.receive("news", what="rain") for tab in (first, other)]
                assert seen[0]["offset"] == seen[1]["offset"]
                await other.drop()
                await first.receive("user_left_room", user=f"bob-{number}")
                assert (await http.post("/tell", params={"what": "sun"})).status_code == 200
            again = await stack.enter_async_context(Tab(server.ws, token=f"bob-{number}", **options))
            position = {"epoch": joined["epoch"], "offset": seen[1]["offset"]}
            assert (await again.join("tea", since=position))["recovered"] is True
            assert (await again.receive("news"))["what"] == "sun"
        kinds = set(re.findall("a socket of the (.*) kind", server.output))
        assert kinds == {"fast" if SERVERS[name].sockets == FAST else "plain"}
        assert server.output.count("go through ASGI") == 2 * (SERVERS[name].sockets == BY_ASGI)


@pytest.mark.parametrize("name", ["uvicorn", "hubbub serve"])
async def test_who_chose_asgi_has_it_and_is_told_nothing(name: str, served: Path) -> None:
    command = SERVERS[name].command
    with commanded(command, cwd=served, env={"HUBBUB_TRANSPORT": "asgi"}) as server:
        async with Tab(server.ws, token="ann"):
            await until(lambda: "a socket of the plain kind" in server.output, "it came in")
        assert "go through ASGI" not in server.output


@pytest.mark.complains("Exception inside application: this hub is not running")
async def test_daphne_says_that_it_starts_no_hub(served: Path) -> None:
    command = ["daphne", "-b", "127.0.0.1", "-p", "{port}", "served:app"]
    with commanded(command, cwd=served, ready="/health/live") as server:
        assert await status(server, token="ann") == 500
        await until(lambda: "nobody runs that: Daphne does not" in server.output, "it says why")
        async with httpx.AsyncClient(trust_env=False) as http:
            ready = await http.get(server.url + "/health/ready")
        assert (ready.status_code, "Daphne" in ready.json()["reason"]) == (503, True)
