"""Hubs that meet at a broker: who meets whom, what a broker is needed for, and what they know of each other."""

import contextlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from hubbub import ConfigurationError, Hub, Lease
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple
from tests.kit.waiting import until


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


@pytest.mark.complains("will go on being asked")
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
