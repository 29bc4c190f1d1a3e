"""What a room keeps, as the application reads it, and sending so that nothing is kept twice or lost with the broker."""

import asyncio
from typing import Any

import pytest

from hubbub import ConfigurationError, History, Hub, Position, Unavailable
from hubbub.brokers.redis import RedisBroker
from hubbub.options import Limits
from tests.integration.hub.conftest import Mortal
from tests.integration.hub.histories import KEEP, delete, flush, heard, keeping, say
from tests.kit.client import Tab
from tests.kit.serving import Names, serving
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import tries, until


@pytest.fixture(params=["memory", "valkey"])
def broker(request: pytest.FixtureRequest) -> str:
    return "memory" if request.param == "memory" else str(request.getfixturevalue("valkey"))


async def ready(hub: Hub) -> None:
    await until(lambda: hub.ready, "there")


def numbers(page: Any) -> list[tuple[int, int]]:
    return [(message["n"], message["offset"]) for message in page.messages]


async def test_a_send_returns_where_it_stands_and_history_gives_it_back(broker: str) -> None:
    hub = Hub(broker, auth=Names())
    async with serving(keeping(hub)):
        await ready(hub)
        empty = await hub.room("kept:a").history()
        assert (empty.position.offset, empty.messages, empty.complete) == (0, [], True)  # type: ignore[union-attr]
        first = await hub.room("kept:a").send({"type": "m", "n": 1})
        second = await hub.room("kept:a").send({"type": "m", "n": 2}, exclude="bob")
        assert first is not None
        assert (first, second) == (Position(first.epoch, 1), Position(first.epoch, 2))
        page = await hub.room("kept:a").history()
        assert page.position == second
        assert page.messages == [
            {"type": "m", "n": 1, "room": "kept:a", "offset": 1},
            {"type": "m", "n": 2, "room": "kept:a", "offset": 2},
        ]
        assert page.complete


async def test_history_since_a_position_forwards_and_backwards(broker: str) -> None:
    hub = Hub(broker, auth=Names())
    async with serving(keeping(hub, History(size=6, ttl=60))):
        await ready(hub)
        await say(hub, *range(1, 11))
        room = hub.room("kept:a")
        everything = await room.history()
        assert numbers(everything) == [(each, each) for each in range(5, 11)]
        assert everything.position is not None
        epoch = everything.position.epoch

        async def read(offset: int | None, **fields: Any) -> tuple[list[int], bool]:
            since = None if offset is None else Position(epoch, offset)
            page = await room.history(since=since, **fields)
            return [message["offset"] for message in page.messages], page.complete

        assert await read(None, limit=2) == ([5, 6], True)
        assert await read(None, limit=2, reverse=True) == ([10, 9], True)
        assert await read(6, limit=2) == ([7, 8], True)
        assert await read(8) == ([9, 10], True)
        assert await read(10) == ([], True)
        assert await read(4) == ([5, 6, 7, 8, 9, 10], True)
        assert await read(3) == ([5, 6, 7, 8, 9, 10], False)
        assert await read(8, limit=2, reverse=True) == ([7, 6], True)
        assert await read(6, reverse=True) == ([5], True)
        assert await read(4, reverse=True) == ([], False)
        assert await read(11) == ([], False)
        other = await room.history(since=Position("other", 7))
        assert (other.messages, other.complete, other.position) == ((), False, Position(epoch, 10))


async def test_messages_grow_too_old(broker: str) -> None:
    hub = Hub(broker, auth=Names())
    async with serving(keeping(hub, History(size=10, ttl=0.3))):
        await ready(hub)
        await say(hub, 1)
        room = hub.room("kept:a")

        async def gone() -> bool:
            return not (await room.history()).messages

        await until(gone, "it is too old")
        page = await room.history()
        assert page.position is not None
        assert page.position.offset == 1
        assert not (await room.history(since=Position(page.position.epoch, 0))).complete
        for number in tries("a young one is found"):
            await say(hub, number + 2)
            if numbers(await room.history()) == [(number + 2, number + 2)]:
                break


async def test_a_room_without_history_keeps_nothing(broker: str) -> None:
    hub = Hub(broker, auth=Names())
    async with serving(keeping(hub)):
        await ready(hub)
        assert await hub.room("open:a").send({"type": "m"}) is None
        assert await hub.broadcast({"type": "m"}) is None
        page = await hub.room("open:a").history()
        assert (page.position, page.messages, page.complete) == (None, (), True)


