"""What publishers send for this moment alone, and to several rooms at once."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from hubbub import InvalidMessage, NotSentToAll, Position, Unavailable
from hubbub.brokers.redis.keys import Keys
from hubbub.client.publisher import Publisher
from hubbub.types import room_topic
from tests.kit.client import Tab
from tests.kit.publishers import OpenPublisher

NOTE = {"type": "note"}


async def test_what_is_not_kept_goes_out_in_order_and_leaves_what_is(
    url: str, name: str, kept: Callable[[], Any], open_publisher: OpenPublisher
) -> None:
    async with kept() as server, Tab(server.ws, token="ann") as ann, open_publisher(url, name=name) as publish:
        for kind, to, room in (("room", "kept:a", "kept:a"), ("user", "ann", "@me")):
            joined = await ann.join(room, since={"offset": 0})
            for n in range(6):
                position = await publish(kind, to, {**NOTE, "n": n}, keep=n % 2 == 0)
                assert position == (Position(joined["epoch"], n // 2 + 1) if n % 2 == 0 else None)
            got = [await ann.receive("note", room=room) for _ in range(6)]
            assert [(each["n"], each.get("offset")) for each in got] == [
                (0, 1), (1, None), (2, 2), (3, None), (4, 3), (5, None)
            ]  # fmt: skip
            again = await ann.join(room, since={"epoch": joined["epoch"], "offset": 1})
            assert (again["offset"], again["recovered"]) == (3, True)
            assert [(await ann.receive("note"))["n"] for _ in range(2)] == [2, 4]
        with pytest.raises(ValueError, match="idempotency_key"):
            await publish("room", "kept:a", NOTE, keep=False, idempotency_key="k")
        with pytest.raises(TypeError, match="keep is True or False"):
            await publish("room", "kept:a", NOTE, keep=None)


async def test_several_rooms_each_have_their_position(
    url: str, name: str, kept: Callable[[], Any], open_publisher: OpenPublisher
) -> None:
    async with kept() as server, Tab(server.ws, token="ann") as ann, open_publisher(url, name=name) as publish:
        epochs = {room: (await ann.join(room))["epoch"] for room in ("kept:a", "kept:b")}
        await ann.join("open:a")
        rooms = ["kept:b", "open:a", "kept:a", "kept:b"]
        found: Any = await publish("each_room", rooms, {**NOTE, "n": 1}, idempotency_key="k")
        b, a = (Position(epochs[room], 1) for room in ("kept:b", "kept:a"))
        assert found == [b, None, a, b]
        assert await publish("each_room", ["kept:a", "kept:b"], NOTE, idempotency_key="k") == [a, b]
        assert await publish("each_room", rooms[:2], {**NOTE, "n": 2}, keep=False) == [None, None]
        assert await publish("each_room", [], NOTE) == []
        got = [await ann.receive("note") for _ in range(5)]
        assert sorted((each["room"], each["n"], each.get("offset", 0)) for each in got) == [
            ("kept:a", 1, 1), ("kept:b", 1, 1), ("kept:b", 2, 0), ("open:a", 1, 0), ("open:a", 2, 0)
        ]  # fmt: skip
        with pytest.raises(InvalidMessage) as refused:
            await publish("each_room", ["kept:a", ""], NOTE)
        assert refused.value.field == "rooms[1]"
        with pytest.raises(ValueError, match=r"more rooms than the 1000 of Limits\.batch"):
            await publish("each_room", [f"open:{n}" for n in range(1001)], NOTE)
        with pytest.raises(TypeError, match="list of names"):
            await publish("each_room", "kept:a", NOTE)
        with pytest.raises(ValueError, match="`room`"):
            await publish("each_room", ["kept:a"], {**NOTE, "room": "kept:a"})


async def test_what_a_hub_begins_to_keep_meanwhile_is_kept_in_each(
    url: str, name: str, kept: Callable[[], Any], open_publisher: OpenPublisher
) -> None:
    async with open_publisher(url, name=name) as publish:
        assert await publish("each_room", ["kept:a", "kept:b"], NOTE) == [None, None]
        async with kept():
            found: Any = await publish("each_room", ["kept:a", "open:a", "kept:b"], NOTE)
            assert [position and position.offset for position in found] == [1, None, 1]


async def test_a_room_that_may_not_have_it_is_told_and_the_others_have_it(
    url: str, name: str, kept: Callable[[], Any], open_publisher: OpenPublisher
) -> None:
    with Redis.from_url(url) as admin:
        admin.set(Keys(name).meta(room_topic("kept:b")), "no position")
        admin.script_flush()  # as of a server that has just started, which is brought each script at the second asking
    async with kept() as server, Tab(server.ws, token="ann") as ann, open_publisher(url, name=name) as publish:
        await ann.join("kept:a")
        with pytest.raises(NotSentToAll) as raised:
            await publish("each_room", ["kept:b", "kept:a"], NOTE)
        assert [*raised.value.failed] == ["kept:b"]
        assert [type(each) for each in raised.value.results] == [Unavailable, Position]
        assert (await ann.receive("note"))["offset"] == 1


async def test_a_broker_that_is_silent_is_waited_for_once_and_not_once_a_room(open_publisher: OpenPublisher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        async with open_publisher(url, deadline=0.2) as publish, asyncio.timeout(15):
            with pytest.raises(NotSentToAll) as raised:
                await publish("each_room", [f"open:{n}" for n in range(500)], NOTE)
    assert len(raised.value.failed) == 500


def test_a_server_that_forgot_the_scripts_is_sent_them_again(url: str, name: str) -> None:
    with Publisher(url, name=name) as publisher, Redis.from_url(url) as admin:
        for _ in range(2):
            admin.script_flush()
            assert publisher.each_room(["a", "b"]).send(NOTE) == [None, None]
