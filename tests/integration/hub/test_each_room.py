"""`hub.each_room(names)`: several rooms in one call, and one outcome for each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import pytest

from hubbub import (
    ConfigurationError,
    History,
    Hub,
    InvalidMessage,
    Limits,
    NotSentToAll,
    Position,
    Refused,
    Unavailable,
)
from hubbub.types import room_topic
from tests.integration.hub.conftest import Mortal
from tests.integration.hub.histories import heard, keeping
from tests.kit.brokers import Failing
from tests.kit.client import Tab
from tests.kit.serving import Names, connection_of, serving
from tests.kit.waiting import until

NOTE = {"type": "m", "n": 1}


@pytest.fixture
async def two(valkey: str) -> AsyncIterator[list[tuple[Hub, str]]]:
    hubs = [Hub(valkey, auth=Names()) for _ in range(2)]
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(keeping(hub))) for hub in hubs]
        for hub in hubs:
            await until(lambda hub=hub: hub.ready, "the broker is there")  # type: ignore[misc]
        yield [(hub, server.ws) for hub, server in zip(hubs, servers, strict=True)]


async def test_each_gets_it_with_its_own_name_and_the_positions_come_in_order(two: list[tuple[Hub, str]]) -> None:
    (left, here), (right, there) = two
    rooms = ["kept:b", "open:a", "kept:a", "kept:b", "open:nobody"]
    async with Tab(here, token="ann") as ann, Tab(there, token="bob") as bob:
        joined = {room: await ann.join(room) for room in ("kept:a", "kept:b", "open:a")}
        await bob.join("kept:a")
        await left.room("kept:b").send({"type": "before"})
        await ann.receive("before")
        found = await right.each_room(rooms).send(NOTE)
        b, a = (Position(joined[room]["epoch"], offset) for room, offset in (("kept:b", 2), ("kept:a", 1)))
        assert found == [b, None, a, b, None]
        got = [await ann.receive("m") for _ in range(3)]
        assert sorted(got, key=lambda each: str(each["room"])) == [
            {**NOTE, "room": "kept:a", "offset": 1},
            {**NOTE, "room": "kept:b", "offset": 2},
            {**NOTE, "room": "open:a"},
        ]
        assert await bob.receive("m") == {**NOTE, "room": "kept:a", "offset": 1}
        # The same key again, in one more room.
        keyed = right.each_room(["kept:a", "kept:b"])
        first = await keyed.send({"type": "m", "n": 2}, idempotency_key="k")
        again = await left.each_room(["kept:c", "kept:b", "kept:a"]).send({"type": "m", "n": 3}, idempotency_key="k")
        assert again[1:] == first[::-1]
        assert again[0] is not None
        assert await asyncio.to_thread(right.each_room(rooms[:2]).send_sync, NOTE, keep=False) == [None, None]
        await left.each_room(["open:a", "kept:a"]).send({"type": "end"}, exclude=iter([connection_of(left, ann), "cy"]))
        assert (await bob.receive("end"))["room"] == "kept:a"
        await ann.nothing("end", during=0.05)
        assert [each["n"] for each in ann.received("m")] == [1, 1, 1, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("names", "error", "field", "word"),
    [
        (["open:a", "", "open:b"], InvalidMessage, "rooms[1]", "1 to 128 bytes"),
        (["open:a", "open:b", "x" * 129], InvalidMessage, "rooms[2]", "1 to 128 bytes"),
        (["a\nb"], InvalidMessage, "rooms[0]", "control"),
        (["open:a", 7], InvalidMessage, "rooms[1]", "string"),
        ("open:a", TypeError, None, "list of names"),
        ([f"open:{n}" for n in range(4)], ValueError, None, "more rooms than the 3 of Limits.batch"),
        ((f"open:{n}" for n in count()), ValueError, None, "more rooms than the 3 of Limits.batch"),
    ],
)
async def test_bad_names_are_told_by_their_place(
    names: Any, error: type[Exception], field: str | None, word: str
) -> None:
    async with Hub(limits=Limits(batch=3)).running() as hub:
        with pytest.raises(error, match=word) as refused:
            hub.each_room(names)
        assert getattr(refused.value, "field", None) == field


async def test_no_rooms_and_what_cannot_be_sent() -> None:
    hub = Hub(auth=Names(), limits=Limits(payload=70))
    async with serving(keeping(hub)) as server, Tab(server.ws, token="ann") as ann:
        await ann.join("open:a")
        assert await hub.each_room([]).send(NOTE) == []
        rooms = hub.each_room(["open:a", "open:" + "b" * 40])
        for message in ({"type": "ack"}, {**NOTE, "room": "open:a"}, NOTE):
            with pytest.raises(ValueError, match=r"protocol|`room` is the hub's|more than the 70"):
                await rooms.send(message)
        with pytest.raises(TypeError, match="exclude"):
            await rooms.send({"type": "m"}, exclude=7)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="event loop"):
            await asyncio.to_thread(lambda: asyncio.run(rooms.send({"type": "m"})))
        await hub.room("open:a").send({"type": "end"})
        await ann.receive("end")
        assert not ann.received("m")
    with pytest.raises(ConfigurationError, match="not running"):
        hub.each_room(["open:a"])


async def test_a_room_that_may_not_have_it_is_told_and_the_others_have_it() -> None:
    hub = Hub(Failing(room_topic("open:b")), auth=Names())
    async with serving(keeping(hub)) as server, Tab(server.ws, token="ann") as ann:
        epoch = (await ann.join("kept:a"))["epoch"]
        with pytest.raises(NotSentToAll) as raised:
            await hub.each_room(["open:b", "kept:a", "open:c", "open:b"]).send(NOTE)
        error = raised.value
        assert await heard(ann, 1) == [(1, 1)]
        assert [type(each) for each in error.results] == [Unavailable, Position, type(None), Unavailable]
        assert error.results[1] == Position(epoch, 1)
        assert [*error.failed] == ["open:b"]
        assert "1 of 3 rooms" in str(error)
        assert "open:b" not in str(error)
        assert (error.code, isinstance(error, Refused)) == ("unavailable", True)


async def test_a_broker_that_is_away_is_told_of_every_room_and_may_be_waited_for(mortal: Mortal) -> None:
    hub = Hub(mortal.url, auth=Names())
    keeping(hub, History(size=5, ttl=60))
    async with hub.running():
        await until(lambda: hub.ready, "the broker is there")
        mortal.kill()
        await until(lambda: not hub.ready, "the broker is known to be away")
        rooms = hub.each_room([f"kept:{n}" for n in range(20)])
        with pytest.raises(NotSentToAll) as raised:
            await rooms.send(NOTE)
        assert len(raised.value.failed) == 20
        waiting = asyncio.ensure_future(rooms.send(NOTE, patience=20))
        mortal.start()
        assert [position.offset for position in await waiting if position] == [1] * 20
