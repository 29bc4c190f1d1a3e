"""Each claim of `docs/howto/middleware.md`, on a real server."""

import base64
import json
from collections.abc import Callable
from types import ModuleType
from typing import Annotated, Any, Literal

import httpx
import pytest
import websockets
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from hubbub import ConfigurationError, Hub, JWTAuth
from tests.kit.client import Tab
from tests.kit.serving import serving
from tests.kit.waiting import until

PAGE = "docs/howto/middleware.md"
Example = Callable[[str, str], ModuleType]
Token = Callable[[str], str]


class Ask(BaseModel):
    type: Literal["ask"] = "ask"


def application() -> tuple[FastAPI, Hub]:
    hub = Hub(auth=JWTAuth(cookie="session"))
    app = FastAPI()
    app.include_router(hub.router)
    return app, hub


async def refusal(tab: Tab) -> Any:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await tab.connect()
    return refused.value.response


async def test_http_middleware_is_not_called_and_a_dependency_is(example: Example, token: Token) -> None:
    module = example(PAGE, "timing.py")
    async with serving(module.app) as server, Tab(server.ws, token=token("ann")) as ann:
        assert (await ann.request("hello"))["result"] == "hello ann"
        # Left before the answer, which is here.
        assert [what for what, _ in module.timings] == ["message"]
        assert (await ann.request("hello"))["type"] == "ack"
        async with httpx.AsyncClient(trust_env=False) as http:
            timings = (await http.get(f"{server.url}/timings")).json()
        assert [what for what, _ in timings] == ["message", "message", "http"]


async def test_cors_lets_any_origin_through_and_the_hub_does_not(token: Token) -> None:
    app, _ = application()
    app.add_middleware(CORSMiddleware, allow_origins=["https://app.example.com"])

    @app.websocket("/bare")
    async def bare(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json({"type": "let in"})

    cookie = {"Cookie": f"session={token('ann')}"}
    async with serving(app) as server:
        bare_tab = await Tab(server.ws, "/bare", origin="https://evil.example", additional_headers=cookie).connect()
        await bare_tab.receive("let in")
        await bare_tab.close()
        evil = Tab(server.ws, origin="https://evil.example", additional_headers=cookie)
        assert (await refusal(evil)).status_code == 403
        async with Tab(server.ws, origin=server.url, additional_headers=cookie) as ann:
            assert ann.welcome["user"] == "ann"


async def test_origins_are_checked_for_every_browser(example: Example, token: Token) -> None:
    module = example(PAGE, "origins.py")
    async with serving(module.app) as server:
        for options in ({"token": token("ann")}, {"additional_headers": {"Cookie": f"session={token('ann')}"}}):
            for origin in ("https://app.example.com", "https://admin.example.com"):
                async with Tab(server.ws, origin=origin, **options) as ann:
                    assert ann.welcome["user"] == "ann"
            for origin in ("https://evil.example", server.url, "null"):
                assert (await refusal(Tab(server.ws, origin=origin, **options))).status_code == 403
        # Before its credential is looked at: an invalid one gets the same answer.
        assert (await refusal(Tab(server.ws, origin="https://evil.example", token="bad"))).status_code == 403
        async with Tab(server.ws, token=token("ann")):
            pass


async def test_a_header_is_read_from_the_handshake_and_request_is_refused(token: Token) -> None:
    app, hub = application()

    @hub.on(Ask)
    async def ask(message: Ask, shown: Annotated[str, Depends(OAuth2PasswordBearer("token"))]) -> str:
        return shown

    def takes_request(request: Request) -> str:
        return request.method

    with pytest.raises(ConfigurationError, match="HTTPConnection"):

        @hub.on(Ask)
        async def other(message: Ask, shown: Annotated[str, Depends(takes_request)]) -> None: ...

    async with serving(app) as server:
        async with Tab(server.ws, token=token("ann"), additional_headers={"Authorization": "Bearer x"}) as ann:
            assert (await ann.request("ask"))["result"] == "x"
        async with Tab(server.ws, token=token("ann")) as ann:
            assert (await ann.request("ask"))["code"] == "unauthorized"


@pytest.mark.complains("failed for connection")
async def test_exception_handlers_are_not_for_messages(example: Example, token: Token) -> None:
    module = example(PAGE, "errors.py")
    handled: list[Exception] = []

    @module.app.exception_handler(HTTPException)
    @module.app.exception_handler(RuntimeError)
    async def handler(_: Any, error: Exception) -> None:
        handled.append(error)

    async with serving(module.app) as server, Tab(server.ws, token=token("ann")) as ann:
        refused = await ann.request("buy", amount=101)
        assert (refused["code"], refused["message"], refused["retry_after"]) == ("rate_limited", "not so fast", 3000)
        refused = await ann.request("buy", amount=1)
        assert (refused["code"], refused["message"]) == ("internal", "internal error")
        assert (await ann.request("ping"))["type"] == "pong"
    assert not handled


async def test_a_rate_refuses_and_then_closes(example: Example, token: Token) -> None:
    module = example(PAGE, "rates.py")
    async with serving(module.app) as server, Tab(server.ws, token=token("ann")) as ann:
        codes = [(await ann.request("anything"))["code"] for _ in range(5)]
        assert codes == ["unknown_type"] * 5
        refused = await ann.request("anything")
        assert refused["code"] == "rate_limited"
        assert 0 < refused["retry_after"] <= 1000
        assert (await ann.request("ping"))["type"] == "pong"
        for _ in range(30):
            await ann.send({"type": "anything"})
        assert await ann.closed() == 1008


async def test_gzip_does_nothing(token: Token) -> None:
    app, hub = application()
    app.add_middleware(GZipMiddleware, minimum_size=1)

    @hub.on(Ask)
    async def ask(message: Ask) -> str:
        return "x" * 10_000

    async with serving(app) as server, Tab(server.ws, token=token("ann")) as ann:
        assert "Content-Encoding" not in ann.socket.response.headers
        assert (await ann.request("ask"))["result"] == "x" * 10_000


async def test_hosts_and_https_work_on_the_handshake(token: Token) -> None:
    app, _ = application()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])
    async with serving(app) as server:
        async with Tab(server.ws, token=token("ann")):
            pass
        port = server.ws.rpartition(":")[2]
        foreign = Tab("ws://evil.example", token=token("ann"), host="127.0.0.1", port=int(port))
        assert (await refusal(foreign)).status_code == 400
    app, _ = application()
    app.add_middleware(HTTPSRedirectMiddleware)
    async with serving(app) as server, httpx.AsyncClient(trust_env=False) as http:
        # As a browser sends it: websockets' client would follow.
        key = base64.b64encode(b"0123456789abcdef").decode()
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        answer = await http.get(f"{server.url}/ws", headers={**upgrade, "Sec-WebSocket-Key": key})
        assert (answer.status_code, answer.headers["Location"][:6]) == (307, "wss://")


