"""What doctor finds of a server that runs: real ones, behind real proxies that are wrong and then right."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket

from hubbub import Heartbeat, Hub, JWTAuth
from hubbub.cli.doctor.finding import About, Finding, as_json
from hubbub.cli.doctor.running import Where, running
from hubbub.cli.settings import Settings
from hubbub.integrations.operations import operations
from tests.kit.proxies import HAProxy, Nginx
from tests.kit.serving import Address, serving

pytestmark = pytest.mark.usefixtures("without_hubbub_variables")

SECRET = "4fW9cV0kQ2mX7tZpB1rJ8nLsD3hYeGuA"
FAST = {"ws": "hubbub.transports.uvicorn:HubbubProtocol", "ws_per_message_deflate": False}


@asynccontextmanager
async def hub(options: dict[str, Any] | None = None, **given: Any) -> AsyncIterator[Address]:
    given = {"heartbeat": Heartbeat(interval=1.0, timeout=5.0), "auth": JWTAuth(SECRET, cookie="session"), **given}
    made = Hub(**given)
    app = FastAPI()
    app.include_router(made.router)
    app.include_router(operations())
    async with serving(app, **(FAST if options is None else options)) as server:
        yield server


async def found(url: str, **asked: Any) -> dict[str, Finding]:
    secret = asked.pop("secret", SECRET)
    findings = await asyncio.to_thread(running, Where(url, **asked), Settings(secret=secret))
    assert SECRET not in as_json(findings)
    return {each.name: each for each in findings}


def place(server: Address) -> str:
    return server.url.partition("//")[2]


async def test_all_is_well() -> None:
    async with hub() as server:
        said = await found(server.url)
    assert not [each for each in said.values() if each.verdict != "ok"]
    assert said.keys() == {each for each in About if each.startswith("url")}
    assert "came after 1." in said[About.URL_PING].said


async def test_the_command_in_json(hubbub: Any) -> None:
    async with hub() as server:
        made = await asyncio.to_thread(hubbub, "doctor", "--json", "--url", server.url, env={"HUBBUB_SECRET": SECRET})
    assert made.returncode == 0, made.stderr
    assert {"name": "url close codes", "verdict": "ok", "said": "arrive (1003)", "do": ""} in json.loads(made.stdout)[
        "findings"
    ]


async def test_nobody_is_there_and_nobody_is_let_in() -> None:
    [only] = (await found("http://127.0.0.1:1")).values()
    assert (only.name, only.verdict) == (About.URL, "wrong")
    async with hub() as server:
        for asked, said in (
            ({"token": "x.y.z"}, "401 at /ws: the credential proves nobody there"),
            ({"path": "/nothing"}, "403 at /nothing"),
            ({"secret": None}, "403 at /ws/chat/hubbub-doctor"),
        ):
            [only] = (await found(server.url, **asked)).values()
            assert (only.name, only.verdict, only.said[: len(said)]) == (About.URL, "wrong", said)


async def test_compression() -> None:
    async with hub({"ws": "websockets-sansio"}) as server:
        said = (await found(server.url))[About.URL_COMPRESSION]
    assert (said.verdict, said.do) == ("weak", "--ws-per-message-deflate false, as hubbub serve has it")


async def test_an_origin_that_is_not_listed() -> None:
    async with hub(origins=["https://app.example"]) as server:
        own = (await found(server.url))[About.URL_ORIGIN]
        assert (own.verdict, "--origin" in own.do) == ("weak", True)
        assert (await found(server.url, origin="https://evil.example"))[About.URL_ORIGIN].verdict == "wrong"
        assert (await found(server.url, origin="https://app.example"))[About.URL_ORIGIN].verdict == "ok"


async def test_a_proxy_that_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hub() as server:
        for kind in (Nginx, HAProxy):
            folder = tmp_path / kind.program
            folder.mkdir()
            with kind(folder, [place(server)]) as proxy:
                assert proxy.certificate is not None
                untrusted = (await found(proxy.url))[About.URL]
                assert (untrusted.verdict, "certificate" in untrusted.do) == ("wrong", True)
                monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate[0]))
                said = await found(proxy.ws)
                monkeypatch.delenv("SSL_CERT_FILE")
            assert not [each for each in said.values() if each.verdict != "ok"]


class Wrong(Nginx):
    """The page's configuration, with these parts of it changed."""

    changes: dict[str, str] = {}  # noqa: RUF012 - each class has its own

    def _placed(self, text: str, workers: Any) -> str:
        for old, new in self.changes.items():
            assert old in text
            text = text.replace(old, new)
        return super()._placed(text, workers)


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        (
            {"proxy_set_header Upgrade $upgrade;": ""},
            About.URL_UPGRADE,
            "426: the Upgrade to WebSocket does not reach the hub",
        ),
        (
            {"proxy_http_version 1.1;": "proxy_http_version 1.1; proxy_read_timeout 1s;"},
            About.URL_PING,
            "cut after ",
        ),
        (
            {"proxy_http_version 1.1;": "proxy_http_version 1.1; proxy_hide_header Sec-WebSocket-Protocol;"},
            About.URL_SUBPROTOCOL,
            "hubbub.v1 was offered, and does not come back",
        ),
    ],
)
async def test_a_proxy_that_is_wrong(tmp_path: Path, changes: dict[str, str], name: About, said: str) -> None:
    kind = type("Nginx", (Wrong,), {"changes": changes})
    async with hub(heartbeat=Heartbeat(interval=3.0, timeout=5.0)) as server:
        with kind(tmp_path, [place(server)], tls=False) as proxy:
            wrong = (await found(proxy.url))[name]
    assert (wrong.verdict, wrong.said[: len(said)]) == ("wrong", said)


