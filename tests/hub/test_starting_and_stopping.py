"""The first and the last moments of a hub that serves."""

import asyncio
from typing import Any, Literal

import pytest
import websockets
from pydantic import BaseModel

from hubbub import Hub, HubDep
from hubbub.brokers.redis import RedisBroker
from tests.client import Tab
from tests.hub.conftest import Mortal
from tests.hub.serving import Names, inside, serving, simple, until


class Work(BaseModel):
    type: Literal["work"]


async def test_a_hub_with_its_broker_there_takes_the_first_who_comes(valkey: str) -> None:
    for _ in range(3):
        hub = Hub(valkey, auth=Names())
        await hub.start()
        assert hub.ready
        await hub.stop()
        async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
            await tab.join("open:a")


async def test_a_hub_without_its_broker_starts_all_the_same(mortal: Mortal) -> None:
    mortal.kill()
    hub = Hub(RedisBroker(mortal.url, deadline=0.5), auth=Names())
    loop = asyncio.get_running_loop()
    began = loop.time()
    await hub.start()
    assert loop.time() - began < 5
    assert not hub.ready
    await hub.stop()


async def test_a_handler_that_is_still_working_has_its_hub(valkey: str) -> None:
    hub, other = Hub(valkey, auth=Names()), Hub(valkey, auth=Names())
    gate = asyncio.Event()
    did: list[Any] = []

    @hub.on(Work)
    async def work(message: Work, mine: HubDep) -> None:
        did.append("begun")
        await gate.wait()
        await mine.room("open:a").send({"type": "to the room"})
        await mine.user("bob").send({"type": "to bob"})
        did.append(await mine.user("bob").is_online())
        did.append(mine.ready)

    async with serving(simple(other)) as there, Tab(there.ws, token="bob") as bob:
        await bob.join("open:a")
        async with serving(simple(hub)) as server:
            ann = await Tab(server.ws, token="ann").__aenter__()
            await ann.send("work")
            await until(lambda: did, "begun")
            running = inside(hub)
            server.server.should_exit = True
            assert await ann.closed() == 1012
            await until(lambda: running.stopping, "it stops")
            gate.set()
        await ann.leave()
        assert did == ["begun", True, False]
        await bob.expect("to the room", room="open:a")
        await bob.expect("to bob")
    assert hub._running is None


async def test_who_comes_while_it_stops_is_sent_elsewhere() -> None:
    hub = Hub(auth=Names())
    gate = asyncio.Event()
    did: list[str] = []

    @hub.on(Work)
    async def work(message: Work) -> None:
        did.append("begun")
        await gate.wait()

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.send("work")
        await until(lambda: did, "begun")
        stopping = asyncio.create_task(hub.stop())
        await until(lambda: inside(hub).stopping, "it stops")
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(server.ws, token="bob").open()
        assert refused.value.response.status_code == 503
        gate.set()
        await stopping
