"""What is promised of leases: what a dead holder held is found, and told once; what a living one holds is not."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence

from hubbub.ports.broker import Announcement, Held, Renewal
from hubbub.testing.conformance.meeting import AWKWARD, OTHER, ROOM, Peer, eventually, marked, meeting
from hubbub.types import Topic, room_topic

#: Seconds of a lease that is to run out in a test, and of one that is not.
SHORT, LONG = 0.1, 60.0


def went(held: Held) -> list[Announcement | None]:
    return [Announcement(ROOM, b"went " + member.encode()) for member in held.members]


def triples(found: Sequence[Held]) -> list[tuple[str, Topic, str]]:
    return [(held.holder, held.topic, member) for held in found for member in held.members]


async def swept(peer: Peer) -> list[str]:
    """Sweep until nothing is found: whose last holder it was."""
    lasts = []
    while found := await peer.broker.lost(7):
        for held in found:
            told = await peer.broker.sweep(held, went(held))
            assert len(told) == len(held.members)
            lasts += [member for member, last in zip(held.members, told, strict=True) if last]
    return lasts


class Leases:
    @meeting
    async def test_leases_are_new_then_kept(self, here: Peer, there: Peer) -> None:
        assert await here.broker.renew("n1", LONG) is Renewal.NEW
        assert await there.broker.renew("n1", LONG) is Renewal.KEPT
        assert await there.broker.renew("n2", LONG) is Renewal.NEW
        await here.broker.enter(ROOM, "alice", "n1")
        assert await there.broker.lost(10) == []

    @meeting
    async def test_leases_that_ran_out_show_what_was_held(self, here: Peer, there: Peer) -> None:
        await here.broker.renew("living", LONG)
        await here.broker.renew("dead", SHORT)
        for topic in (ROOM, OTHER):
            for member in ("alice", "bob"):
                await here.broker.enter(topic, member, "dead")
                await here.broker.enter(topic, member, "living")
        await here.broker.enter(OTHER, "carol", "dead")
        await here.broker.leave(OTHER, "bob", "dead")
        found = await eventually(lambda: there.broker.lost(10), bool)
        expected = [(ROOM, "alice"), (ROOM, "bob"), (OTHER, "alice"), (OTHER, "carol")]
        assert sorted(triples(found)) == sorted(("dead", topic, member) for topic, member in expected)
        # Looking changes nothing of what is there.
        assert sorted(triples(await here.broker.lost(10))) == sorted(triples(found))
        assert await here.broker.members(ROOM) == ["alice", "bob"]

    @meeting
    async def test_leases_that_ran_out_just_now_may_be_left_alone(self, here: Peer, there: Peer) -> None:
        for name in ("dead", "gone"):
            await here.broker.renew(name, SHORT)
            await here.broker.enter(ROOM, f"{name}'s", name)
        await eventually(lambda: there.broker.lost(10), lambda found: len(triples(found)) == 2)
        assert await there.broker.lost(10, ago=LONG) == []
        # Whether somebody has found them before or not.
        await here.broker.renew("late", SHORT)
        await here.broker.enter(ROOM, "late's", "late")
        assert await there.broker.lost(10, ago=LONG) == []
        found = await eventually(
            lambda: there.broker.lost(10, ago=SHORT), lambda found: len({each.holder for each in found}) == 3
        )
        assert sorted(each.holder for each in found) == ["dead", "gone", "late"]

    @meeting
    async def test_leases_are_swept_with_what_nobody_else_holds_announced_once(self, here: Peer, there: Peer) -> None:
        await here.broker.subscribe(ROOM)
        await here.broker.renew("n1", LONG)
        await here.broker.renew("n2", SHORT)
        for member in ("alice", "bob", "carol"):
            await here.broker.enter(ROOM, member, "n2")
        await here.broker.enter(ROOM, "bob", "n1")
        await eventually(lambda: here.broker.lost(10), bool)
        assert sorted(await swept(there)) == ["alice", "carol"]
        assert await there.broker.members(ROOM) == ["bob"]
        await marked(here, there)
        assert sorted(here.data(ROOM)) == [b"went alice", b"went carol"]

    @meeting
    async def test_leases_are_swept_without_a_word_where_none_is_given(self, here: Peer, there: Peer) -> None:
        await here.broker.subscribe(ROOM)
        await here.broker.renew("n1", SHORT)
        await here.broker.enter(ROOM, "alice", "n1")
        (held,) = await eventually(lambda: here.broker.lost(10), bool)
        assert await here.broker.sweep(held, [None]) == [True]
        assert await there.broker.sweep(held, [None]) == [False]
        await marked(here, there)
        assert here.data(ROOM) == []
        assert await here.broker.lost(10) == []

    @meeting
    async def test_leases_are_swept_once_by_many_sweepers_at_once(self, here: Peer, there: Peer) -> None:
        for peer in (here, there):
            await peer.broker.subscribe(ROOM)
        members = [f"u{number}" for number in range(40)]
        for holder in ("n1", "n2"):
            await here.broker.renew(holder, SHORT)
            await asyncio.gather(*(here.broker.enter(ROOM, member, holder) for member in members))
        await eventually(lambda: here.broker.lost(1000), lambda found: len(triples(found)) == 80)
        lasts = await asyncio.gather(*(swept(peer) for peer in (here, there) * 5))
        assert sorted(member for some in lasts for member in some) == sorted(members)
        assert await here.broker.count(ROOM) == 0
        await marked(here, there)
        for peer in (here, there):
            assert sorted(peer.data(ROOM)) == sorted(b"went " + member.encode() for member in members)

    @meeting
    async def test_leases_that_are_renewed_before_they_are_swept_are_not(self, here: Peer, there: Peer) -> None:
        await here.broker.subscribe(ROOM)
        await here.broker.renew("n1", SHORT)
        for member in ("alice", "bob"):
            await here.broker.enter(ROOM, member, "n1")
        (held,) = await eventually(lambda: there.broker.lost(10), bool)
        assert await here.broker.renew("n1", LONG) is Renewal.LOST
        assert await here.broker.renew("n1", LONG) is Renewal.KEPT
        assert await there.broker.sweep(held, went(held)) == [False, False]
        assert await there.broker.lost(10) == []
        assert await there.broker.members(ROOM) == ["alice", "bob"]
        await marked(here, there)
        assert here.data(ROOM) == []

    @meeting
    async def test_leases_that_ran_out_unnoticed_go_on(self, here: Peer, there: Peer) -> None:
        await here.broker.renew("n1", SHORT)
        await here.broker.renew("mark", SHORT)
        await here.broker.enter(ROOM, "alice", "n1")
        # Nobody looked: what is over by the clock alone has done no harm.
        await asyncio.sleep(2 * SHORT)
        assert await here.broker.renew("n1", LONG) is Renewal.KEPT
        assert await there.broker.lost(10) == []
        assert await there.broker.renew("mark", LONG) is Renewal.LOST

    @meeting
    async def test_leases_that_were_lost_are_said_so_once_though_nothing_is_left(self, here: Peer, there: Peer) -> None:
        await here.broker.renew("n1", SHORT)
        await here.broker.enter(ROOM, "alice", "n1")
        await eventually(lambda: there.broker.lost(10), bool)
        assert await swept(there) == ["alice"]
        # It was frozen, and what it had asked for comes late: found again, because nobody believes it yet.
        assert await here.broker.enter(ROOM, "bob", "n1")
        assert triples(await there.broker.lost(10)) == [("n1", ROOM, "bob")]
        assert await here.broker.renew("n1", SHORT) is Renewal.LOST
        assert await here.broker.renew("n1", SHORT) is Renewal.KEPT
        assert await here.broker.enter(ROOM, "alice", "n1")
        found = await eventually(lambda: there.broker.lost(10), bool)
        assert sorted(triples(found)) == [("n1", ROOM, "alice"), ("n1", ROOM, "bob")]
        assert await here.broker.renew("n1", LONG) is Renewal.LOST

    @meeting
    async def test_leases_are_found_in_portions(self, here: Peer, there: Peer) -> None:
        for holder in ("n1", "n2"):
            await here.broker.renew(holder, SHORT)
            for topic in (ROOM, OTHER):
                for number in range(5):
                    await here.broker.enter(topic, f"u{number}", holder)
        await eventually(lambda: there.broker.lost(1000), lambda found: len(triples(found)) == 20)
        sizes = []
        while found := await there.broker.lost(6):
            assert all(held.members for held in found)
            assert len(set(triples(found))) == len(triples(found))
            sizes.append(len(triples(found)))
            for held in found:
                await there.broker.sweep(held, [None] * len(held.members))
        # About: never none while something is left, and never everything at once.
        assert sum(sizes) == 20
        assert max(sizes) <= 12
        assert await here.broker.count(ROOM) == await here.broker.count(OTHER) == 0

    @meeting
    async def test_leases_of_awkward_names_are_told_apart(self, here: Peer, there: Peer) -> None:
        names = AWKWARD[:6]
        for holder in AWKWARD:
            await here.broker.renew(holder, SHORT)
        entered = [(holder, room_topic(room), member) for holder in AWKWARD for room in names for member in names]
        await asyncio.gather(*(here.broker.enter(topic, member, holder) for holder, topic, member in entered))
        found = await eventually(lambda: there.broker.lost(10_000), lambda found: len(triples(found)) == len(entered))
        assert sorted(triples(found)) == sorted(entered)
        for held in found:
            await there.broker.sweep(held, [None] * len(held.members))
        assert await there.broker.lost(10_000) == []
        for room in names:
            assert await here.broker.members(room_topic(room)) == []

    @meeting
    async def test_leases_find_exactly_what_is_held_after_any_coming_and_going(self, here: Peer, there: Peer) -> None:
        rng = random.Random(20_261_121)  # noqa: S311 - a test that can be run again
        holders, topics = ["n1", "n2", "n3"], [room_topic(f"r{number}") for number in range(4)]
        held: defaultdict[tuple[Topic, str], set[str]] = defaultdict(set)
        for holder in holders:
            await here.broker.renew(holder, LONG)
        for _ in range(600):
            peer = rng.choice((here, there))
            holder, topic, member = rng.choice(holders), rng.choice(topics), f"u{rng.randrange(5)}"
            by = held[topic, member]
            if rng.random() < 0.5:
                assert await peer.broker.enter(topic, member, holder) == (not by)
                by.add(holder)
            else:
                last = by == {holder}
                assert await peer.broker.leave(topic, member, holder) == last
                by.discard(holder)
        for holder in ("n1", "n3"):
            await here.broker.renew(holder, 0.001)
        expected = {(holder, *what) for what, by in held.items() for holder in by if holder != "n2"}
        found = await eventually(lambda: there.broker.lost(10_000), lambda found: len(triples(found)) == len(expected))
        assert set(triples(found)) == expected
        lasts = 0
        for one in found:
            lasts += sum(await there.broker.sweep(one, [None] * len(one.members)))
        assert lasts == sum(1 for by in held.values() if by and "n2" not in by)
        for topic in topics:
            left = sorted(member for (at, member), by in held.items() if at == topic and "n2" in by)
            assert await here.broker.members(topic) == left