async def test_a_proxy_that_replaces_the_host(tmp_path: Path) -> None:
    """Seen where an Origin is looked at: of guests, and of whoever comes by cookie."""
    made = Hub(heartbeat=Heartbeat(interval=1.0, timeout=5.0))
    app = FastAPI()
    app.include_router(made.router)

    @app.websocket("/ws/chat/{user}")
    async def guest(websocket: WebSocket, user: str) -> None:
        await made.serve(websocket, user=user)

    kind = type("Nginx", (Wrong,), {"changes": {"proxy_set_header Host $http_host;": "proxy_set_header Host workers;"}})
    async with serving(app, **FAST) as server:
        with kind(tmp_path, [place(server)], tls=False) as proxy:
            said = (await found(proxy.url, secret=None))[About.URL_ORIGIN]
            assert (said.verdict, "the proxy keeps Host" in said.do) == ("weak", True)
        assert (await found(server.url, secret=None))[About.URL_ORIGIN].verdict == "ok"


async def test_a_server_whose_clock_is_wrong() -> None:
    async with hub({**FAST, "date_header": False, "headers": [("Date", "Sat, 01 Jan 2000 00:00:00 GMT")]}) as server:
        said = (await found(server.url))[About.URL_CLOCK]
    assert (said.verdict, "behind this machine's" in said.said) == ("wrong", True)


async def test_a_server_that_keeps_close_codes_to_itself() -> None:
    """As one that drops the socket does."""
    from websockets.asyncio.server import serve

    async def answer(socket: Any) -> None:
        await socket.send(json.dumps({"type": "welcome", "node": "n", "heartbeat": {"interval": 100, "timeout": 5000}}))
        await socket.send(json.dumps({"type": "ping"}))
        await socket.recv()
        socket.transport.abort()

    def health(connection: Any, request: Any) -> Any:
        return connection.respond(200, "alive") if request.path == "/health/live" else None

    async with serve(answer, "127.0.0.1", 0, subprotocols=["hubbub.v1"], process_request=health) as server:  # type: ignore[list-item]
        port = next(iter(server.sockets)).getsockname()[1]
        said = (await found(f"http://127.0.0.1:{port}"))[About.URL_CLOSE_CODES]
    assert (said.verdict, said.said[:33]) == ("weak", "1003 was to come, and 1006 came: ")


async def test_another_protocol_is_told_from_a_hub() -> None:
    app = FastAPI()

    @app.websocket("/ws")
    async def cable(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("[" * 100_000)
        await websocket.send_json({"type": "welcome"})
        await websocket.receive()

    async with serving(app, **FAST) as server:
        said = (await found(server.url))[About.URL]
    assert (said.verdict, said.said) == ("wrong", "connected to what speaks another protocol")
