"""A hub whose router a mounted application includes, and one that is served in two event loops."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn
import websockets
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hubbub import ConfigurationError, Hub, HubDep
from hubbub.integrations.operations import operations
from hubbub.integrations.publishing import publishing
from tests.kit.client import Tab
from tests.kit.serving import Address, Names, serving, simple
from tests.kit.waiting import until

PUBLISHED = {"headers": {"Authorization": "Bearer key"}, "json": {"type": "news"}}


def equipped(app: FastAPI, hub: Hub | None = None) -> FastAPI:
    app.include_router(operations(hub=hub))
    app.include_router(publishing(keys=["key"], hub=hub))

    @app.get("/node")
    async def node(hub: HubDep) -> str:
        return hub.node

    return app


async def ask(server: Address, method: str, path: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, base_url=server.url) as http:
        return await http.request(method, path, **options)


def outer(inner: FastAPI, lifespan: Callable[[], contextlib.AbstractAsyncContextManager[Any]] | None = None) -> FastAPI:
    """One that mounts `inner`, and runs in its own lifespan what its user thought of."""

    @contextlib.asynccontextmanager
    async def around(_: FastAPI) -> AsyncIterator[None]:
        async with lifespan() if lifespan is not None else contextlib.nullcontext():
            yield

    app = FastAPI(lifespan=around)
    app.mount("/rt", inner)
    return app


@pytest.mark.complains("Exception in ASGI application")
async def test_a_mounted_hub_that_nobody_starts_says_why(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Names())
    async with serving(outer(equipped(simple(hub)))) as server:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(server.ws, "/rt/ws", token="ann").connect()
        assert refused.value.response.status_code == 500
        assert "mounted at '/rt'" in caplog.text
        assert "hub.running()" in caplog.text
        ready = await ask(server, "GET", "/rt/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
        assert "hub.running()" in ready.json()["reason"]


async def works(server: Address, prefix: str) -> None:
    async with Tab(server.ws, "/rt/ws", token="ann") as ann:
        assert (await ask(server, "GET", f"{prefix}/node")).json() == ann.node
        assert (await ask(server, "GET", f"{prefix}/health/ready")).json() == {"status": "ready", "node": ann.node}
        assert (await ask(server, "GET", f"{prefix}/stats")).json()["users"] == 1
        for path in ("broadcast", "users/ann/messages", "rooms/open:a/messages"):
            assert (await ask(server, "POST", f"{prefix}/api/{path}", **PUBLISHED)).status_code == 200
        await ann.receive("news")


@pytest.mark.parametrize("where", ["inside", "outside"])
@pytest.mark.parametrize("remedy", ["running", "the router's lifespan"])
async def test_a_mounted_hub_that_is_started_is_found(remedy: str, where: str) -> None:
    hub = Hub(auth=Names())
    inner = simple(hub)
    app = outer(inner, hub.running if remedy == "running" else lambda: inner.router.lifespan_context(inner))
    equipped(inner if where == "inside" else app)
    async with serving(app) as server:
        await works(server, "/rt" if where == "inside" else "")
    assert not hub.ready


async def test_a_router_included_in_the_outermost_application_serves_the_mounted_one() -> None:
    hub = Hub(auth=Names(), path="/rt/ws")
    app = simple(hub)
    app.mount("/rt", equipped(FastAPI()))
    async with serving(app) as server:
        await works(server, "/rt")


async def test_one_of_several_is_given() -> None:
    hub, other = Hub(auth=Names()), Hub(auth=Names(), path="/other")
    app = simple(hub)
    app.include_router(other.router)
    equipped(app, hub)
    async with serving(app) as server, Tab(server.ws, token="ann") as ann:
        assert (await ask(server, "GET", "/health/ready")).json() == {"status": "ready", "node": ann.node}
        assert (await ask(server, "POST", "/api/broadcast", **PUBLISHED)).status_code == 200
        await ann.receive("news")


async def test_it_is_found_where_no_state_is_passed_on() -> None:
    """As by httpx, which runs no lifespan."""
    hub = Hub(auth=Names())
    app = equipped(simple(hub))
    async with hub.running(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert (await http.get("/node")).json() == hub.node
        assert (await http.get("/health/ready")).status_code == 200
        # As balancers ask that want no body.
        for path in ("/health/live", "/health/ready"):
            assert (await http.head(path)).status_code == 200


async def test_without_a_lifespan_the_server_is_named() -> None:
    hub = Hub(auth=Names())
    app = simple(hub)

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(_: Any) -> None: ...

    scope = {"type": "websocket", "path": "/ws", "headers": [], "query_string": b"token=ann"}
    with pytest.raises(ConfigurationError, match="Daphne"):
        await app(dict(scope), receive, send)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="--lifespan off"):
        await app({**scope, "state": {}}, receive, send)  # type: ignore[arg-type]


# Two loops.


@contextlib.contextmanager
def served_in_a_thread(app: FastAPI) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(30)


async def test_a_server_in_a_thread_beside_a_test_client_is_refused_at_once() -> None:
    hub = Hub(auth=Names())
    app = equipped(simple(hub))
    with served_in_a_thread(app):
        await until(lambda: hub.ready, "it runs in the thread")
        with pytest.raises(ConfigurationError, match="another event loop"), TestClient(app):
            pass
        with pytest.raises(ConfigurationError, match="another event loop"):
            await hub.stop()
        # Nor by a handshake whose lifespan was not run.
        with pytest.raises(ConfigurationError, match="another event loop"):
            await asyncio.to_thread(lambda: TestClient(app).websocket_connect("/ws?token=ann").__enter__())
        assert hub.ready
    await until(lambda: not hub.ready, "it has stopped there")
    with TestClient(app) as client, client.websocket_connect("/ws?token=ann") as socket:
        assert socket.receive_json()["type"] == "welcome"


def test_a_loop_that_is_gone_leaves_the_hub_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(auth=Names())

    async def begin() -> None:
        await hub.start()

    async def whole() -> str:
        async with hub.running():
            return hub.node

    asyncio.run(begin())
    first = hub.node
    assert asyncio.run(whole()) != first
    assert not hub.ready
