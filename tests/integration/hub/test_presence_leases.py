"""Several hubs on one real Valkey: one dies, is cut off, comes back; and nobody is a ghost, nor gone twice."""

import asyncio
import contextlib
import time

import pytest
import redis

from hubbub.brokers.redis import RedisBroker
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.types import OCCUPIED, ONLINE, Topic, room_topic
from tests.integration.hub.conftest import Mortal
from tests.integration.hub.leased import LEASE, gone, joined, left, nodes
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import at_rest
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until


async def test_the_users_of_a_dead_worker_leave_within_the_lease_and_once_each(valkey: str) -> None:
    async with (
        nodes(valkey, 4) as (dead, one, two, three),
        Tab(dead.ws, token="ann") as ann,
        Tab(dead.ws, token="bob") as bob,
        Tab(one.ws, token="bob") as other,
        Tab(two.ws, token="cid") as cid,
        Tab(three.ws, token="dan") as dan,
    ):
        for tab in (ann, bob, other, cid, dan):
            await tab.join("open:a")
            await tab.join("many:b")
        await until(lambda: any("dan" in each["joined"] for each in cid.received("presence_diff")), "all is told")
        # It has nothing left to say of itself, and cannot take anything back.
        dead.line.freeze()
        watch = Stopwatch()
        await until(lambda: left(cid) and cid.received("user_disconnected"), "she is gone")
        assert watch.wall > LEASE * 0.5
        assert watch.own < LEASE + 0.5
        await cid.receive("presence_diff", room="many:b", joined=[], left=["ann"])
        broker = inside(two.hub).broker
        for topic in (room_topic("open:a"), room_topic("many:b"), ONLINE):
            assert await broker.members(topic) == ["bob", "cid", "dan"]
        assert await broker.members(OCCUPIED) == ["many:b", "open:a"]
        # Two more rounds of sweeping change nothing.
        await asyncio.sleep(LEASE * 0.2)
        for tab in (other, cid, dan):
            await tab.nothing()
            assert left(tab) == ["ann"]
            assert [each["user"] for each in tab.received("user_disconnected")] == ["ann"]


async def test_a_worker_that_was_cut_off_announces_its_users_again(valkey: str) -> None:
    """Those that were announced as gone. Nothing is heard of those who are elsewhere too, nor of other workers'."""
    async with (
        nodes(valkey, 2) as (cut, well),
        Tab(cut.ws, token="ann") as ann,
        Tab(cut.ws, token="bob") as bob,
        Tab(well.ws, token="bob") as other,
        Tab(well.ws, token="cid") as cid,
    ):
        for tab in (ann, bob, other, cid):
            await tab.join("open:a")
        cut.line.freeze()
        await cid.receive("user_left_room", user="ann")
        before = len(cid.log)
        cut.line.heal()
        await cid.receive("user_joined_room", room="open:a", user="ann")
        assert (await cid.join("open:a"))["members"] == ["ann", "bob", "cid"]
        await cid.nothing()
        told = [(each["type"], each["user"]) for each in cid.log[before:] if "user" in each]
        assert sorted(told) == [("user_connected", "ann"), ("user_joined_room", "ann")]
        assert left(cid) == ["ann"]
        assert left(ann) == []


async def test_a_user_who_left_while_its_worker_was_cut_off_stays_gone(valkey: str) -> None:
    async with nodes(valkey, 2) as (cut, well), Tab(well.ws, token="cid") as cid:
        await cid.join("open:a")
        async with Tab(cut.ws, token="ann") as ann:
            await ann.join("open:a")
            cut.line.freeze()
        await cid.receive("user_left_room", user="ann")
        cut.line.heal()
        await until(lambda: cut.hub.ready, "back")
        await at_rest(cut.hub)
        assert left(cid) == joined(cid) == ["ann"]
        assert await gone(well, "open:a", "ann")