async def test_the_history_of_values_that_replace_each_other_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="keeps no history"):
        keeping(Hub(auth=Names()), slow="latest")


async def test_one_key_is_one_message(broker: str) -> None:
    hub = Hub(broker, auth=Names())
    async with serving(keeping(hub)) as server:
        await ready(hub)
        async with Tab(server.ws, token="ann") as ann:
            await ann.join("kept:a")
            room = hub.room("kept:a")
            sends = [room.send({"type": "m", "n": 1}, idempotency_key="k") for _ in range(20)]
            positions = set(await asyncio.gather(*sends))
            assert len(positions) == 1
            await room.send({"type": "m", "n": 2}, idempotency_key="other")
            await hub.room("kept:b").send({"type": "m", "n": 3}, idempotency_key="k")
            assert await heard(ann, 2) == [(1, 1), (2, 2)]
            assert await room.send({"type": "m", "n": 9}, idempotency_key="k") in positions
            await ann.nothing("m", during=0.05)
            assert numbers(await hub.room("kept:b").history()) == [(3, 1)]


@pytest.mark.parametrize("ending", ["stream", "meta"])
async def test_history_after_an_eviction(valkey: str, ending: str) -> None:
    hub = Hub(valkey, auth=Names())
    async with serving(keeping(hub)):
        await ready(hub)
        await say(hub, 1, 2)
        before = (await hub.room("kept:a").history()).position
        assert before is not None
        delete(valkey, ending)
        page = await hub.room("kept:a").history(since=Position(before.epoch, 1))
        assert (list(page.messages), page.complete) == ([], False)
        await say(hub, 3)
        page = await hub.room("kept:a").history()
        assert page.messages[-1]["n"] == 3
        assert len(page.messages) == 1
        assert (page.position == Position(before.epoch, 3)) is (ending == "stream")


async def test_history_after_a_flush(valkey: str) -> None:
    hub = Hub(valkey, auth=Names())
    async with serving(keeping(hub)):
        await ready(hub)
        await say(hub, 1, 2)
        flush(valkey)
        page = await hub.room("kept:a").history()
        assert page.position is not None
        assert (page.position.offset, list(page.messages)) == (0, [])


# Patience with a broker that is away.


async def test_what_may_wait_is_sent_when_the_broker_is_back_in_order_and_once(mortal: Mortal) -> None:
    hub = Hub(RedisBroker(mortal.url, deadline=0.5), auth=Names())
    async with serving(keeping(hub)) as server:
        await ready(hub)
        async with Tab(server.ws, token="ann") as ann:
            await ann.join("kept:a")
            mortal.kill()
            await until(lambda: not hub.ready, "it is seen that it is away")
            sends = [asyncio.create_task(say(hub, number, patience=20.0)) for number in range(1, 6)]
            with pytest.raises(Unavailable):
                await say(hub, 99)
            watch = Stopwatch()
            with pytest.raises(Unavailable):
                await say(hub, 98, patience=0.2)
            assert watch.wall > 0.15
            assert watch.own < 2
            mortal.start()
            await asyncio.wait_for(asyncio.gather(*sends), 20)
            # It came back with nothing in it: what was sent before this worker knew of the new epoch is a gap.
            gap = await ann.receive("gap")
            assert (gap["room"], gap["after"]) == ("kept:a", 0)
            again = await ann.join("kept:a", since={"epoch": gap["epoch"], "offset": gap["after"]})
            assert again["recovered"] is True
            assert await heard(ann, 5) == [(number, number) for number in range(1, 6)]
            assert [number for number, _ in numbers(await hub.room("kept:a").history())] == [1, 2, 3, 4, 5]


async def test_no_more_wait_than_may(mortal: Mortal) -> None:
    hub = Hub(RedisBroker(mortal.url, deadline=0.5), auth=Names(), limits=Limits(queued=2))
    async with serving(keeping(hub, KEEP)):
        await ready(hub)
        mortal.kill()
        await until(lambda: not hub.ready, "it is seen that it is away")
        sends = [asyncio.create_task(say(hub, number, patience=20.0)) for number in (1, 2)]
        await asyncio.sleep(0)
        watch = Stopwatch()
        with pytest.raises(Unavailable, match="2 messages wait"):
            await say(hub, 3, patience=20.0)
        assert watch.own < 1
        mortal.start()
        await asyncio.wait_for(asyncio.gather(*sends), 20)
