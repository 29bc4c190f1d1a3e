"""All rooms that a connection may be in, joined in one go: no bound stands in the way of another."""

import asyncio
from collections import Counter
from typing import Any, Literal

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from hubbub import Connection, Hub, Limits, Rate
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.types import RoomName, room_topic
from tests.integration.hub.test_slow_readers import slow
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import GatedMemory, Names, at_rest, connection_of, serving, simple
from tests.kit.waiting import until

ROOMS = Limits().rooms


class Say(BaseModel):
    type: Literal["say"] = "say"
    room: str


def names(count: int) -> list[str]:
    return [f"open:{number}" for number in range(count)]


def talking(hub: Hub) -> FastAPI:
    @hub.on(Say)
    async def say(message: Say, connection: Connection) -> None:
        await connection.room(message.room).send({"type": "said"})

    return simple(hub)


async def answers(tab: Tab, count: int, **fields: Any) -> list[dict[str, Any]]:
    """The first answers to joins, once there are so many."""

    def found() -> list[dict[str, Any]]:
        replies = [each for each in tab.log if each["type"] in ("room_joined", "error")]
        return [each for each in replies if fields.items() <= each.items()]

    await until(lambda: len(found()) >= count or not tab.open, f"{count} answers")
    return found()


@pytest.mark.parametrize("count", [60, ROOMS])
async def test_one_after_the_other_without_waiting(count: int) -> None:
    hub = Hub(auth=Names())
    async with serving(talking(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.say('{"type": "join_room", "room": "@me", "id": "me"}')
        for name in names(count):
            await tab.send({"type": "join_room", "room": name, "id": name})
        joined = (await answers(tab, count + 1))[1:]
        assert [(each["type"], each["room"], each["id"]) for each in joined] == [
            ("room_joined", name, name) for name in names(count)
        ]
        # What a client may say at once is untouched by it.
        for number in range(1, Rate().burst + 1):
            await tab.send({"type": "say", "room": f"open:{number % count}", "id": number})
            if number % 25 == 0:
                await tab.receive("ack", id=number)
        assert not tab.received("error")
        await tab.close()
        await at_rest(hub)


async def test_all_in_one_message_before_welcome_and_with_the_longest_names() -> None:
    hub = Hub(auth=Names())
    longest = ["open:" + f"{number:03}" + "é" * ((Limits().name - 8) // 2) for number in range(ROOMS)]
    async with serving(talking(hub)) as server:
        tab = await Tab(server.ws, token="ann").connect()
        since = {"epoch": "0" * 32, "offset": 2**53}
        await tab.send({"type": "join_room", "id": 7, "rooms": [{"room": each, "since": since} for each in longest]})
        joined = await answers(tab, ROOMS, id=7)
        assert [(each["type"], each["room"], each["recovered"]) for each in joined] == [
            ("room_joined", name, False) for name in longest
        ]
        assert tab.log[0]["type"] == "welcome"
        assert connection_of(hub, tab).rooms == set(longest)
        await tab.close()
        await at_rest(hub)


@pytest.mark.parametrize("together", [False, True])
async def test_what_is_beyond_the_rooms_is_told_for_each(*, together: bool) -> None:
    hub = Hub(auth=Names())
    async with serving(talking(hub)) as server, Tab(server.ws, token="ann") as tab:
        if together:
            await tab.send({"type": "join_room", "id": "all", "rooms": [{"room": name} for name in names(400)]})
        else:
            for name in names(400):
                await tab.send({"type": "join_room", "room": name, "id": name})
        told = await answers(tab, 400, **({"id": "all"} if together else {}))
        assert tab.open, tab.close_code
        assert {each["room"] if together else each["id"] for each in told} == set(names(400))
        codes = Counter(each.get("code", "joined") for each in told)
        assert codes.keys() <= {"joined", "too_many_rooms", "rate_limited"}
        assert ROOMS - 1 <= codes["joined"] <= ROOMS
        assert (await tab.request("say", room="open:0"))["type"] == "ack"
        await tab.close()
        await at_rest(hub)


async def test_what_comes_behind_joins_is_handled_behind_them_and_ping_is_not() -> None:
    broker = GatedMemory()
    hub = Hub(broker, auth=Names())
    async with serving(talking(hub)) as server, Tab(server.ws, token="ann") as tab:
        broker.shut = {"subscribe"}
        await tab.send({"type": "join_room", "id": 1, "rooms": [{"room": name} for name in names(100)]})
        # As many messages may wait beside the joins as ever, and leaves beside both.
        for number in range(Limits().waiting):
            await tab.send({"type": "say", "room": f"open:{99 - number}", "id": f"say {number}"})
        await tab.send({"type": "leave_room", "room": "open:50", "id": "leave"})
        await tab.send({"type": "say", "room": "open:1", "id": "one too many"})
        assert (await tab.receive("error"))["id"] == "one too many"
        # Reading goes on, also for joins.
        await tab.send({"type": "join_room", "room": "open:100", "id": 2})
        assert (await tab.request("ping"))["type"] == "pong"
        assert not tab.received("room_joined")
        await broker.open()
        assert (await tab.receive("room_joined", id=2))["room"] == "open:100"
        replies = [each for each in tab.log if "id" in each and each["type"] not in ("pong", "error")]
        assert [each["type"] for each in replies] == ["room_joined"] * 100 + ["ack"] * 32 + ["room_left", "room_joined"]
        await tab.close()
        await at_rest(hub)


@pytest.mark.complains("failed for connection")
async def test_each_is_answered_for_itself() -> None:
    hub = Hub(auth=Names())

    @hub.rooms("private:{name}")
    async def nobody(name: str) -> bool:
        return False

    @hub.rooms("broken:{name}")
    async def broken(name: str) -> bool:
        raise RuntimeError("the store is away")

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        rooms = ["open:a", "private:a", "broken:a", "elsewhere", "@me", "open:b"]
        await tab.send({"type": "join_room", "id": "all", "rooms": [{"room": room} for room in rooms]})
        told = await answers(tab, len(rooms), id="all")
        assert [(each["room"], each.get("code")) for each in told] == [
            ("open:a", None),
            ("private:a", "forbidden"),
            ("broken:a", "internal"),
            ("elsewhere", "unknown_room"),
            ("@me", None),
            ("open:b", None),
        ]


async def test_a_list_that_is_none_is_refused_as_a_whole() -> None:
    hub = Hub(auth=Names(), limits=Limits(rooms=2))
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        for fields, field in [
            ({"rooms": [{"room": "open:a"}, {"room": ""}]}, "rooms.1.room"),
            ({"rooms": [{"room": "open:a"}, {"room": "open:a"}]}, "rooms.1.room"),
            ({"rooms": [{"room": f"open:{number}"} for number in range(9)]}, "rooms"),
            ({"rooms": [{"room": "open:a"}], "room": "open:b"}, "room"),
        ]:
            refused = await tab.request("join_room", **fields)
            assert (refused["code"], refused["field"]) == ("invalid_message", field)
        assert not connection_of(hub, tab).rooms


async def test_a_client_that_vanishes_with_many_joins_before_it_leaves_nothing_behind() -> None:
    broker = GatedMemory()
    hub = Hub(broker, auth=Names())
    async with serving(talking(hub)) as server:
        async with Tab(server.ws, token="ann") as tab:
            broker.shut = {"members"}
            await tab.send({"type": "join_room", "rooms": [{"room": name} for name in names(ROOMS)]})
            await until(lambda: broker.waiting, "the first is under way")
            await tab.drop()
            await until(lambda: not len(inside(hub).registry), "gone")
            await broker.open()
        await at_rest(hub)


async def test_who_keeps_to_the_rate_is_not_closed_because_a_handler_is_slow() -> None:
    """What may wait depends on the application: who sends no faster than it may is refused, and never sent away."""
    hub = Hub(auth=Names(), rate=Rate(messages=10_000, burst=400, refusals=2))
    gate = asyncio.Event()

    @hub.on(Say)
    async def say(message: Say) -> None:
        await gate.wait()

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        for number in range(200):
            await tab.send({"type": "say", "room": "", "id": number})
        await until(lambda: len(tab.received("error")) > 4 or not tab.open, "more are refused than are borne")
        gate.set()
        await until(lambda: len([each for each in tab.log if "id" in each]) == 200 or not tab.open, "all are answered")
        assert tab.open, tab.close_code
        assert {each["code"] for each in tab.received("error")} == {"rate_limited"}


async def test_who_is_in_many_rooms_full_of_people_is_told_of_them_at_its_own_pace() -> None:
    """The lists of members are many times what may be unsent."""
    broker = MemoryBroker()
    hub = Hub(broker, auth=Names(), limits=Limits(payload=50_000, outbox=100_000))
    async with serving(talking(hub)) as server:
        for name in names(ROOMS):
            for number in range(300):
                await broker.enter(room_topic(RoomName(name)), f"{number:03}" + "x" * 97, "elsewhere")
        async with slow(server) as tab:
            connection = connection_of(hub, tab)
            tab.socket.transport.pause_reading()
            await tab.send({"type": "join_room", "id": 1, "rooms": [{"room": name} for name in names(ROOMS)]})
            # Or a kernel that takes all of it.
            await until(
                lambda: connection.outbound.unrelieved or connection.closed or len(connection.rooms) == ROOMS,
                "it is waited for",
            )
            tab.socket.transport.resume_reading()
            joined = await answers(tab, ROOMS, id=1)
            assert tab.open, tab.close_code
            assert [len(each["members"]) for each in joined] == [301] * ROOMS


async def test_a_room_with_more_members_than_can_be_told_is_joined_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = MemoryBroker()
    hub = Hub(broker, auth=Names(), limits=Limits(payload=5_000, outbox=10_000))
    async with serving(talking(hub)) as server, Tab(server.ws, token="ann") as tab:
        for number in range(100):
            await broker.enter(room_topic(RoomName("open:a")), f"{number:03}" + "x" * 97, "elsewhere")
        for _ in range(2):
            assert "members" not in await tab.join("open:a")
        assert (await tab.request("say", room="open:a"))["type"] == "ack"
        assert (await tab.join("open:b"))["members"] == ["ann"]
    [record] = [each for each in caplog.records if each.name == "hubbub.answers"]
    assert record.getMessage().startswith("the 101 members of room open:a are more than a connection may have unsent")
