"""What is promised of a topic that keeps history: positions, what is kept under them, and for how long."""

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from hubbub.options import History
from hubbub.ports.broker import Entry, Past
from hubbub.ports.epochs import begins, goes_on
from hubbub.testing.conformance.meeting import AWKWARD, OTHER, ROOM, Peer, eventually, marked, meeting
from hubbub.types import Position, room_topic

KEEP = History(size=100, ttl=60)


async def published(peer: Peer, count: int, keep: History = KEEP) -> Sequence[Position]:
    """So many messages on ROOM, `b"1"` and on."""
    found = [await peer.broker.publish(ROOM, b"%d" % (number + 1), keep=keep) for number in range(count)]
    return [position for position in found if position is not None]


def offsets(past: Past) -> list[int]:
    return [entry.offset for entry in past.entries]


class Histories:
    @meeting
    async def test_history_gives_each_message_the_next_position_and_everyone_with_it(
        self, here: Peer, there: Peer
    ) -> None:
        for peer in (here, there):
            await peer.broker.subscribe(ROOM)
        positions = [*await published(here, 3), *await published(there, 2)]
        assert [position.offset for position in positions] == [1, 2, 3, 4, 5]
        assert len({position.epoch for position in positions}) == 1
        await marked(here, there)
        data = [b"1", b"2", b"3", b"1", b"2"]
        for peer in (here, there):
            assert peer.kept == [(ROOM, *kept) for kept in zip(data, positions, strict=True)]
        past = await here.broker.read(ROOM, KEEP, limit=10)
        assert past.top == positions[-1]
        assert [*past.entries] == [Entry(at + 1, data[at]) for at in range(5)]

    @meeting
    async def test_history_is_one_order_without_a_hole_whoever_publishes(self, here: Peer, there: Peer) -> None:
        for peer in (here, there):
            await peer.broker.subscribe(ROOM)
        keep, count = History(size=1000, ttl=60), 250
        sent = [(peer, b"%s %d" % (name, at)) for at in range(count) for name, peer in ((b"h", here), (b"t", there))]
        found = await asyncio.gather(*(peer.broker.publish(ROOM, data, keep=keep) for peer, data in sent))
        positions = [position for position in found if position is not None]
        assert sorted(position.offset for position in positions) == [*range(1, 2 * count + 1)]
        await marked(here, there)
        assert here.kept == there.kept
        assert [position.offset for _, _, position in here.kept] == [*range(1, 2 * count + 1)]
        given = dict(zip([data for _, data in sent], positions, strict=True))
        assert {data: position for _, data, position in here.kept} == given
        # Asked one after the other by one worker, so they come one after the other.
        for peer in (here, there):
            own = [position.offset for (by, _), position in zip(sent, positions, strict=True) if by is peer]
            assert own == sorted(own)
        past = await here.broker.read(ROOM, keep, limit=1000)
        assert [(entry.offset, entry.data) for entry in past.entries] == [
            (position.offset, data) for _, data, position in here.kept
        ]

    @meeting
    async def test_history_keeps_its_order_among_what_is_not_kept(self, here: Peer, there: Peer) -> None:
        await here.broker.subscribe(ROOM)
        for base in (0, 30):
            await asyncio.gather(
                *(
                    there.broker.publish(ROOM, b"%d" % at, keep=KEEP if at % 3 else None)
                    for at in range(base, base + 30)
                )
            )
        await marked(here, there)
        assert here.data(ROOM) == [b"%d" % at for at in range(60)]
        assert [int(data) for _, data, _ in here.kept] == [at for at in range(60) if at % 3]
        assert offsets(await there.broker.read(ROOM, KEEP, limit=100)) == [*range(1, 41)]

    @meeting
    async def test_history_of_a_topic_is_its_own(self, here: Peer, there: Peer) -> None:
        topics = [room_topic(name) for name in AWKWARD]
        for topic in topics:
            data = topic.encode("utf-8", "surrogatepass")
            assert (await here.broker.publish(topic, data, keep=KEEP, idempotency_key="k")) is not None
        for topic in topics:
            past = await there.broker.read(topic, KEEP, limit=10)
            assert [*past.entries] == [Entry(1, topic.encode("utf-8", "surrogatepass"))]

    @meeting
    async def test_history_carries_any_bytes(self, here: Peer, there: Peer) -> None:
        await here.broker.subscribe(ROOM)
        bodies = [b"", b"\0", b":", b"\x01\xff", b"\x01\xffe:1:x", bytes(range(256)), b"\r\n" * 100, bytes(300_000)]
        for data in bodies:
            await there.broker.publish(ROOM, data, keep=KEEP)
        await asyncio.gather(*(there.broker.publish(ROOM, data, keep=KEEP) for data in bodies))
        await marked(here, there)
        assert [data for _, data, _ in here.kept] == 2 * bodies
        past = await here.broker.read(ROOM, KEEP, limit=100)
        assert [entry.data for entry in past.entries] == 2 * bodies

    @meeting
    async def test_history_that_is_read_first_has_an_epoch_which_stays(self, here: Peer, there: Peer) -> None:
        past = await here.broker.read(ROOM, KEEP, limit=10)
        assert (past.top.offset, [*past.entries]) == (0, [])
        assert past.top.epoch
        assert past.top.epoch.isascii()
        assert ":" not in past.top.epoch
        again = await there.broker.read(ROOM, KEEP, since=0, limit=10, reverse=True)
        assert begins(past.top, again.top)
        (first,) = await published(there, 1)
        assert first.offset == 1
        assert begins(past.top, first)
        assert begins(again.top, first)

    @meeting
    async def test_history_that_was_lost_before_it_began_does_not_go_on(self, here: Peer, there: Peer) -> None:
        past = await here.broker.read(ROOM, KEEP, limit=10)
        assert await there.broker.publish(ROOM, b"not kept", keep=False) is None
        after = await here.broker.read(ROOM, KEEP, limit=10)
        assert after.top.offset == 0
        assert not begins(past.top, after.top)
        (first,) = await published(there, 1)
        assert not begins(past.top, first)
        assert begins(after.top, first)

    @meeting
    async def test_history_has_one_epoch_among_many_first_ones(self, here: Peer, there: Peer) -> None:
        peers = (here, there) * 10
        found = await asyncio.gather(
            *(peer.broker.read(ROOM, KEEP, limit=1) for peer in peers),
            *(peer.broker.publish(OTHER, b"x", keep=KEEP) for peer in peers),
        )
        (epoch,) = {position.epoch for position in found if isinstance(position, Position)}
        # Or of the day before, which has just ended.
        assert all(goes_on(past.top.epoch, epoch) for past in found if isinstance(past, Past))

    @meeting
    async def test_history_is_read_from_where_and_as_far_as_was_asked(self, here: Peer, there: Peer) -> None:
        keep = History(size=10, ttl=60)
        await published(here, 15, keep)

        async def read(since: int | None, limit: int, reverse: bool = False, size: int = 10) -> list[int]:
            rule = History(size=size, ttl=60)
            past = await there.broker.read(ROOM, rule, since=since, limit=limit, reverse=reverse)
            assert past.top.offset == 15
            assert all(entry.data == b"%d" % entry.offset for entry in past.entries)
            return offsets(past)

        everything = [*range(6, 16)]
        assert await read(None, 100) == everything
        assert await read(0, 100) == everything
        assert await read(None, 3) == [6, 7, 8]
        assert await read(8, 3) == [9, 10, 11]
        assert await read(13, 3) == [14, 15]
        assert await read(15, 3) == await read(99, 3) == []
        assert await read(None, 0) == await read(None, 0, reverse=True) == []
        assert await read(None, 100, reverse=True) == everything[::-1]
        assert await read(None, 3, reverse=True) == [15, 14, 13]
        assert await read(99, 3, reverse=True) == [15, 14, 13]
        assert await read(9, 2, reverse=True) == [8, 7]
        assert await read(7, 9, reverse=True) == [6]
        assert await read(6, 9, reverse=True) == await read(0, 9, reverse=True) == []
        # Never more than the rule of who reads.
        assert await read(None, 100, size=4) == [12, 13, 14, 15]
        assert await read(8, 2, size=4) == [12, 13]
        assert await read(None, 100, reverse=True, size=4) == [15, 14, 13, 12]
        assert await read(14, 100, reverse=True, size=4) == [13, 12]

    @meeting
    async def test_history_is_read_in_pages(self, here: Peer, there: Peer) -> None:
        await published(here, 50)
        for reverse in (False, True):
            found: list[int] = []
            since = None
            while page := offsets(await there.broker.read(ROOM, KEEP, since=since, limit=7, reverse=reverse)):
                found += page
                since = page[-1]
            assert found == ([*range(50, 0, -1)] if reverse else [*range(1, 51)])

    @meeting
    async def test_history_forgets_what_is_too_old_and_not_the_position(self, here: Peer, there: Peer) -> None:
        short = History(size=10, ttl=0.3)
        *_, last = await published(here, 3, short)
        past = await eventually(lambda: there.broker.read(ROOM, short, limit=10), lambda past: not past.entries)
        assert past.top == last
        assert (await there.broker.read(ROOM, KEEP, limit=10, reverse=True)).top == last

        async def young() -> Past:
            await there.broker.publish(ROOM, b"next", keep=short)
            return await here.broker.read(ROOM, KEEP, limit=10)

        past = await eventually(young, lambda past: bool(past.entries))
        assert past.top.offset >= 4
        assert past == Past(Position(last.epoch, past.top.offset), [Entry(past.top.offset, b"next")])

    @meeting
    async def test_history_forgets_the_old_though_the_new_keep_coming(self, here: Peer, there: Peer) -> None:
        short = History(size=10_000, ttl=0.3)
        await published(here, 5, short)

        async def only_the_young(had: int, reverse: bool) -> Past | None:
            await here.broker.publish(ROOM, b"x", keep=short)
            past = await there.broker.read(ROOM, short, limit=10_000, reverse=reverse)
            return past if past.entries and had not in offsets(past) else None

        for reverse in (False, True):
            had = (await there.broker.read(ROOM, short, limit=1)).top.offset
            past = await eventually(partial(only_the_young, had, reverse), bool)
            assert past is not None
            found = offsets(past)[::-1] if reverse else offsets(past)
            assert found[-1] == past.top.offset
            assert all(after == before + 1 for before, after in pairwise(found))

    @meeting
    async def test_history_publishes_once_for_an_idempotency_key(self, here: Peer, there: Peer) -> None:
        await here.broker.subscribe(ROOM)
        one = await here.broker.publish(ROOM, b"one", keep=KEEP, idempotency_key="a")
        assert await there.broker.publish(ROOM, b"again", keep=KEEP, idempotency_key="a") == one
        two = await there.broker.publish(ROOM, b"two", keep=KEEP, idempotency_key="a:b")
        await there.broker.publish(ROOM, b"three", keep=KEEP)
        assert await here.broker.publish(ROOM, b"again", keep=KEEP, idempotency_key="a") == one != two
        assert await here.broker.publish(OTHER, b"other", keep=KEEP, idempotency_key="a") is not None
        await marked(here, there)
        assert here.data(ROOM) == [b"one", b"two", b"three"]
        assert offsets(await here.broker.read(ROOM, KEEP, limit=10)) == [1, 2, 3]
        assert offsets(await here.broker.read(OTHER, KEEP, limit=10)) == [1]

    @meeting
    async def test_history_publishes_once_for_a_key_however_many_try_at_once(self, here: Peer, there: Peer) -> None:
        await there.broker.subscribe(ROOM)
        peers = (here, there) * 20
        keyed = [peer.broker.publish(ROOM, b"once", keep=KEEP, idempotency_key="k") for peer in peers]
        plain = [peer.broker.publish(ROOM, b"each", keep=KEEP) for peer in peers]
        found = await asyncio.gather(*(publish for both in zip(keyed, plain, strict=True) for publish in both))
        assert len(set(found[::2])) == 1
        assert len(set(found)) == 1 + 40
        await marked(here, there)
        assert there.data(ROOM).count(b"once") == 1
        assert (await here.broker.read(ROOM, KEEP, limit=1)).top.offset == 41

    @meeting
    async def test_history_that_went_back_goes_on_under_another_epoch_and_once(self, here: Peer, there: Peer) -> None:
        *_, last = await published(here, 3)
        assert await there.broker.turn_back(ROOM, KEEP, "unknown") == last
        peers = (here, there) * 10
        found = await asyncio.gather(*(peer.broker.turn_back(ROOM, KEEP, last.epoch) for peer in peers))
        (now,) = set(found)
        assert now.epoch != last.epoch
        assert now.offset == 3
        past = await here.broker.read(ROOM, KEEP, limit=10)
        assert past.top == now
        assert [entry.data for entry in past.entries] == [b"1", b"2", b"3"]
        assert await published(there, 1) == [Position(now.epoch, 4)]

    @meeting
    async def test_history_that_is_turned_back_first_has_an_epoch(self, here: Peer, there: Peer) -> None:
        now = await here.broker.turn_back(ROOM, KEEP, "gone")
        assert now.offset == 0
        assert now.epoch not in ("", "gone")
        assert (await there.broker.read(ROOM, KEEP, limit=1)).top == now

    @meeting
    async def test_history_that_is_given_up_is_forgotten_before_the_message_goes_out(
        self, here: Peer, there: Peer
    ) -> None:
        *_, last = await published(here, 3)
        await there.broker.subscribe(ROOM)
        found = await asyncio.gather(*(here.broker.publish(ROOM, b"%d" % at, keep=False) for at in range(3)))
        assert found == [None, None, None]
        await marked(here, there)
        assert there.data(ROOM) == [b"0", b"1", b"2"]
        past = await there.broker.read(ROOM, KEEP, limit=10)
        assert (past.top.offset, [*past.entries]) == (0, [])
        assert past.top.epoch != last.epoch
        assert await here.broker.publish(OTHER, b"x", keep=False) is None
