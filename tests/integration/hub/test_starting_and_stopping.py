"""The first and the last moments of a hub that serves."""

import asyncio
from typing import Any, Literal

import pytest
import redis
import websockets
from pydantic import BaseModel

from hubbub import History, Hub, HubDep
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.redis import RedisBroker
from hubbub.client.publisher import AsyncPublisher
from hubbub.options import Leaving
from hubbub.ports.broker import Renewal
from hubbub.rooms.retention import Retention
from hubbub.types import RoomName, room_topic
from tests.integration.hub.conftest import Mortal
from tests.kit.client import Tab
from tests.kit.inside import inside, runs
from tests.kit.serving import Names, serving, simple
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until


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
    watch = Stopwatch()
    await hub.start()
    assert watch.own < 5
    assert not hub.ready
    await hub.stop()


async def test_a_start_that_is_given_up_leaves_nothing(mortal: Mortal) -> None:
    mortal.kill()
    before = asyncio.all_tasks()
    hub = Hub(RedisBroker(mortal.url, deadline=0.5), auth=Names())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await hub.start()
    await until(lambda: asyncio.all_tasks() <= before, "nothing runs")


@pytest.mark.parametrize("then", ["it comes", "it forgets"])
async def test_what_is_published_without_a_hub_is_kept_where_the_broker(then: str, mortal: Mortal) -> None:
    """Later than the hub, or the word that was left there was evicted."""
    if then == "it comes":
        mortal.kill()
    hub = Hub(mortal.url, auth=Names())

    @hub.rooms("kept:{name}", history=History(size=10, ttl=60))
    async def may_join() -> bool:
        return True

    await hub.start()
    try:
        if then == "it comes":
            mortal.start()
        else:
            with redis.Redis.from_url(mortal.url) as admin:
                admin.flushall()
        broker = inside(hub).broker
        await until(lambda: hub.ready, "it is there")

        async def knows() -> bool:
            return (await broker.declared()).words != {}

        await until(knows, "it knows what is kept")
        async with AsyncPublisher(mortal.url) as publisher:
            assert await publisher.room("kept:a").send({"type": "m"}) is not None
    finally:
        await hub.stop()


async def test_a_room_that_keeps_is_not_taken_for_one_of_a_pattern_with_types_that_keeps_nothing() -> None:
    hub = Hub(MemoryBroker(), auth=Names())
    keep = History(size=10, ttl=60)

    @hub.rooms("team:{id}")
    async def by_number(id: int) -> bool:
        return True

    @hub.rooms("quiet:{name}")
    async def quiet(name: str) -> bool:
        return True

    @hub.rooms("{rest:path}", history=keep)
    async def by_name() -> bool:
        return True

    await hub.start()
    rules = Retention.read((await inside(hub).broker.declared()).words)
    for name, kept in (("team:red", keep), ("quiet:x", None), ("other", keep)):
        options = inside(hub).endpoint.context.declared.options_of(RoomName(name))
        assert rules.kept(room_topic(name)) == options.history == kept
    await hub.stop()


async def test_who_is_sent_away_last_is_still_there_when_it_comes_back() -> None:
    """It is closed after half the window, and its own time may be the whole of it."""

    class Believing(MemoryBroker):
        for_seconds = 0.0

        async def renew(self, holder: str, ttl: float) -> Renewal:
            self.for_seconds = ttl
            return await super().renew(holder, ttl)

    broker = Believing()
    hub = Hub(broker, auth=Names(), leaving=Leaving(window=40.0, grace=7.0))
    await hub.start()
    await inside(hub).drain(at_once=False)
    assert broker.for_seconds == 1.5 * 40.0 + 7.0
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
            await ann.send({"type": "work"})
            await until(lambda: did, "begun")
            running = inside(hub)
            server.server.should_exit = True
            assert await ann.closed() == 1012
            await until(lambda: running.stopping, "it stops")
            gate.set()
        await ann.close()
        assert did == ["begun", True, False]
        await bob.receive("to the room", room="open:a")
        await bob.receive("to bob")
    assert not runs(hub)


async def test_who_comes_while_it_stops_is_sent_elsewhere() -> None:
    hub = Hub(auth=Names())
    gate = asyncio.Event()
    did: list[str] = []

    @hub.on(Work)
    async def work(message: Work) -> None:
        did.append("begun")
        await gate.wait()

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.send({"type": "work"})
        await until(lambda: did, "begun")
        stopping = asyncio.create_task(hub.stop())
        await until(lambda: inside(hub).stopping, "it stops")
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(server.ws, token="bob").connect()
        assert refused.value.response.status_code == 503
        gate.set()
        await stopping


async def test_who_starts_it_at_once_starts_one(valkey: str) -> None:
    hub = Hub(valkey, auth=Names())
    before = asyncio.all_tasks()
    await asyncio.gather(*(hub.start() for _ in range(3)))
    for _ in range(2):
        await hub.stop()
        assert hub.ready
    await hub.stop()
    assert not runs(hub)
    await until(lambda: asyncio.all_tasks() <= before, "nothing goes on")


async def test_one_step_that_fails_leaves_the_others_their_turn() -> None:
    broker = MemoryBroker()
    hub = Hub(broker, auth=Names())
    before = asyncio.all_tasks()
    await hub.start()
    lease, begun = inside(hub).parts.lease, asyncio.all_tasks() - before

    async def fail() -> None:
        raise RuntimeError("no")

    lease.stop = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="no"):
        await hub.stop()
    assert not broker.ready
    assert not all(task.done() for task in begun)
    del lease.stop
    await lease.stop()  # ends what is its own, and nothing else was left
    assert all(task.done() for task in begun)
