"""What is revoked, on a Redis: in bounds, and gone when nothing of it is to be remembered."""

import time

import pytest
from redis import Redis

from hubbub.brokers.redis import RedisBroker, broker
from hubbub.brokers.redis.keys import Keys
from hubbub.errors import Unavailable
from hubbub.ports.broker import Announcement
from hubbub.types import room_topic
from tests.kit.brokers import started
from tests.kit.waiting import until

ROOM = room_topic("lobby")


def said(data: bytes) -> Announcement:
    return Announcement(ROOM, data)


async def test_no_more_are_remembered_than_there_is_room_for(
    url: str, admin: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "REVOCATIONS_KEPT", 2)
    later = time.time() + 3600
    async with started(RedisBroker(url)) as worker:
        await worker.broker.subscribe(ROOM)
        await worker.broker.revoke(b"one", later, said(b"1"))
        await worker.broker.revoke(b"two", later, said(b"2"))
        with pytest.raises(Unavailable, match="remembered already"):
            await worker.broker.revoke(b"three", later, said(b"never"))
        await worker.broker.revoke(b"one", later, said(b"3"))
        assert [each.word for each in await worker.broker.revoked(0, 10)] == [b"two", b"one"]
        # One of them runs out, and makes room.
        admin.zadd(Keys("hubbub").revoked, {b"two": 1})
        await worker.broker.revoke(b"three", later, said(b"4"))
        assert [each.word for each in await worker.broker.revoked(0, 10)] == [b"one", b"three"]
        await worker.broker.publish(ROOM, b"end")
        await until(lambda: worker.data(ROOM) == [b"1", b"2", b"3", b"4", b"end"], "all is told")


async def test_its_keys_end_with_what_ends_last(url: str, admin: Redis) -> None:
    keys = Keys("hubbub")
    async with started(RedisBroker(url)) as worker:
        now = time.time()
        for word, seconds in ((b"a", 100), (b"b", 3000), (b"c", 10)):
            await worker.broker.revoke(word, now + seconds, said(word))
        for key in (keys.revoked, keys.revocations):
            assert 2900 <= admin.ttl(key) <= 3000


async def test_a_number_is_above_all_that_were_given_whatever_the_clock_says(url: str, admin: Redis) -> None:
    async with started(RedisBroker(url)) as worker:
        await worker.broker.revoke(b"a", time.time() + 60, said(b"a"))
        ahead = (int(time.time()) + 3600) * 1_000_000
        admin.zadd(Keys("hubbub").revocations, {b"a": ahead})
        await worker.broker.revoke(b"b", time.time() + 60, said(b"b"))
        assert await worker.broker.revoked(ahead, 10) == [(ahead + 1, b"b")]