async def test_a_session_is_read_and_not_saved(token: Token) -> None:
    sessions = pytest.importorskip("starlette.middleware.sessions", reason="needs itsdangerous", exc_type=ImportError)
    import itsdangerous

    app, hub = application()
    app.add_middleware(sessions.SessionMiddleware, secret_key="s" * 32)

    def visits(connection: HTTPConnection) -> dict[str, Any]:
        return connection.session

    @hub.on(Ask)
    async def ask(message: Ask, session: Annotated[dict[str, Any], Depends(visits)]) -> int:
        session["visits"] += 1
        return int(session["visits"])

    data = base64.b64encode(json.dumps({"visits": 1}).encode())
    cookie = itsdangerous.TimestampSigner("s" * 32).sign(data).decode()
    async with serving(app) as server:
        for _ in range(2):
            async with Tab(server.ws, token=token("ann"), additional_headers={"Cookie": f"session={cookie}"}) as ann:
                assert (await ann.request("ask"))["result"] == 2
                assert "Set-Cookie" not in ann.socket.response.headers


async def test_what_an_asgi_middleware_puts_into_the_scope_is_there_for_each_message(
    example: Example, token: Token
) -> None:
    module = example(PAGE, "handshake.py")
    async with serving(module.app) as server:
        seen = []
        for _ in range(2):
            async with Tab(server.ws, token=token("ann")) as ann:
                first, second = [(await ann.request("who_am_i"))["result"] for _ in range(2)]
                assert first == second
                assert len(first) == 32
                seen.append(first)
        assert seen[0] != seen[1]


async def test_context_variables_and_the_end_of_the_call(example: Example, token: Token) -> None:
    module = example(PAGE, "tenants.py")
    ours = {"ws": "hubbub.transports.uvicorn:HubbubProtocol"}
    async with serving(module.app, **ours) as server:
        tenants = [{"additional_headers": {"X-Tenant": name}} for name in ("blue", "red")]
        async with (
            Tab(server.ws, token=token("ann"), **tenants[0]) as ann,
            Tab(server.ws, token=token("bob"), **tenants[1]) as bob,
        ):
            assert [(await tab.request("whose"))["result"] for tab in (ann, bob)] == ["blue", "red"]
            assert (await ann.join("orders:blue"))["type"] == "room_joined"
            assert (await bob.request("join_room", room="orders:blue"))["code"] == "forbidden"
            assert sorted(module.online) == ["blue", "red"]
        await until(lambda: not module.online, "the sockets are gone")
