"""A request to the hub's own route that is no WebSocket handshake."""

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from hubbub import Hub
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_it_is_told_to_upgrade(http: str) -> None:
    hub = Hub(auth=Names())
    app = simple(hub)
    outer = APIRouter(prefix="/v1")
    outer.include_router(hub.router)
    app.include_router(outer)
    async with serving(app, http=http) as server, httpx.AsyncClient(trust_env=False, base_url=server.url) as client:
        for path in ("/ws", "/v1/ws"):
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
                answer = await client.request(method, path)
                assert answer.status_code == 426
                assert answer.headers["upgrade"] == "websocket"
                assert "upgrade" in answer.headers["connection"].lower()
                assert answer.headers["sec-websocket-version"] == "13"
                assert method == "HEAD" or "WebSocket" in answer.json()["detail"]
            async with Tab(server.ws, path, token="ann"):
                pass
        assert (await client.get("/ws/")).status_code in {307, 404}
        assert (await client.get("/wss")).status_code == 404
        assert "/ws" not in (await client.get("/openapi.json")).json()["paths"]


@pytest.mark.parametrize("first", ["the page", "the hub"])
async def test_a_page_under_the_same_path_is_served(first: str) -> None:
    hub = Hub(auth=Names(), path="/")
    app = FastAPI()
    if first == "the hub":
        app.include_router(hub.router)

    @app.get("/")
    async def page() -> str:
        return "hello"

    if first == "the page":
        app.include_router(hub.router)
    async with serving(app) as server, httpx.AsyncClient(trust_env=False, base_url=server.url) as client:
        assert (await client.get("/")).json() == "hello"
        async with Tab(server.ws, "/", token="ann"):
            pass
