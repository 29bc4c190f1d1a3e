"""How a hub starts and stops, what meets what, and what it says when it is not running."""

import asyncio
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI

from hubbub import ConfigurationError, Hub, HubDep, Unavailable
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.memory.store import Store
from hubbub.types import room_topic
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Names, at_rest, serving, simple
from tests.kit.waiting import until

MODULE = Hub(auth=Names())  # declared without a loop, and started in several


async def test_the_router_starts_and_stops_it() -> None:
    app = simple(hub := Hub(auth=Names()))
    assert not hub.ready
    for _ in range(2):
        async with serving(app) as server, Tab(server.ws, token="ann") as tab:
            assert hub.ready
            await tab.join("open:a")
            assert tab.node == hub.node
        assert not hub.ready
        with pytest.raises(ConfigurationError):
            hub.node  # noqa: B018


def test_a_hub_of_a_module_runs_in_one_loop_after_another() -> None:
    async def main() -> str:
        await MODULE.start()
        try:
            await MODULE.broadcast({"type": "x"})
            return MODULE.node
        finally:
            await MODULE.stop()

    assert len({asyncio.run(main()) for _ in range(3)}) == 3


async def test_starts_are_counted() -> None:
    hub = Hub()
    await hub.stop()
    await hub.start()
    await hub.start()
    await hub.stop()
    assert hub.ready
    await hub.stop()
    assert not hub.ready
    await hub.stop()
    await hub.start()
    assert hub.ready
    await hub.stop()
    assert not hub.ready


async def test_included_twice_is_started_once() -> None:
    hub = Hub(auth=Names())
    app = simple(hub)
    app.include_router(hub.router, prefix="/again")
    other = FastAPI()
    other.include_router(hub.router)

    @app.get("/node")
    async def node(hub: HubDep) -> str:
        return hub.node

    async with serving(app) as server, serving(other) as second:
        async with (
            Tab(server.ws, "/ws", token="ann") as ann,
            Tab(server.ws, "/again/ws", token="bob") as bob,
            Tab(second.ws, "/ws", token="cid") as cid,
        ):
            assert ann.node == bob.node == cid.node
            async with httpx.AsyncClient(trust_env=False) as http:
                assert (await http.get(f"{server.url}/node")).json() == ann.node
            await hub.broadcast({"type": "all"})
            for tab in (ann, bob, cid):
                await tab.receive("all")
        await at_rest(hub)
    assert not hub.ready


@pytest.mark.complains("Exception in ASGI application")
async def test_two_hubs_of_one_application_never_meet() -> None:
    first, second = Hub(auth=Names(), path="/one"), Hub(auth=Names(), path="/two")
    app = FastAPI()
    app.include_router(first.router)
    app.include_router(second.router)

    @app.get("/any")
    async def which(hub: HubDep) -> str:
        return hub.node

    @app.get("/second")
    async def chosen(hub: Annotated[Hub, Depends(lambda: second)]) -> str:
        return hub.node

    async with (
        serving(app) as server,
        Tab(server.ws, "/one", token="ann") as one,
        Tab(server.ws, "/two", token="ann") as two,
        httpx.AsyncClient(trust_env=False, base_url=server.url) as http,
    ):
        await first.broadcast({"type": "from first"})
        await one.receive("from first")
        await two.nothing("from first")
        assert (await http.get("/second")).json() == two.node
        assert (await http.get("/any")).status_code == 500


@pytest.mark.complains("Exception in ASGI application")
async def test_hubdep_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()

    @app.get("/any")
    async def which(hub: HubDep) -> str:
        return hub.node

    async with serving(app) as server, httpx.AsyncClient(trust_env=False, base_url=server.url) as http:
        assert (await http.get("/any")).status_code == 500
    assert "app.include_router(hub.router)" in caplog.text
    for hub in (Hub(path="/1"), Hub(path="/2")):
        app.include_router(hub.router)
    async with serving(app) as server, httpx.AsyncClient(trust_env=False, base_url=server.url) as http:
        assert (await http.get("/any")).status_code == 500
    assert "Depends(lambda: hub)" in caplog.text


def test_what_is_not_running_says_what_to_do() -> None:
    hub = Hub()

    async def main() -> None:
        with pytest.raises(ConfigurationError, match=r"include_router\(hub\.router\)"):
            await hub.broadcast({"type": "x"})

    asyncio.run(main())
    for ask in (lambda: hub.room("x"), lambda: hub.user("x"), lambda: hub.lease("x"), lambda: hub.node):
        with pytest.raises(ConfigurationError, match=r"include_router\(hub\.router\)"):
            ask()


async def test_a_broker_object_of_ones_own() -> None:
    store = Store()
    broker = MemoryBroker(store)
    hub = Hub(broker, auth=Names())
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.join("open:a")
        assert await broker.members(room_topic("open:a")) == ["ann"]
    with pytest.raises(Unavailable):
        await broker.publish("everyone", b"")
    assert len(store.presence) == 0


async def test_a_stop_closes_who_is_there(valkey: str) -> None:
    """Also those who have not said who they are; `stop` by hand, under a server that goes on."""
    hub = Hub(valkey, auth=Names())
    app = simple(hub)
    async with serving(app) as server:
        await until(lambda: hub.ready, "there")
        async with Tab(server.ws, token="ann") as ann:
            stranger = await Tab(server.ws).connect()
            await until(lambda: len(inside(hub).endpoint.connections) == 2, "both are there")
            await hub.stop()
            assert await ann.closed() == 1012
            assert await stranger.closed() == 1012
            await stranger.close()
