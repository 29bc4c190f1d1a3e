"""What is kept on a server that forgets: its position, its messages, everything, or because it is full."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.errors import Unavailable
from hubbub.options import History
from hubbub.ports.broker import Announcement, Entry, Renewal
from hubbub.ports.epochs import begins, goes_on
from hubbub.types import Position, room_topic
from tests.kit.brokers import Worker, eventually, running
from tests.kit.refusing import FULL_MEMORY
from tests.kit.waiting import until

ROOM = room_topic("lobby")
KEEP = History(size=5, ttl=60)
META, STREAM, DID = (f"hubbub:{{hubbub:room:lobby}}:{what}" for what in ("meta", "stream", "did:k"))
BEGUN = "hubbub:{hubbub}:begun"
DAY_MS = 24 * 60 * 60 * 1000


async def publish(worker: Worker, data: bytes = b"x", keep: History = KEEP, key: str | None = None) -> Position:
    position = await worker.broker.publish(ROOM, data, keep=keep, idempotency_key=key)
    assert position is not None
    return position


async def offsets(worker: Worker, keep: History = KEEP, since: int | None = None) -> list[int]:
    return [entry.offset for entry in (await worker.broker.read(ROOM, keep, since=since, limit=100)).entries]


@asynccontextmanager
async def worker_with(url: str, count: int) -> AsyncIterator[tuple[Worker, Position]]:
    """A worker that is subscribed and has published so much, and the last position."""
    async with running(RedisBroker(url)) as (worker,):
        await worker.broker.subscribe(ROOM)
        for number in range(count):
            last = await publish(worker, b"%d" % (number + 1))
        yield worker, last


class TestWhatIsLost:
    def test_is_the_position_alone_then_another_epoch_begins_with_nothing(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            for first in ("read", "publish", "turn_back"):
                admin.flushdb()
                async with worker_with(url, 7) as (worker, last):
                    admin.delete(META)
                    if first == "read":
                        past = await worker.broker.read(ROOM, KEEP, limit=10)
                        assert (past.top.offset, [*past.entries]) == (0, [])
                        assert past.top.epoch != last.epoch
                    elif first == "turn_back":
                        assert (await worker.broker.turn_back(ROOM, KEEP, last.epoch)).offset == 0
                    position = await publish(worker, b"new")
                    assert position.offset == 1
                    assert position.epoch != last.epoch
                    past = await worker.broker.read(ROOM, KEEP, limit=10)
                    assert (past.top, [*past.entries]) == (position, [Entry(1, b"new")])

        asyncio.run(main())

    def test_is_the_stream_alone_then_the_hole_shows(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with worker_with(url, 3) as (worker, last):
                admin.delete(STREAM)
                past = await worker.broker.read(ROOM, KEEP, since=1, limit=10)
                assert (past.top, [*past.entries]) == (last, [])
                assert await publish(worker) == Position(last.epoch, 4)
                assert await offsets(worker, since=1) == [4]

        asyncio.run(main())

    @pytest.mark.parametrize("how", ["both keys", "everything"])
    def test_is_all_of_it_then_another_epoch_begins(self, url: str, admin: Redis, how: str) -> None:
        async def main() -> None:
            async with worker_with(url, 3) as (worker, last):
                if how == "both keys":
                    admin.delete(META, STREAM)
                else:
                    admin.flushall()
                position = await publish(worker)
                assert position.offset == 1
                assert position.epoch != last.epoch
                assert await offsets(worker) == [1]

        asyncio.run(main())

    def test_is_the_oldest_then_what_is_left_is_shown(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with worker_with(url, 5) as (worker, last):
                admin.xtrim(STREAM, maxlen=2, approximate=False)
                assert await offsets(worker, since=0) == [4, 5]
                admin.xdel(STREAM, "4-0")
                assert await offsets(worker, since=0) == [5]
                assert (await worker.broker.read(ROOM, KEEP, limit=1)).top == last

        asyncio.run(main())

    def test_does_not_take_what_an_idempotency_key_stood_for(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with worker_with(url, 1) as (worker, _):
                first = await publish(worker, b"once", key="k")
                admin.delete(META, STREAM)
                assert await publish(worker, b"again", key="k") == first
                await publish(worker, b"mark")
                await until(lambda: worker.data(ROOM) == [b"1", b"once", b"mark"], "the mark, and nothing again")

        asyncio.run(main())

    def test_of_an_older_state_is_turned_back_to_another_epoch(self, url: str, admin: Redis) -> None:
        """As after a failover to a replica that had not heard the last of it."""

        async def main() -> None:
            async with worker_with(url, 3) as (worker, _):
                older = {key: admin.dump(key) for key in (META, STREAM)}
                last = await publish(worker)
                for key, state in older.items():
                    admin.restore(key, 60_000, state, replace=True)
                now = await worker.broker.turn_back(ROOM, KEEP, last.epoch)
                assert admin.pttl(META) > DAY_MS
                assert now.offset == 3
                assert now.epoch != last.epoch
                assert await offsets(worker) == [1, 2, 3]
                assert await publish(worker) == Position(now.epoch, 4)

        asyncio.run(main())


class TestTime:
    def test_ends_the_messages_first_and_the_position_a_day_after_them(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with worker_with(url, 3) as (worker, last):
                assert 59_000 < admin.pttl(STREAM) <= 60_000
                assert DAY_MS + 59_000 < admin.pttl(META) <= DAY_MS + 60_000
                admin.pexpire(META, 1000)
                past = await worker.broker.read(ROOM, KEEP, limit=1)
                assert past.top == last
                assert admin.pttl(META) > DAY_MS + 59_000
                admin.pexpire(STREAM, 1)
                await eventually(lambda: offsets(worker), lambda found: not found)
                assert await publish(worker) == Position(last.epoch, 4)

        asyncio.run(main())

    def test_takes_what_is_too_old_out_of_the_stream_a_part_at_a_time(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            keep = History(size=1000, ttl=60)
            async with worker_with(url, 1) as (worker, last):
                admin.delete(STREAM)
                old = int(time.time() * 1000) - 61_000
                for offset in range(2, 152):
                    admin.xadd(STREAM, {"d": b"old", "t": old}, id=f"{offset}-0")
                admin.hset(META, "s", 151)
                for offset in (152, 153):
                    admin.xadd(STREAM, {"d": b"young", "t": old + 60_000}, id=f"{offset}-0")
                admin.hset(META, "s", 153)
                assert await offsets(worker, keep) == [152, 153]
                for reverse in (False, True):
                    past = await worker.broker.read(ROOM, keep, since=None, limit=1, reverse=reverse)
                    assert [entry.offset for entry in past.entries] == [153 if reverse else 152]
                    past = await worker.broker.read(ROOM, keep, since=100, limit=9, reverse=reverse)
                    assert [entry.offset for entry in past.entries] == ([] if reverse else [152, 153])
                assert admin.xlen(STREAM) == 152
                assert await publish(worker, keep=keep) == Position(last.epoch, 154)
                assert admin.xlen(STREAM) == 53
                await publish(worker, keep=keep)
                assert admin.xlen(STREAM) == 4
                assert await offsets(worker, keep) == [152, 153, 154, 155]

        asyncio.run(main())

    def test_ends_what_an_idempotency_key_stood_for(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with worker_with(url, 1) as (worker, last):
                assert await publish(worker, key="k") == Position(last.epoch, 2)
                assert 299_000 < admin.pttl(DID) <= 300_000
                admin.pexpire(DID, 100_000)
                assert await publish(worker, key="k") == Position(last.epoch, 2)
                assert admin.pttl(DID) <= 100_000
                admin.pexpire(DID, 1)
                found = await eventually(lambda: publish(worker, key="k"), lambda position: position.offset > 2)
                assert found == Position(last.epoch, 3)

        asyncio.run(main())

    def test_is_the_servers(self, url: str, admin: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        async def main() -> None:
            async with worker_with(url, 1) as (worker, _):
                monkeypatch.setattr(time, "time", lambda: 0.0)
                await publish(worker)
                assert await offsets(worker) == [1, 2]

        asyncio.run(main())


class TestBeforeTheFirstMessage:
    def test_nothing_is_kept(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                tops = {(await worker.broker.read(room_topic(f"{n}"), KEEP, limit=1)).top for n in range(300)}
                assert len(tops) == 1
                assert admin.keys("*") == [BEGUN.encode()]
                assert admin.zcard(BEGUN) == 1
                assert 2 * DAY_MS < admin.pttl(BEGUN) <= 3 * DAY_MS

        asyncio.run(main())

    @pytest.mark.parametrize("lost", [(), (META,), (META, STREAM), (BEGUN,), (META, STREAM, BEGUN)])
    def test_a_position_goes_on_unless_anything_was_lost_since(
        self, url: str, admin: Redis, lost: tuple[str, ...]
    ) -> None:
        """Whatever of it a server forgets, evicts or loses, and whether or not the first message is there already."""

        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                before = (await worker.broker.read(ROOM, KEEP, limit=1)).top
                first = await publish(worker)
                assert begins(before, first)
                if lost:
                    admin.delete(*lost)
                after = (await worker.broker.read(ROOM, KEEP, limit=1)).top
                assert goes_on(first.epoch, after.epoch) is goes_on(before.epoch, after.epoch)
                assert goes_on(before.epoch, after.epoch) is (META not in lost)
                again = await publish(worker)
                assert goes_on(before.epoch, again.epoch) is (META not in lost)

        asyncio.run(main())

    def test_what_began_is_remembered_for_two_days(self, url: str, admin: Redis) -> None:
        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                await publish(worker)
                began = admin.zscore(BEGUN, META)
                admin.zadd(BEGUN, {"old": began - 2 * DAY_MS - 1, "young": began - 2 * DAY_MS + 60_000})
                await worker.broker.publish(room_topic("other"), b"x", keep=KEEP)
                assert admin.zscore(BEGUN, "old") is None
                assert admin.zscore(BEGUN, "young") is not None
                assert admin.zcard(BEGUN) == 4

        asyncio.run(main())

    def test_of_very_many_that_began_no_more_is_remembered(self, url: str, admin: Redis) -> None:
        """Clients may bring about as many as they like. Those of before go on, unless they are lost."""

        async def main() -> None:
            async with running(RedisBroker(url)) as (worker,):
                before = (await worker.broker.read(ROOM, KEEP, limit=1)).top
                first = await publish(worker)
                now = admin.zscore(BEGUN, META)
                for part in range(5):
                    admin.zadd(BEGUN, {f"{part}:{number}": now for number in range(50_000)})
                await worker.broker.publish(room_topic("other"), b"x", keep=KEEP)
                assert admin.zcard(BEGUN) == 1
                assert await publish(worker) == Position(first.epoch, 2)
                admin.delete(META)
                after = (await worker.broker.read(ROOM, KEEP, limit=1)).top
                assert not goes_on(before.epoch, after.epoch)

        asyncio.run(main())


def test_the_layout_is_what_other_programs_and_releases_rely_on(url: str, admin: Redis) -> None:
    async def main() -> None:
        async with worker_with(url, 2) as (worker, last):
            await publish(worker, b"third", key="k")
            (*_, (id_, fields)) = admin.xrange(STREAM)
            assert (id_, fields[b"d"]) == (b"3-0", b"third")
            assert abs(int(fields[b"t"]) - time.time() * 1000) < 60_000
            assert admin.hgetall(META) == {b"e": last.epoch.encode(), b"s": b"3"}
            assert admin.get(DID) == f"{last.epoch}:3".encode()
            assert admin.zscore(BEGUN, META) is not None
            assert admin.dbsize() == 4

    asyncio.run(main())


def test_a_full_server_refuses_what_grows_and_lets_people_go(valkey: EmbeddedValkey) -> None:
    """At `maxmemory` without eviction: a typed error for messages, and no ghost and no false death for lack of room."""

    async def main() -> None:
        with Redis.from_url(valkey.url) as admin:
            # Connected before descriptors are counted.
            admin.ping()
            async with worker_with(valkey.url, 2) as (worker, last):
                broker = worker.broker
                for holder in ("n1", "n2"):
                    await broker.renew(holder, 60)
                    for member in ("alice", "bob"):
                        await broker.enter(ROOM, member, holder)
                await broker.renew("n2", 0.001)
                with FULL_MEMORY.by(admin):
                    asks = [
                        broker.publish(ROOM, b"secret", keep=KEEP),
                        broker.publish(ROOM, b"secret", keep=KEEP, idempotency_key="k"),
                        broker.publish(room_topic("new"), b"secret", keep=KEEP),
                        broker.enter(ROOM, "carol", "n1"),
                    ]
                    for refused in await asyncio.gather(*asks, return_exceptions=True):
                        assert isinstance(refused, Unavailable)
                        assert "OOM" in str(refused.__cause__)
                        assert "secret" not in str(refused.__cause__)
                    # What is there can be read, and what was not kept goes out.
                    assert await offsets(worker) == [1, 2]
                    assert (await broker.read(room_topic("empty"), KEEP, limit=1)).top.offset == 0
                    assert await broker.publish(ROOM, b"plain") is None
                    assert await broker.publish(room_topic("gone"), b"plain", keep=False) is None
                    assert await broker.renew("n1", 60) is Renewal.KEPT
                    (held,) = await eventually(lambda: broker.lost(10), bool)
                    assert await broker.sweep(held, [None, None]) == [False, False]
                    assert await broker.leave(ROOM, "alice", "n1", Announcement(ROOM, b"went"))
                    await until(lambda: worker.data(ROOM)[2:] == [b"plain", b"went"], "both are heard")
                assert await publish(worker) == Position(last.epoch, 3)
                assert await broker.members(ROOM) == ["bob"]

    asyncio.run(main())
