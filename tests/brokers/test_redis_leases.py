"""Leases on a real server: by its clock, what stays of them, and what becomes of them when it forgets."""

import asyncio
import time

import pytest
from redis import Redis

from hubbub.brokers.redis import RedisBroker
from hubbub.ports.broker import Announcement, Held, Renewal
from hubbub.types import Topic, room_topic
from tests.kit.brokers import Worker, eventually, running
from tests.kit.waiting import until

ROOM, OTHER = room_topic("lobby"), room_topic("other")
LEASES, LAPSED = "hubbub:{hubbub}:leases", "hubbub:{hubbub}:lapsed"
HOUR_MS = 60 * 60 * 1000


def holds(admin: Redis, holder: str) -> set[bytes]:
    return admin.smembers(f"hubbub:{{hubbub}}:holds:{holder}")


async def lost(worker: Worker) -> list[Held]:
    return await eventually(lambda: worker.broker.lost(10), bool)


def test_a_server_that_forgot_everything_knows_nobody(url: str, admin: Redis) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            broker = worker.broker
            await broker.renew("n1", 60)
            assert await broker.enter(ROOM, "alice", "n1")
            admin.flushall()
            assert await broker.renew("n1", 60) is Renewal.NEW
            assert await broker.members(ROOM) == []
            assert await broker.enter(ROOM, "alice", "n1")
            assert not await broker.leave(ROOM, "bob", "n1")
            assert holds(admin, "n1") == {b"room:lobby"}

    asyncio.run(main())


def test_the_index_of_topics_is_exact(url: str, admin: Redis) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            broker = worker.broker
            for topic in (ROOM, OTHER):
                for member in ("alice", "bob"):
                    await broker.enter(topic, member, "n1")
            assert holds(admin, "n1") == {b"room:lobby", b"room:other"}
            await broker.leave(ROOM, "alice", "n1")
            assert holds(admin, "n1") == {b"room:lobby", b"room:other"}
            await broker.leave(ROOM, "bob", "n1")
            assert holds(admin, "n1") == {b"room:other"}
            await broker.renew("n1", 0.001)
            for held in await lost(worker):
                await broker.sweep(Held(held.holder, held.topic, ["alice"]), [None])
                assert holds(admin, "n1") == {b"room:other"}
                await broker.sweep(held, [None] * len(held.members))
            assert holds(admin, "n1") == set()
            assert sorted(admin.keys()) == [LAPSED.encode()]

    asyncio.run(main())


@pytest.mark.parametrize("gone", ["of:n1", "members"])
def test_what_was_evicted_of_a_dead_holders_is_no_obstacle(url: str, admin: Redis, gone: str) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            broker = worker.broker
            await broker.renew("n1", 0.001)
            for topic in (ROOM, OTHER):
                await broker.enter(topic, "alice", "n1")
            admin.delete(f"hubbub:{{hubbub:room:lobby}}:{gone}")
            found = await lost(worker)
            expected = {OTHER} if gone == "of:n1" else {ROOM, OTHER}
            assert {held.topic for held in found} == expected
            for held in found:
                assert await broker.sweep(held, [None]) == [True]
            assert await broker.lost(10) == []
            assert holds(admin, "n1") == set()
            assert admin.hlen("hubbub:{hubbub:room:lobby}:members") == (1 if gone == "of:n1" else 0)

    asyncio.run(main())


def test_leases_run_by_the_servers_clock(url: str, admin: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            monkeypatch.setattr(time, "time", lambda: 0.0)
            await worker.broker.renew("n1", 30)
            seconds, microseconds = admin.time()
            left = admin.zscore(LEASES, "n1") - (seconds * 1000 + microseconds / 1000)
            assert 29_000 < left <= 30_000

    asyncio.run(main())


def test_a_holder_is_in_one_of_two_sets_and_leaves_the_second_after_an_hour(url: str, admin: Redis) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            broker = worker.broker
            for holder in ("empty", "full"):
                await broker.renew(holder, 0.001)
            await broker.enter(ROOM, "alice", "full")
            (held,) = await lost(worker)
            assert not admin.exists(LEASES)
            now = admin.zscore(LAPSED, "full")
            for ago, left in ((HOUR_MS - 30_000, 2), (HOUR_MS + 1000, 1)):
                for holder in ("empty", "full"):
                    admin.zadd(LAPSED, {holder: now - ago})
                assert await broker.lost(10) == [held]
                assert admin.zcard(LAPSED) == left
            assert await broker.renew("empty", 60) is Renewal.NEW
            assert await broker.sweep(held, [None]) == [True]
            assert await broker.lost(10) == []
            assert not admin.exists(LAPSED)

    asyncio.run(main())


def test_a_sweep_of_somebody_never_heard_of_does_nothing(url: str) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            await worker.broker.enter(ROOM, "alice", "n1")
            assert await worker.broker.sweep(Held("n1", ROOM, ["alice", "bob"]), [None, None]) == [False, False]
            assert await worker.broker.members(ROOM) == ["alice"]

    asyncio.run(main())


def test_each_is_announced_on_the_topic_that_was_said(url: str) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            broker = worker.broker
            for topic in (ROOM, OTHER):
                await broker.subscribe(topic)
            await broker.renew("n1", 0.001)
            for member in ("alice", "bob", "carol"):
                await broker.enter(ROOM, member, "n1")
            (held,) = await lost(worker)
            notices: dict[str, Announcement | None] = {
                "alice": Announcement(ROOM, b"alice went"),
                "bob": None,
                "carol": Announcement(Topic(OTHER), b""),
            }
            assert await broker.sweep(held, [notices[member] for member in held.members]) == [True] * 3
            await until(lambda: len(worker.heard) == 2, "two are heard")
            assert sorted(worker.heard) == [(ROOM, b"alice went"), (OTHER, b"")]

    asyncio.run(main())
