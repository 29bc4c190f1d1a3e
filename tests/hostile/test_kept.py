"""What one client can make a broker keep: nothing by asking, and by saying something no more than the broker may have.

A real hub and a real Valkey, which refuses what it has no room for.
"""

from collections.abc import Iterator
from typing import Literal

import pytest
from pydantic import BaseModel
from redis import Redis

from hubbub import Connection, History, Hub, HubDep, Rate
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.memory.store import Store
from hubbub.brokers.redis import RedisBroker
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple
from tests.kit.waiting import until

KEEP = History(size=100, ttl=3600)
FAST = Rate(messages=10_000, burst=10_000, bytes=1 << 30, bytes_burst=1 << 30)


class DirectMessage(BaseModel):
    type: Literal["direct_message"] = "direct_message"
    to: str
    content: str


class Say(BaseModel):
    type: Literal["say"] = "say"
    room: str


def application(hub: Hub) -> Hub:
    @hub.rooms("kept:{name}", history=KEEP)
    async def kept(name: str) -> bool:
        return True

    @hub.on(DirectMessage)
    async def direct_message(message: DirectMessage, hub: HubDep) -> None:
        await hub.user(message.to).send({"type": "direct_message", "content": message.content})

    @hub.on(Say)
    async def say(message: Say, connection: Connection) -> None:
        await connection.room(message.room).send({"type": "said"})

    return hub


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey"), memory=16 * 1024 * 1024) as server:
        yield server


def a_hub(valkey: EmbeddedValkey) -> Hub:
    return application(Hub(broker=RedisBroker(valkey.url), auth=Names(), inbox=KEEP, rate=FAST))


async def join_and_leave(tab: Tab, count: int) -> None:
    for number in range(count):
        joined = await tab.request("join_room", room=f"kept:{number}")
        assert (joined["type"], joined["offset"]) == ("room_joined", 0)
        assert (await tab.request("leave_room", room=f"kept:{number}"))["type"] == "room_left"


async def test_joining_empty_rooms_leaves_nothing(valkey: EmbeddedValkey) -> None:
    with Redis.from_url(valkey.url) as admin:
        admin.flushall()
        async with serving(simple(a_hub(valkey))) as server, Tab(server.ws, token="mallory") as mallory:
            await join_and_leave(mallory, 3)
            before = admin.dbsize()
            await join_and_leave(mallory, 100)
            await until(lambda: admin.dbsize() <= before, "what is left of them is gone")


async def test_in_one_process_neither() -> None:
    store = Store()
    hub = application(Hub(broker=MemoryBroker(store), auth=Names(), inbox=KEEP, rate=FAST))
    async with serving(simple(hub)) as server, Tab(server.ws, token="mallory") as mallory:
        await join_and_leave(mallory, 100)
        assert (len(store.streams), store.streams.size) == (0, 0)


async def test_a_position_from_before_the_first_message_misses_nothing(valkey: EmbeddedValkey) -> None:
    with Redis.from_url(valkey.url) as admin:
        admin.flushall()
        async with serving(simple(a_hub(valkey))) as server, Tab(server.ws, token="bob") as bob:
            async with Tab(server.ws, token="alice") as alice:
                was = await alice.request("join_room", room="kept:r")
                assert not admin.keys("*room:kept:r*:meta")
            await bob.request("join_room", room="kept:r")
            for _ in range(3):
                await bob.request("say", room="kept:r")
            since = {"epoch": was["epoch"], "offset": was["offset"]}
            async with Tab(server.ws, token="alice") as alice:
                back = await alice.request("join_room", room="kept:r", since=since)
                assert (back["recovered"], back["epoch"], back["offset"]) == (True, was["epoch"], 3)
                assert [(await alice.receive("said"))["offset"] for _ in range(3)] == [1, 2, 3]
                # And where the broker has lost what was said, it is told.
            admin.flushall()
            async with Tab(server.ws, token="carol") as carol:
                await carol.request("join_room", room="kept:r")
                await carol.request("say", room="kept:r")
                async with Tab(server.ws, token="alice") as alice:
                    assert (await alice.request("join_room", room="kept:r", since=since))["recovered"] is False


async def test_messages_to_nobody_fill_what_the_broker_may_have_and_no_more(valkey: EmbeddedValkey) -> None:
    with Redis.from_url(valkey.url) as admin:
        admin.flushall()
        assert admin.config_get("maxmemory*")["maxmemory-policy"] == "noeviction"
        async with serving(simple(a_hub(valkey))) as server, Tab(server.ws, token="mallory") as mallory:
            refused = None
            for number in range(600):
                answer = await mallory.request("direct_message", to=f"nobody {number}", content="x" * 60_000)
                if answer["type"] == "error":
                    refused = answer
                    break
            assert refused is not None
            assert refused["code"] == "unavailable"
            assert int(admin.info("memory")["used_memory"]) < 24 * 1024 * 1024
            # Who is there goes on: what is not kept arrives.
            assert (await mallory.request("ping"))["type"] == "pong"
