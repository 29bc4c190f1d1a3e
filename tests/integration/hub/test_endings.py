"""A connection ends at every point of its life, and nothing of it stays: not here, not in the broker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from hubbub import Connection, Hub, Limits
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import (
    Address,
    GatedMemory,
    GatedRedis,
    Names,
    at_rest,
    connection_of,
    left_behind,
    serving,
    simple,
)
from tests.kit.waiting import until


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def tasks() -> set[asyncio.Task[Any]]:
    """All but those of the plugin that runs the tests, which has a new one for each phase, and those that are parked.

    These stand by for whatever waits next, on a Python that cannot begin a task eagerly; there are three a hub.
    """
    names = {task: task.get_coro().__qualname__ for task in asyncio.all_tasks()}
    assert list(names.values()).count("parked") <= 3
    return {task for task, name in names.items() if name != "parked" and "TestRunner" not in name}


async def no_task_but(these: set[asyncio.Task[Any]]) -> None:
    await until(lambda: not tasks() - these, "no task is left")


class Scene:
    """A server with a hub whose broker and authenticator have gates, and what there was before anybody came."""

    def __init__(self, hub: Hub, server: Address, names: Names, broker: GatedRedis, app: FastAPI) -> None:
        self.hub, self.server, self.names, self.broker, self.app = hub, server, names, broker, app
        self.tasks = tasks()
        self.descriptors = descriptors()

    def tab(self, user: str = "ann", path: str = "/ws") -> Tab:
        return Tab(self.server.ws, path, token=user)

    async def waits(self, name: str, topic: str) -> None:
        await until(lambda: (name, topic) in self.broker.waiting, f"{name} {topic} waits")

    async def nothing_is_left(self, keys: Callable[[], list[str]]) -> None:
        await at_rest(self.hub)
        assert not inside(self.hub).endpoint.connections
        await no_task_but(self.tasks)
        await until(lambda: descriptors() <= self.descriptors, "no descriptor is left")
        assert [key for key in keys() if not key.endswith(":nodes")] == []


@pytest.fixture
async def scene(valkey: str) -> AsyncIterator[Scene]:
    names = Names()
    broker = GatedRedis(valkey, deadline=10.0)
    hub = Hub(broker, auth=names, limits=Limits(closing=0.3))
    app = simple(hub)
    async with serving(app) as server:
        await until(lambda: hub.ready, "there")
        async with Tab(server.ws, token="first"):  # what is made once is made
            pass
        await at_rest(hub)
        await until(lambda: not server.server.server_state.tasks, "the first one has gone")
        yield Scene(hub, server, names, broker, app)
        await broker.open()


async def test_during_authentication(scene: Scene, keys: Callable[[], list[str]]) -> None:
    scene.names.gate = asyncio.Event()
    handshake = asyncio.create_task(scene.tab().connect())
    await until(lambda: "ann" in scene.names.asked, "asked")
    handshake.cancel()
    await asyncio.gather(handshake, return_exceptions=True)
    message = await Tab(scene.server.ws).connect()
    await message.send({"type": "auth", "token": "bob"})
    await until(lambda: "bob" in scene.names.asked, "asked")
    await message.drop()
    await until(lambda: not inside(scene.hub).endpoint.connections, "seen")
    scene.names.gate.set()
    await scene.nothing_is_left(keys)


@pytest.mark.parametrize(
    ("call", "topic"),
    [("subscribe", "user:ann"), ("subscribe", "everyone"), ("enter", "user:ann"), ("enter", "online")],
)
async def test_during_admission(scene: Scene, keys: Callable[[], list[str]], call: str, topic: str) -> None:
    scene.broker.shut.add((call, topic))
    tab = await scene.tab().connect()
    await scene.waits(call, topic)
    await tab.drop()
    await until(lambda: not inside(scene.hub).registry, "seen")
    await scene.broker.open()
    await scene.nothing_is_left(keys)


@pytest.mark.parametrize(
    ("call", "topic"),
    [("subscribe", "room:open:a"), ("enter", "occupied"), ("enter", "room:open:a"), ("members", "room:open:a")],
)
@pytest.mark.parametrize("how", ["drop", "close"])
async def test_during_a_join(scene: Scene, keys: Callable[[], list[str]], call: str, topic: str, how: str) -> None:
    async with scene.tab() as tab:
        scene.broker.shut.add((call, topic))
        await tab.send({"type": "join_room", "room": "open:a"})
        await scene.waits(call, topic)
        connection = connection_of(scene.hub, tab)
        if how == "drop":
            await tab.drop()
        else:
            connection.close(reason="enough")
            assert await tab.closed() == 1000
        await until(lambda: not inside(scene.hub).registry, "seen")
        assert connection.rooms == frozenset()
        await scene.broker.open()
        await scene.nothing_is_left(keys)
    assert not tab.received("room_joined")


async def test_while_being_sent_to(scene: Scene, keys: Callable[[], list[str]]) -> None:
    """A send never raises for who is gone, and never stops the rest."""
    async with scene.tab("bob") as bob:
        await bob.join("open:a")
        tabs = [await scene.tab(f"u{number}").__aenter__() for number in range(10)]
        for tab in tabs:
            await tab.join("open:a")
        for number, tab in enumerate(tabs):
            await tab.drop()
            await scene.hub.room("open:a").send({"type": "n", "number": number})
        for number in range(10):
            await bob.receive("n", number=number)
        for number in range(10):
            assert len([each for each in bob.received("user_left_room") if each["user"] == f"u{number}"]) <= 1
        await until(lambda: len(bob.received("user_left_room")) == 10, "all have left")
    await scene.nothing_is_left(keys)


class Stay(BaseModel):
    type: Literal["stay"]


async def test_while_a_handler_works(scene: Scene, keys: Callable[[], list[str]]) -> None:
    """What was begun is finished, and what waited is forgotten."""
    gate = asyncio.Event()
    seen: list[str] = []

    @scene.hub.on(Stay)
    async def stay(message: Stay) -> None:
        seen.append("begun")
        await gate.wait()
        seen.append("finished")

    async with scene.tab() as tab:
        await tab.send({"type": "stay", "id": 1})
        await tab.send({"type": "stay", "id": 2})
        await until(lambda: seen, "begun")
        await tab.drop()
        await until(lambda: not inside(scene.hub).registry, "seen")
        gate.set()
    await scene.nothing_is_left(keys)
    assert seen == ["begun", "finished"]


async def test_every_way_of_going(scene: Scene, keys: Callable[[], list[str]]) -> None:
    async def half_open(tab: Tab) -> None:
        tab.socket.transport.write_eof()

    ways: list[Callable[[Tab], Awaitable[Any]]] = [
        lambda tab: tab.close(),
        lambda tab: tab.drop(),
        lambda tab: tab.say(b"binary"),
        lambda tab: tab.say("x" * 70_000),
        lambda tab: scene.hub.user("ann").disconnect(),
        half_open,
    ]
    for way in ways:
        async with scene.tab() as ann, scene.tab("bob") as bob:
            await ann.join("open:a")
            await bob.join("open:a")
            await way(ann)
            assert (await bob.receive("user_left_room"))["user"] == "ann"
            assert await scene.hub.room("open:a").members() == ["bob"]
            assert not await scene.hub.user("ann").is_online()
        await scene.nothing_is_left(keys)


@pytest.mark.parametrize("where", ["authentication", "admission", "join", "open"])
async def test_while_the_server_stops(valkey: str, keys: Callable[[], list[str]], where: str) -> None:
    before = descriptors()
    names, broker = Names(), GatedRedis(valkey)
    hub = Hub(broker, auth=names)
    before_tasks = tasks()
    tab = None
    async with serving(simple(hub)) as server:
        await until(lambda: hub.ready, "there")
        match where:
            case "authentication":
                names.gate = asyncio.Event()
                tab = await Tab(server.ws).connect()
                await tab.send({"type": "auth", "token": "ann"})
                await until(lambda: names.asked, "asked")
            case "admission":
                broker.shut.add("enter")
                tab = await Tab(server.ws, token="ann").connect()
                await until(lambda: broker.waiting, "waits")
            case "join":
                tab = await Tab(server.ws, token="ann").__aenter__()
                broker.shut.add("enter")
                await tab.send({"type": "join_room", "room": "open:a"})
                await until(lambda: broker.waiting, "waits")
            case "open":
                tab = await Tab(server.ws, token="ann").__aenter__()
                await tab.join("open:a")
        running = inside(hub)
        server.server.should_exit = True
        assert tab is not None
        assert await tab.closed() == 1012
        if names.gate is not None:
            names.gate.set()
        await broker.open()
    await tab.close()
    assert not running.registry
    assert not len(running.parts.presence)
    assert not len(running.parts.background)
    assert keys() == []
    await no_task_but(before_tasks)
    await until(lambda: descriptors() <= before, "no descriptor is left")


@pytest.mark.complains("Exception in ASGI application")
async def test_a_route_that_is_cancelled() -> None:
    """As a server does that has waited long enough."""
    hub = Hub(GatedMemory(), auth=Names())
    app = simple(hub)

    @app.websocket("/plain")
    async def plain(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        async for _ in connection:
            pass

    async with serving(app) as server, Tab(server.ws, "/plain", token="ann") as tab:
        await tab.join("open:a")
        [task] = server.server.server_state.tasks
        task.cancel()
        await tab.closed()
        await at_rest(hub)
        assert left_behind(hub) == {}


async def test_what_is_held_for_one_who_is_let_in_may_be_too_much(caplog: pytest.LogCaptureFixture) -> None:
    broker = GatedMemory()
    hub = Hub(broker, auth=Names(), limits=Limits(payload=1000, outbox=2000))
    async with serving(simple(hub)) as server:
        async with Tab(server.ws, token="bob"):
            broker.shut.add("enter")
            tab = await Tab(server.ws, token="ann").connect()
            await until(lambda: broker.waiting, "waits")
            for _ in range(5):
                await hub.broadcast({"type": "x", "big": "x" * 900})
            await broker.open()
            assert await tab.closed() == 1013
            await tab.close()
        await at_rest(hub)
    assert "background task failed" not in caplog.text
