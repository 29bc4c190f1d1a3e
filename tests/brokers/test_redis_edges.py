"""Edges on a real server: how long they wait, and what becomes of them when it forgets."""

import asyncio

from redis import Redis

from hubbub.brokers.redis import RedisBroker
from hubbub.ports.broker import EDGES_KEPT, EDGES_KNOWN, LEFT_KNOWN
from hubbub.types import ONLINE
from tests.kit.brokers import running

EDGES, NUMBERS, ASKED, LEFT = (f"hubbub:{{hubbub}}:{what}" for what in ("edges", "numbers", "asked", "left"))


def test_all_that_is_kept_of_them_ends_by_itself(url: str, admin: Redis) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            broker = worker.broker
            await broker.edges(1)
            await broker.enter(ONLINE, "alice", "n1")
            await broker.leave(ONLINE, "alice", "n1")
            for key, known in ((EDGES, EDGES_KNOWN), (NUMBERS, EDGES_KNOWN), (ASKED, EDGES_KNOWN), (LEFT, LEFT_KNOWN)):
                assert known - 60 < admin.ttl(key) <= known
            admin.zincrby(LEFT, -LEFT_KNOWN * 1000, "alice")
            await broker.enter(ONLINE, "bob", "n1")
            await broker.leave(ONLINE, "bob", "n1")
            assert admin.zrange(LEFT, 0, -1) == [b"bob"]

    asyncio.run(main())


def test_asking_again_and_again_writes_nothing(url: str, admin: Redis) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            for _ in range(10):
                await worker.broker.edges(1)
            # Who asks no more was heard a quarter of an hour before at most.
            admin.pexpire(ASKED, round((EDGES_KNOWN - 900) * 1000))
            await worker.broker.edges(1)
            assert admin.info("commandstats")["cmdstat_set"]["calls"] == 2 + probes(admin)
            assert admin.ttl(ASKED) > EDGES_KNOWN - 60

    def probes(admin: Redis) -> int:
        return int(admin.info("commandstats")["cmdstat_incr"]["calls"])

    asyncio.run(main())


def test_more_than_may_wait_are_lost_from_the_oldest_and_counted(url: str, admin: Redis) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            broker = worker.broker
            # Few at a time: each has the broker's deadline from the moment it is asked.
            users = [f"u{number}" for number in range(EDGES_KEPT + 3)]
            for start in range(0, len(users), 200):
                some = users[start : start + 200]
                await asyncio.gather(*(broker.enter(ONLINE, user, "n1", edge=True) for user in some))
            lost, (edge,) = await broker.edges(1)
            assert lost == 3
            await broker.handled(edge.number)
            assert (await broker.edges(1)).lost == 0
            admin.delete(EDGES)
            assert await broker.edges(1) == (EDGES_KEPT - 1, [])

    asyncio.run(main())


def test_no_number_is_given_again_by_a_server_that_forgot(url: str, admin: Redis) -> None:
    async def main() -> None:
        async with running(RedisBroker(url)) as (worker,):
            broker = worker.broker
            numbers = []
            # The last as a replica that had not heard of the newest.
            behind = {"n": 1, "c": 1, "h": 0}
            for forget in (admin.flushall, lambda: admin.delete(NUMBERS), lambda: admin.hset(NUMBERS, mapping=behind)):
                await broker.leave(ONLINE, "alice", "n1")
                await broker.enter(ONLINE, "alice", "n1", edge=True)
                lost, edges = await broker.edges(10)
                assert lost == 0
                numbers += [edge.number for edge in edges]
                forget()
            admin.delete(EDGES)
            await broker.leave(ONLINE, "alice", "n1", edge=True)
            numbers += [edge.number for edge in (await broker.edges(10)).edges]
            assert len(numbers) >= 4
            assert numbers == sorted(set(numbers))

    asyncio.run(main())
