"""What is shown of members on a server: nothing stays, and what one left who does not know of it harms nobody."""

from redis import Redis

from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.keys import Keys
from hubbub.types import room_topic
from tests.kit.brokers import started

ROOM = room_topic("lobby")


async def test_nothing_stays_of_those_who_went(url: str, admin: Redis) -> None:
    async with started(RedisBroker(url)) as peer:
        for holder in ("n1", "n2"):
            for member in ("ann", "bob"):
                await peer.broker.show(ROOM, member, holder, b"1 n2 3 {}")
        assert await peer.broker.shown(ROOM) == {"ann": b"1 n2 3 {}", "bob": b"1 n2 3 {}"}
        for holder in ("n1", "n2"):
            for member in ("ann", "bob"):
                await peer.broker.hide(ROOM, member, holder)
        assert admin.keys("*lobby*") == admin.keys("*holds*") == []


async def test_what_a_release_left_behind_that_does_not_know_of_it_is_not_seen(url: str, admin: Redis) -> None:
    shown = Keys("hubbub").shown(ROOM)
    async with started(RedisBroker(url)) as peer:
        await peer.broker.show(ROOM, "ann", "dead", b"old")
        await peer.broker.leave(ROOM, "ann", "dead")
        assert admin.hexists(shown, "ann")
        assert await peer.broker.shown(ROOM) == {}
        assert (await peer.broker.show(ROOM, "ann", "n1", b"")).first
        assert await peer.broker.shown(ROOM) == {"ann": b""}
        assert not admin.exists(shown)
