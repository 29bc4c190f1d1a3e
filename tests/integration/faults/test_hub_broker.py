"""A broker that is away, killed, cut off, frozen or slow, as an application and its clients see it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.testing import checks
from hubbub.testing.proxy import Proxy
from tests.integration.faults.hubs import (
    ROOM,
    Worker,
    back,
    lines_of,
    nothing_was_lost,
    short_lease,
    talking,
    two_members,
    worker,
    workers,
)
from tests.kit.broker_servers import frozen, kill, path_of
from tests.kit.client import Tab
from tests.kit.stopwatch import Stopwatch
from tests.kit.valkey import Valkey
from tests.kit.waiting import until


async def readiness(one: Worker) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"{one.server.url}/health/ready")).status_code


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Valkey]:
    """What it acknowledged is on its disk."""
    server = Valkey(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


async def test_a_hub_that_starts_without_its_broker_takes_nobody_until_it_comes(valkey: EmbeddedValkey) -> None:
    """Not ready, sockets refused with 503; ready at most 2 s, the longest pause, and the way there after it came."""
    kill(valkey)
    async with worker(RedisBroker(valkey.url)) as one:
        assert await readiness(one) == 503
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(one.server.ws, token="ann").connect()
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"]
        # Long enough for the pauses to have grown to the longest.
        await asyncio.sleep(3)
        valkey.start()
        watch = Stopwatch()
        await until(lambda: one.hub.ready, "it is there")
        assert watch.own < 2.5
        assert await readiness(one) == 200
        async with one.client("ann") as ann:
            await ann.join(ROOM)
            await one.hub.room(ROOM).send({"type": "m"})
            await ann.receive("m", offset=1)


async def test_a_broker_that_is_killed_twenty_times_and_keeps_its_data_loses_nothing(durable: Valkey) -> None:
    """Under load from two hubs: everything acknowledged once and in order at members of both, 0 gaps."""
    url = f"redis://127.0.0.1:{durable.port}"
    async with two_members(url) as (left, right, ann, bob):
        async with talking(left.hub, right.hub) as said:
            for _ in range(20):
                had = len(said)
                await until(lambda had=had: len(said) > had + 50, "something was said")  # type: ignore[misc]
                durable.kill()
                await until(lambda: not left.hub.ready and not right.hub.ready, "it is noticed")
                durable.start()
                watch = Stopwatch()
                await until(lambda: left.hub.ready and right.hub.ready, "it is back")
                assert watch.own < 5
        await nothing_was_lost(left.hub, [ann, bob], said)
        for member in (ann, bob):
            assert member.received("gap") == []
            # The connections were never touched.
            assert len(member.received("welcome")) == 1


async def test_subscribers_that_are_killed_in_a_loop_lose_nothing(url: str, admin: Redis) -> None:
    """Twenty times, ten of a second apart or as soon as it is back, under load: 0 lost, 0 twice, 0 gaps."""
    async with two_members(url) as (left, right, ann, bob):
        async with talking(left.hub, right.hub) as said:
            for _ in range(20):
                had = len(said)
                before = lines_of(left, right)
                assert await asyncio.to_thread(admin.client_kill_filter, _type="pubsub") == 2
                await until(lambda before=before: back(left, right, since=before), "they are back", within=1)  # type: ignore[misc]
                await until(lambda had=had: len(said) > had + 10, "something was said")  # type: ignore[misc]
        await nothing_was_lost(left.hub, [ann, bob], said)
        for member in (ann, bob):
            assert member.received("gap") == []


@pytest.mark.slow
async def test_a_frozen_broker_makes_the_worker_send_its_clients_elsewhere(valkey: EmbeddedValkey) -> None:
    """With the defaults: 503 within 15 s, all told `closing` 1013; when it goes on they are back and missed nothing."""
    async with workers(RedisBroker(valkey.url)) as (one,), one.client("ann") as ann, one.client("bob") as bob:
        for member in (ann, bob):
            await member.join(ROOM)
        async with talking(one.hub) as said:
            await until(lambda: len(said) > 20, "something was said")
            async with frozen(valkey):
                watch = Stopwatch()
                while await readiness(one) == 200:
                    assert watch.own < 15
                    await asyncio.sleep(0.05)
                for member in (ann, bob):
                    told = await member.receive("closing")
                    assert told["code"] == 1013
                    assert 0 <= told["retry_after"] <= 5000
                    await until(lambda member=member: member.close_code == 1013, "it is closed")  # type: ignore[misc]
                assert watch.own < 18
            for member in (ann, bob):
                await member.back(within=10)
            assert await readiness(one) == 200
        await nothing_was_lost(one.hub, [ann, bob], said)


async def test_a_slow_broker_slows_sends_and_nothing_else(url: str) -> None:
    """500 ms more to the broker and back: a client's `ping` is answered within 50 ms, every send within its 2 s."""
    with Proxy(path_of(url)) as proxy:
        broker = RedisBroker(f"redis://127.0.0.1:{proxy.port}")
        async with workers(broker) as (one,), one.client("ann") as ann:
            await ann.join(ROOM)
            proxy.delay(0.25)
            slowest = 0.0
            async with talking(one.hub) as said:
                for _ in range(40):
                    watch = Stopwatch()
                    await ann.ask({"type": "ping"})
                    slowest = max(slowest, watch.own)
                    await asyncio.sleep(0.05)
                assert slowest < 0.05
                watch = Stopwatch()
                await one.hub.room(ROOM).send({"type": "m", "by": "us"})
                assert watch.wall > 0.4
                assert watch.own < 2
                assert one.hub.ready
            proxy.heal()
            await nothing_was_lost(one.hub, [ann], said)
            assert ann.received("gap") == []


async def test_a_worker_cut_off_from_the_broker_is_mourned_once_and_misses_nothing(url: str) -> None:
    """One of three, for longer than the lease (2 s): its users leave within it, once; healed they are announced again,
    who is elsewhere too never; and what was said meanwhile comes to its members.
    """
    with Proxy(path_of(url)) as line:
        brokers = [RedisBroker(f"redis://127.0.0.1:{line.port}", deadline=1.0), RedisBroker(url), RedisBroker(url)]
        async with (
            workers(*brokers, leaving=short_lease()) as (cut, well, other),
            cut.client("ann") as ann,
            cut.client("bob") as bob,
            well.client("bob") as bobs_other,
            other.client("cid") as cid,
        ):
            members = [ann, bob, bobs_other, cid]
            for member in members:
                await member.join("open:a")
                await member.join(ROOM)
            async with talking(well.hub) as said:
                line.freeze()
                watch = Stopwatch()
                await cid.receive("user_left_room", user="ann")
                assert watch.wall > 1.0
                assert watch.own < 2.5
                seen = len(cid.log)
                had = len(said)
                await until(lambda: len(said) > had + 50, "something was said")
                line.heal()
                await cid.receive("user_joined_room", user="ann", room="open:a")
            await nothing_was_lost(well.hub, members, said)
            told = [(each["type"], each["user"]) for each in cid.log[seen:] if "user" in each]
            assert told == [("user_joined_room", "ann")]
            ledgers = [bobs_other.ledger, cid.ledger]
            assert checks.announced(ledgers) + checks.present(ledgers, "open:a", {"ann", "bob", "cid"}) == []
            assert ann.received("user_left_room") == []
