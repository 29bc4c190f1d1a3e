"""Who is sent away while somebody still asks whether to let it in: the answer comes too late, and is not believed.

The attacker holds two sockets, and begins on one of them what takes long just before it is thrown out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI

from hubbub import Connection, Hub, Rate
from hubbub.brokers.embedded import EmbeddedValkey
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Address, Names, serving, simple
from tests.kit.waiting import until


class Worker:
    """One whose check of `room:…`, and hook of who is called slow, wait while the gates are shut."""

    def __init__(self, broker: str) -> None:
        self.names, self.asked = Names(), 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.hub = Hub(broker, auth=self.names)
        self.app = FastAPI()
        self.app.include_router(self.hub.router)

        @self.hub.rooms("room:{name}", presence=True)
        async def may(name: str) -> bool:
            self.asked += 1
            await self.gate.wait()
            return True

        @self.hub.on_connect
        async def hook(connection: Connection) -> None:
            if connection.user.id == "slow":
                self.asked += 1
                await self.gate.wait()

    server: Address
    marker: Tab

    def open(self) -> None:
        self.gate.set()
        if self.names.gate is not None:
            self.names.gate.set()
        self.names.gate = None

    def shut(self, *, credentials: bool = False) -> None:
        self.gate.clear()
        self.names.gate = asyncio.Event() if credentials else None
        self.names.asked.clear()
        self.asked = 0


@pytest.fixture(scope="module")
async def _both() -> AsyncIterator[list[Worker]]:
    async with AsyncExitStack() as stack:
        url = stack.enter_context(EmbeddedValkey()).url
        both = [Worker(url), Worker(url)]
        for number, worker in enumerate(both):
            worker.server = await stack.enter_async_context(serving(worker.app))
            worker.marker = await stack.enter_async_context(Tab(worker.server.ws, token=f"marker{number}"))
        yield both


@pytest.fixture
async def workers(_both: list[Worker]) -> AsyncIterator[list[Worker]]:
    """Two, each with a hub and a server of its own."""
    yield _both
    for worker in _both:
        worker.open()


async def heard(workers: list[Worker]) -> None:
    """Every worker has heard what was said before: all hear all in one order."""
    mark = uuid4().hex
    for number, worker in enumerate(workers):
        await workers[0].hub.user(f"marker{number}").send({"type": "mark", "text": mark})
        await worker.marker.receive("mark", text=mark)


#: What an application says of alice, from here or from another worker.
_ENDS: list[Callable[[Hub], Awaitable[Any]]] = [
    lambda hub: hub.room("room:vip").remove("alice", "out"),
    lambda hub: hub.room("room:vip").close("out"),
    lambda hub: hub.user("alice").leave("room:vip"),
]


@pytest.mark.parametrize("end", _ENDS, ids=["remove", "close", "leave"])
@pytest.mark.parametrize("by", [0, 1], ids=["here", "elsewhere"])
async def test_removed_from_a_room_while_its_check_waits(workers: list[Worker], end: Any, by: int) -> None:
    here, hub = workers[0], workers[by].hub
    async with Tab(here.server.ws, token="alice") as alice:
        here.shut()
        asked = asyncio.create_task(alice.request("join_room", room="room:vip"))
        await until(lambda: here.asked, "the check waits")
        await end(hub)
        await heard(workers)
        here.open()
        answer = await asked
        assert (answer["type"], answer.get("code"), answer.get("field")) == ("error", "forbidden", "room")
        assert await hub.room("room:vip").members() == []
        assert (await alice.request("join_room", room="room:vip"))["type"] == "room_joined"


@pytest.mark.parametrize("by", [0, 1], ids=["here", "elsewhere"])
async def test_put_out_while_it_asks_to_come_in_again(workers: list[Worker], by: int) -> None:
    """With `since`, to be handed what it may not read any more."""
    here, hub = workers[0], workers[by].hub
    async with Tab(here.server.ws, token="alice") as alice:
        await alice.join("room:vip")
        here.shut()
        again = asyncio.create_task(alice.request("join_room", room="room:vip", since={"offset": 0}))
        await until(lambda: here.asked, "the check waits")
        await hub.room("room:vip").remove("alice")
        await alice.receive("room_left")
        here.open()
        assert (await again)["code"] == "forbidden"
        assert await hub.room("room:vip").members() == []


@pytest.mark.parametrize("end", _ENDS, ids=["remove", "close", "leave"])
async def test_removed_while_it_is_asked_what_it_may_in_a_room_it_was_put_into(end: Any) -> None:
    hub, gate, asked = Hub(auth=Names()), asyncio.Event(), asyncio.Event()

    async def slowly() -> bool:
        asked.set()
        await gate.wait()
        return True

    @hub.rooms("room:{name}", may_read_history=slowly)
    async def may(name: str) -> bool:
        return True

    async with serving(simple(hub)) as server, Tab(server.ws, token="alice") as alice:
        await hub.user("alice").join("room:vip")
        await asked.wait()
        await end(hub)
        await hub.user("alice").send({"type": "mark"})
        await alice.receive("mark")
        gate.set()
        await alice.nothing("room_joined", during=0.1)


async def test_nothing_is_left_of_who_went_while_its_credential_was_looked_up() -> None:
    names = Names()
    hub, told = Hub(auth=names, rate=Rate()), []
    hub.on_connect(lambda: told.append("connected"))
    async with serving(simple(hub)) as server:
        names.gate = asyncio.Event()
        tab = Tab(server.ws, token=None)
        await tab.connect()
        await tab.say('{"type": "auth", "token": "alice"}')
        await until(lambda: names.asked, "it is looked up")
        await tab.close()
        runtime = inside(hub)
        await until(lambda: not runtime.endpoint.connections, "it is gone")
        names.gate.set()
        await until(lambda: not len(runtime.parts.background), "nothing of it goes on")
        assert runtime.hooks is not None
        allowances = runtime.endpoint.context.allowances
        assert allowances is not None
        assert (told, len(runtime.hooks), len(allowances)) == ([], 0, 0)


@pytest.mark.parametrize("way", ["handshake", "first message", "hook"])
@pytest.mark.parametrize("by", [0, 1], ids=["here", "elsewhere"])
async def test_disconnected_on_the_way_in(workers: list[Worker], way: str, by: int) -> None:
    here, hub = workers[0], workers[by].hub
    name = "slow" if way == "hook" else "alice"
    here.shut(credentials=way != "hook")
    tab = Tab(here.server.ws, token=None if way == "first message" else name)
    connecting = asyncio.create_task(tab.connect())
    if way == "first message":
        await connecting
        await tab.say(f'{{"type": "auth", "token": "{name}"}}')
    await until(lambda: here.asked if way == "hook" else here.names.asked, "it is on its way in")
    await hub.user(name).disconnect("out")
    await heard(workers)
    here.open()
    await connecting
    assert await tab.closed() == 4003
    assert tab.socket.close_reason == "out"
    assert tab.log == []
    await tab.close()
    # Who was disconnected is not banned.
    async with Tab(here.server.ws, token=name):
        pass


async def test_a_removal_that_came_before_the_question_is_none_of_it(workers: list[Worker]) -> None:
    """Nor is that of others, of another room, or of a tab that is on its way in for somebody else."""
    here = workers[0]
    async with Tab(here.server.ws, token="alice") as alice:
        await here.hub.room("room:vip").remove("alice")
        here.shut(credentials=True)
        joining = asyncio.create_task(alice.request("join_room", room="room:vip"))
        bob = Tab(here.server.ws, token="bob")
        connecting = asyncio.create_task(bob.connect())
        await until(lambda: here.asked and "bob" in here.names.asked, "both are asked for")
        await here.hub.room("room:vip").remove("bob")
        await here.hub.room("room:other").close()
        await here.hub.user("carol").disconnect()
        here.open()
        assert (await joining)["type"] == "room_joined"
        await connecting
        await bob.receive("welcome")
        await bob.close()
