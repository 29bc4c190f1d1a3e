"""How a hub starts and stops, what meets what, and what it says when it is not running."""

import asyncio
import contextlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI

from hubbub import ConfigurationError, Hub, HubDep, Lease, Unavailable
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


async def test_equal_broker_and_name_meet(valkey: str) -> None:
    hubs = [
        Hub(valkey, auth=Names()),
        Hub(valkey, auth=Names()),
        Hub(valkey, auth=Names(), name="other"),
        Hub(valkey + "?db=1", auth=Names()),
        Hub("memory", auth=Names()),
    ]
    async with contextlib.AsyncExitStack() as stack:
        tabs = []
        for hub in hubs:
            server = await stack.enter_async_context(serving(simple(hub)))
            await until(lambda hub=hub: hub.ready, "there")  # type: ignore[misc]
            tabs.append(await stack.enter_async_context(Tab(server.ws, token="ann")))
            await tabs[-1].join("open:a")
        for hub in hubs:
            await hub.room("open:a").send({"type": "x", "from": hub.node})
            await hub.user("ann").send({"type": "x", "from": hub.node})
            await hub.broadcast({"type": "x", "from": hub.node})
        for tab in tabs:
            await tab.nothing("end", during=0.1)
        senders = [{each["from"] for each in tab.received("x")} for tab in tabs]
        nodes = [hub.node for hub in hubs]
        assert senders == [set(nodes[:2]), set(nodes[:2]), {nodes[2]}, {nodes[3]}, {nodes[4]}]
        assert [len(tab.received("x")) for tab in tabs] == [6, 6, 3, 3, 3]
        assert len(await hubs[0].user("ann").connections()) == 2
        assert len(await hubs[2].user("ann").connections()) == 1


async def test_the_broker_of_the_environment(monkeypatch: pytest.MonkeyPatch, valkey: str) -> None:
    monkeypatch.setenv("HUBBUB_BROKER", valkey)
    hub, own = Hub(), Hub("memory")
    monkeypatch.setenv("HUBBUB_WORKERS", "2")
    await hub.start()
    await hub.stop()
    with pytest.raises(ConfigurationError, match="2 workers cannot meet on the memory broker"):
        await own.start()
    monkeypatch.setenv("HUBBUB_BROKER", "amqp://user:password@host")
    with pytest.raises(ConfigurationError, match="redis://") as refused:
        Hub()
    assert "password" not in str(refused.value)


@pytest.mark.parametrize("variable", ["HUBBUB_WORKERS", "WEB_CONCURRENCY"])
async def test_several_workers_need_a_broker(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "3")
    hub = Hub()
    with pytest.raises(ConfigurationError, match=r"3 workers .*HUBBUB_BROKER"):
        await hub.start()
    assert not hub.ready
    monkeypatch.setenv(variable, "1")
    await hub.start()
    await hub.stop()


def test_uvicorns_workers_are_seen(tmp_path: Path) -> None:
    """By nothing but `uvicorn --workers 2`: it refuses to start, and says why."""
    (tmp_path / "main.py").write_text(
        textwrap.dedent("""
        from fastapi import FastAPI
        from hubbub import Hub
        hub = Hub()
        app = FastAPI()
        app.include_router(hub.router)
        """)
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUBBUB_")}
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", "0", "--workers", "2"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "cannot meet on the memory broker" in line:
                break
        process.terminate()
        process.stdout.read()
    assert "2 workers cannot meet on the memory broker" in said
    assert "HUBBUB_BROKER" in said


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


async def test_stats_of_the_cluster(valkey: str, caplog: pytest.LogCaptureFixture) -> None:
    hubs = [Hub(valkey, auth=Names()) for _ in range(2)]

    @hubs[0].facts
    def load() -> dict[str, Any]:
        return {"load": 1}

    @hubs[0].facts
    def broken() -> dict[str, Any]:
        raise ZeroDivisionError

    async with serving(simple(hubs[0])) as left, serving(simple(hubs[1])) as right:
        await until(lambda: all(hub.ready for hub in hubs), "there")
        async with Tab(left.ws, token="ann") as ann, Tab(right.ws, token="ann"), Tab(right.ws, token="bob") as bob:
            await ann.join("open:a")
            await bob.join("open:a")
            await bob.join("open:b")
            tab = await Tab(right.ws).connect()  # nobody yet

            async def reported() -> bool:
                return (await hubs[1].stats()).connections == 3

            await until(reported, "both have reported")
            stats = await hubs[1].stats()
            await tab.close()
            assert (stats.users, stats.rooms) == (2, 2)
            found = {worker.node: (worker.connections, worker.pid, worker.facts) for worker in stats.workers}
            assert found == {hubs[0].node: (1, os.getpid(), {"load": 1}), hubs[1].node: (2, os.getpid(), {})}
        assert len([record for record in caplog.records if "broken failed" in record.getMessage()]) == 1


async def test_a_lease_has_one_holder(valkey: str) -> None:
    hubs = [Hub(valkey), Hub(valkey)]
    for hub in hubs:
        await hub.start()
    leases: list[Lease] = [hub.lease("work") for hub in hubs]
    assert [await leases[0].turn(), await leases[1].turn(), await leases[0].turn()] == [1, None, 2]
    await leases[0].give_up()
    assert [await leases[1].turn(), await leases[0].turn()] == [3, None]
    for hub in hubs:
        await hub.stop()


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
