"""A right on the broker that is taken away in the middle of everything, and given back."""

from collections.abc import Awaitable, Callable

import pytest
from redis import Redis

from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.keys import Keys
from hubbub.errors import Unavailable
from hubbub.options import History
from hubbub.ports.broker import Announcement, Change
from hubbub.types import ONLINE, room_topic
from tests.kit.brokers import started
from tests.kit.rights import RIGHTS, as_documented, used_by_scripts
from tests.kit.waiting import until

ROOM = room_topic("lobby")
KEEP = History(size=10, ttl=60)

#: Each as it is taken away.
_IN_SCRIPTS = [f"-{right[1:]}" for right in RIGHTS if right[1:].upper() in used_by_scripts()]


def _now(admin: Redis) -> int:
    seconds, microseconds = admin.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


@pytest.mark.parametrize("right", ["resetchannels", *_IN_SCRIPTS])
async def test_what_is_refused_for_a_right_is_not_half_done(url: str, admin: Redis, right: str) -> None:
    """Each call is made without it, and where it is refused once more with it: it has happened once, and was told."""

    async def without_it(call: Callable[[], Awaitable[object]]) -> None:
        as_documented(admin, url, right)
        try:
            await call()
            refused = False
        except Unavailable:
            refused = True
        as_documented(admin, url)
        if refused:
            await call()

    async with (
        started(RedisBroker(url)) as hears,
        started(RedisBroker(as_documented(admin, url), probe=60, silence=100)) as worker,
    ):
        broker = worker.broker
        await hears.broker.subscribe(ROOM)
        await without_it(lambda: broker.publish(ROOM, b"said", keep=KEEP, idempotency_key="k"))
        await without_it(lambda: broker.revoke(b"word", 4e9, Announcement(ROOM, b"revoked")))
        joined, left = Announcement(ROOM, b"joined"), Announcement(ROOM, b"left")
        await without_it(lambda: broker.enter(ROOM, "ann", "here", joined))
        await without_it(lambda: broker.leave(ROOM, "ann", "here", left))
        for call in (broker.enter, broker.leave):
            await without_it(lambda call=call: call(ONLINE, "ann", "here", edge=True))
        change = Change(ROOM, b"<", b">")
        await without_it(lambda: broker.show(ROOM, "cid", "here", b"1", announce=joined, change=change))
        await without_it(lambda: broker.show(ROOM, "cid", "there", b"2", announce=joined, change=change))
        await without_it(lambda: broker.hide(ROOM, "cid", "there", left, change))
        await without_it(lambda: broker.hide(ROOM, "cid", "here", left, change))
        await without_it(lambda: broker.edges(10))
        await broker.enter(ROOM, "bob", "dead")
        await broker.show(ROOM, "eve", "here", b"1")
        await broker.show(ROOM, "eve", "dead", b"2")
        await broker.enter(ONLINE, "bob", "dead", edge=True)
        await broker.renew("dead", 0.001)
        await until(lambda: admin.zrangebyscore(Keys("hubbub").leases, 0, _now(admin) - 10), "the lease is over")

        async def sweep() -> None:
            for held in await broker.lost(10):
                for member in held.members:
                    notice = Announcement(ROOM, b"swept") if held.topic == ROOM else None
                    await broker.sweep(held._replace(members=[member]), [notice], [notice and change], edge=True)

        await without_it(sweep)
        await until(lambda: {*hears.data(ROOM)[-2:]} == {b"swept", b"<1>"}, "all is told")
        past = await broker.read(ROOM, KEEP, limit=10)
        assert (past.top.offset, [(entry.offset, entry.data) for entry in past.entries]) == (1, [(1, b"said")])
        assert hears.data(ROOM)[:-2] == [b"said", b"revoked", b"joined", b"left", b"joined", b"<2>", b"<1>", b"left"]
        assert [each.word for each in await broker.revoked(0, 10)] == [b"word"]
        assert await broker.shown(ROOM) == {"eve": b"1"}
        _, edges = await broker.edges(10)
        assert [(edge.member, edge.here) for edge in edges] == [
            (who, here) for who in ("ann", "bob") for here in (1, 0)
        ]
        assert None not in [await broker.last_left(who) for who in ("ann", "bob")]
        await without_it(lambda: broker.handled(edges[1].number))
        assert (await broker.edges(10)) == (0, edges[2:])
