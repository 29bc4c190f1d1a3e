"""An application's own lifespan, and what is said where a hub does not run: the true cause, and what to write.

The file is longer than others: a table of causes, each with the application that has it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from starlette.routing import Host, Mount
from starlette.testclient import TestClient

from hubbub import ConfigurationError, Hub, HubDep
from hubbub.testing import Node, Tab
from tests.kit.serving import Names

Asking = Callable[[Hub], Any]


async def _send(hub: Hub) -> None:
    await hub.room("lobby").send({"type": "x"})


async def _broadcast(hub: Hub) -> None:
    await hub.broadcast({"type": "x"})


async def _tell(hub: Hub) -> None:
    await hub.user("ann").send({"type": "x"})


async def _lease(hub: Hub) -> None:
    await hub.lease("once").turn()


ASKING = [_send, _broadcast, _tell, _lease]


def lifespan(
    *, before: Callable[[], Any] | None = None, after: Callable[[], Any] | None = None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def around(_: FastAPI) -> AsyncIterator[None]:
        if before is not None:
            await before()
        yield
        if after is not None:
            await after()

    return around


def included(hub: Hub, **options: Any) -> FastAPI:
    app = FastAPI(**options)
    app.include_router(hub.router)
    return app


async def by_node(app: FastAPI) -> None:
    async with Node(app):
        pass


async def by_server(app: FastAPI) -> None:
    """As a server does it."""

    def whole() -> None:
        with TestClient(app):
            pass

    await asyncio.to_thread(whole)


RUNNING = pytest.mark.parametrize("run", [by_node, by_server])


@RUNNING
@pytest.mark.parametrize("ask", ASKING)
async def test_before_the_yield(ask: Asking, run: Callable[[FastAPI], Any]) -> None:
    hub = Hub()
    with pytest.raises(ConfigurationError) as refused:
        await run(included(hub, lifespan=lifespan(before=lambda: ask(hub))))
    assert "the hub starts when the lifespan is at its `yield`" in str(refused.value)
    assert "async with hub.running():" in str(refused.value)
    assert "include_router" not in str(refused.value)


@RUNNING
async def test_after_the_yield(run: Callable[[FastAPI], Any]) -> None:
    hub = Hub()
    with pytest.raises(ConfigurationError) as refused:
        await run(included(hub, lifespan=lifespan(after=lambda: _broadcast(hub))))
    assert "not running any more" in str(refused.value)
    assert "the hub has stopped when the lifespan goes on after its `yield`" in str(refused.value)
    assert "async with hub.running():" in str(refused.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_in_a_function_of_on_event() -> None:
    hub = Hub()
    app = FastAPI()

    @app.on_event("startup")
    async def begin() -> None:
        await _broadcast(hub)

    app.include_router(hub.router)
    with pytest.raises(ConfigurationError, match=r"on_event, await hub.start\(\) first"):
        await by_server(app)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_on_event_may_start_and_stop_it() -> None:
    hub = Hub(auth=Names())
    said: list[str] = []
    app = FastAPI()

    @app.on_event("startup")
    async def begin() -> None:
        await hub.start()
        said.append(hub.node)

    @app.on_event("shutdown")
    async def end() -> None:
        said.append(hub.node)
        await hub.stop()

    app.include_router(hub.router)
    await by_server(app)
    assert len(said) == 2
    assert len(set(said)) == 1
    assert not hub.ready


@pytest.mark.parametrize("mount", ["mount", "host", "wrapped", "prefix"])
async def test_in_the_lifespan_of_one_that_mounts_it(mount: str) -> None:
    hub = Hub()
    inner = included(hub)
    outer = FastAPI(lifespan=lifespan(before=lambda: _broadcast(hub)))
    if mount == "prefix":
        outer.mount("/one", FastAPI(routes=[Mount("/two", inner)]))
    elif mount == "host":
        outer.router.routes.append(Host("rt.example", app=FastAPI(routes=[Mount("/rt", inner)])))
    else:
        outer.mount("/rt", _Wrapped(inner) if mount == "wrapped" else inner)
    path = "/one/two" if mount == "prefix" else "/rt"
    with pytest.raises(ConfigurationError, match=f"mounted at '{path}'.*async with hub.running"):
        await by_server(outer)


class _Wrapped:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def _replaced(hub: Hub) -> FastAPI:
    app = included(hub)
    app.router.lifespan_context = lifespan()
    return app


def _too_late(hub: Hub) -> FastAPI:
    app = FastAPI()
    api = APIRouter()
    app.include_router(api)
    api.include_router(hub.router)
    return app


@pytest.mark.parametrize("make", [_replaced, _too_late])
def test_a_lifespan_that_does_not_know_the_router(make: Callable[[Hub], FastAPI]) -> None:
    hub = Hub(auth=Names())
    with (
        TestClient(make(hub)) as client,
        pytest.raises(ConfigurationError, match=r"`lifespan_context` was replaced.*included in another router after"),
        client.websocket_connect("/ws?token=ann"),
    ):
        pass


@pytest.mark.parametrize("ask", ASKING)
async def test_a_router_that_nobody_includes(ask: Asking) -> None:
    hub = Hub()
    app = FastAPI()

    @app.get("/")
    async def page() -> None:
        await ask(hub)

    async with Node(app) as node, node.http() as http:
        with pytest.raises(ConfigurationError, match=r"does not include its router: app\.include_router"):
            await http.get("/")


def test_where_no_loop_runs() -> None:
    with pytest.raises(ConfigurationError, match="no event loop runs, as at import"):
        Hub().room("x")


# What to write works.


@pytest.fixture
def written() -> Iterator[tuple[FastAPI, Hub, list[Any]]]:
    hub = Hub(auth=Names())
    seen: list[Any] = []

    @asynccontextmanager
    async def around(_: FastAPI) -> AsyncIterator[None]:
        async with hub.running():
            seen.append(await hub.lease("start-up").turn())
            for ask in ASKING:
                await ask(hub)
            yield
            seen.append(hub.ready)
            await hub.broadcast({"type": "goodbye"})

    app = included(hub, lifespan=around)

    @hub.rooms("lobby")
    async def anybody() -> bool:
        return True

    yield app, hub, seen
    assert not hub.ready


async def test_running_in_the_lifespan(written: tuple[FastAPI, Hub, list[Any]]) -> None:
    app, hub, seen = written
    async with Node(app) as node:
        tab = Tab(node, "ann")
        await tab.__aenter__()
        assert seen == [1]
        assert node.hub is hub
    # The last one out stopped it: what was said before came before the close.
    assert seen == [1, True]
    assert await tab.closed() == 1012
    assert [message["type"] for message in tab.log][-2:] == ["goodbye", "closing"]


def test_running_in_the_lifespan_of_a_test_client(written: tuple[FastAPI, Hub, list[Any]]) -> None:
    app, hub, seen = written
    for _ in range(2):
        with TestClient(app) as client, client.websocket_connect("/ws?token=ann") as socket:
            assert socket.receive_json()["node"] == hub.node
    assert seen == [1, True] * 2


# Which hub a request finds.


def asked(app: FastAPI, path: str = "/which") -> FastAPI:
    @app.get(path)
    async def which(hub: HubDep) -> str:
        return hub.node

    return app


async def test_a_mounted_application_finds_its_own_before_that_of_the_outer_one() -> None:
    inner_hub, outer_hub = Hub(), Hub(path="/outer")
    with_one, without = asked(included(inner_hub)), asked(FastAPI())
    # Two applications deep, and neither of the two above has a hub but the outermost.
    between = FastAPI()
    between.mount("/without", without)
    app = asked(included(outer_hub))
    app.mount("/with", with_one)
    app.mount("/between", _Wrapped(between))
    async with inner_hub.running(), Node(app) as node:
        for transport in (httpx.ASGITransport(app), None):
            async with node.http(**({} if transport is None else {"transport": transport})) as http:
                assert (await http.get("/which")).json() == outer_hub.node
                assert (await http.get("/with/which")).json() == inner_hub.node
                assert (await http.get("/between/without/which")).json() == outer_hub.node


async def test_two_in_one_application_are_told_apart_where_no_state_is_passed_on() -> None:
    one, two = Hub(path="/1"), Hub(path="/2")
    app = asked(included(one))
    app.include_router(two.router)
    async with Node(app) as node, node.http(transport=httpx.ASGITransport(app)) as http:
        with pytest.raises(ConfigurationError, match="several hubs"):
            await http.get("/which")


async def test_a_test_client_finds_it_in_a_mounted_application() -> None:
    hub = Hub()
    app = included(hub)
    app.mount("/rt", asked(FastAPI()))

    def whole() -> None:
        with TestClient(app) as client:
            assert client.get("/rt/which").json() == hub.node

    await asyncio.to_thread(whole)


class Which(BaseModel):
    type: Literal["which"] = "which"


async def test_in_a_handler_it_is_that_of_the_connection() -> None:
    """However many the application has."""
    hubs = [Hub(path=path, auth=Names()) for path in ("/1", "/2")]
    app = FastAPI()
    for hub in hubs:
        app.include_router(hub.router)

        @hub.on(Which)
        async def which(message: Which, hub: HubDep) -> str:
            return hub.node

    async with Node(app) as node:
        for hub in hubs:
            async with Tab(node, token="ann", path="/1" if hub is hubs[0] else "/2") as tab:
                assert (await tab.ask({"type": "which"}))["result"] == tab.welcome["node"] == hub.node