async def test_what_was_flushed_is_there_again_and_nobody_hears_of_it(valkey: str) -> None:
    async with nodes(valkey, 2) as (one, two), Tab(one.ws, token="ann") as ann, Tab(two.ws, token="bob") as bob:
        await ann.join("open:a")
        await bob.join("open:a")
        seen = len(ann.log), len(bob.log)
        with redis.Redis.from_url(valkey) as client:
            client.flushall()
        broker = inside(one.hub).broker

        async def there() -> bool:
            return await broker.members(room_topic("open:a")) == ["ann", "bob"] == await broker.members(ONLINE)

        await until(there, "both are there", within=LEASE)
        await ann.nothing()
        await bob.nothing()
        for tab, before in zip((ann, bob), seen, strict=True):
            # `ann` may have been told of bob when she was read.
            assert [each for each in tab.log[before:] if each.get("user") != "bob" and "user" in each] == []


async def test_a_server_that_stood_still_loses_nobody(mortal: Mortal) -> None:
    """Every lease ran out meanwhile, by its clock."""
    async with nodes(mortal.url, 3) as three, contextlib.AsyncExitStack() as stack:
        tabs = [
            await stack.enter_async_context(Tab(node.ws, token=name))
            for node, name in zip(three, ("ann", "bob", "cid"), strict=True)
        ]
        for tab in tabs:
            await tab.join("open:a")
        for tab in tabs[:2]:
            await tab.receive("user_joined_room", user="cid")
        seen = [len(tab.log) for tab in tabs]
        mortal.freeze()
        try:
            await asyncio.sleep(LEASE * 1.5)
        finally:
            mortal.go_on()
        await until(lambda: all(node.hub.ready for node in three), "back")
        # Long enough for who would be swept.
        await asyncio.sleep(LEASE)
        for tab, before in zip(tabs, seen, strict=True):
            await tab.nothing()
            assert [each for each in tab.log[before:] if "user" in each] == []
        assert (await tabs[0].join("open:a"))["members"] == ["ann", "bob", "cid"]


@pytest.mark.parametrize("rooms", [1, 500])
async def test_ten_thousand_are_swept_in_small_steps_and_nobody_waits(valkey: str, rooms: int) -> None:
    dead = RedisBroker(valkey, deadline=30)
    heard: dict[Topic, list[str]] = {}

    def hear(topic: Topic, data: bytes, _: object) -> None:
        envelope = Envelope.decode(data)
        if envelope.kind is Kind.WENT:
            heard.setdefault(topic, []).append(envelope.payload.decode())

    await dead.start(hear, lambda: None, lambda _: None)
    try:
        await until(lambda: dead.ready, "in touch")
        topics = [room_topic(f"many:{number % rooms}") for number in range(10_000)]
        for topic in sorted(set(topics)):
            await dead.subscribe(topic)
        entering = [(topic, f"u{number}") for number, topic in enumerate(topics)]
        watch = Stopwatch()
        for start in range(0, len(entering), 500):
            await asyncio.gather(*(dead.enter(*seat, "dead", None) for seat in entering[start : start + 500]))
        entered = watch.work
        async with nodes(valkey, 3, directly=True) as three, Tab(three[0].ws, token="ann") as ann:
            await asyncio.sleep(LEASE * 0.5)
            await dead.renew("dead", 0.001)
            gap = 0.0

            async def tick() -> None:
                nonlocal gap
                last = time.thread_time()
                while True:
                    await asyncio.sleep(0.001)
                    now = time.thread_time()
                    gap, last = max(gap, now - last), now

            ticking = asyncio.create_task(tick())
            await until(lambda: heard, "the first", within=10)
            watch = Stopwatch()
            await until(lambda: sum(map(len, heard.values())) >= 10_000, "all", within=30)
            work = watch.work
            ticking.cancel()
            await ann.nothing()
            assert sorted((topic, user) for topic, users in heard.items() for user in users) == sorted(entering)
            # All three hubs are of this thread, and so was what entered the ten thousand: how fast the machine is, and
            # what else it has to do, is no part of it.
            assert work < 6 * entered
            assert gap < work / 2
            assert not any([await dead.count(topic) for topic in set(topics)])
    finally:
        await dead.stop()
