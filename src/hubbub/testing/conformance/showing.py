"""What is promised of what holders show of a member: the newest is seen, and told with who came and who went."""

import random
from collections import defaultdict

from hubbub.ports.broker import Announcement, Change, Held
from hubbub.testing.conformance.leases import LONG, SHORT
from hubbub.testing.conformance.meeting import AWKWARD, OTHER, ROOM, Peer, eventually, marked, meeting
from hubbub.types import room_topic

CAME, WENT = Announcement(ROOM, b"came"), Announcement(ROOM, b"went")
CHANGE = Change(ROOM, b"<", b">")


class ShownByHolders:
    @meeting
    async def test_shown_is_what_was_said_last_and_then_what_was_said_before(self, here: Peer, there: Peer) -> None:
        assert (await here.broker.show(ROOM, "alice", "n1", b"1")).first
        assert not (await there.broker.show(ROOM, "alice", "n2", b"2")).first
        assert await here.broker.shown(ROOM) == {"alice": b"2"}
        assert not (await here.broker.show(ROOM, "alice", "n1", b"3")).first
        assert await there.broker.shown(ROOM) == {"alice": b"3"}
        assert not await here.broker.hide(ROOM, "alice", "n1")
        assert await here.broker.shown(ROOM) == {"alice": b"2"}
        assert await there.broker.hide(ROOM, "alice", "n2")
        assert await here.broker.shown(ROOM) == {}
        assert await here.broker.count(ROOM) == 0

    @meeting
    async def test_shown_keeps_its_place_where_it_is_said_again(self, here: Peer, there: Peer) -> None:
        first = await here.broker.show(ROOM, "alice", "n1", b"1")
        second = await there.broker.show(ROOM, "alice", "n2", b"2")
        third = await here.broker.show(ROOM, "alice", "n1", b"3")
        assert first.at < second.at < third.at
        # The newest tab of the first holder went, and the one before it is shown again, where it was.
        assert (await here.broker.show(ROOM, "alice", "n1", b"1", at=first.at)).at == first.at
        assert await here.broker.shown(ROOM) == {"alice": b"2"}
        assert (await here.broker.show(ROOM, "alice", "n1", b"3", at=third.at)).at == third.at
        assert await here.broker.shown(ROOM) == {"alice": b"3"}
        assert (await there.broker.show(ROOM, "alice", "n2", b"4")).at > third.at
        assert await here.broker.shown(ROOM) == {"alice": b"4"}

    @meeting
    async def test_shown_is_nothing_where_nobody_shows_anything(self, here: Peer, there: Peer) -> None:
        await here.broker.enter(ROOM, "bob", "n1")
        await here.broker.show(ROOM, "alice", "n1", b"")
        assert await there.broker.shown(ROOM) == {"alice": b"", "bob": b""}
        await there.broker.show(ROOM, "alice", "n2", b"2")
        await here.broker.show(ROOM, "alice", "n1", b"")
        assert await here.broker.shown(ROOM) == {"alice": b"2", "bob": b""}
        await there.broker.show(ROOM, "alice", "n2", b"")
        assert await here.broker.shown(ROOM) == {"alice": b"", "bob": b""}
        assert await here.broker.shown(OTHER) == {}

    @meeting
    async def test_shown_is_told_in_the_same_step_and_only_a_change_of_one_who_is_there(
        self, here: Peer, there: Peer
    ) -> None:
        await here.broker.subscribe(ROOM)

        async def show(holder: str, data: bytes, at: int | None = None) -> int:
            said = await here.broker.show(ROOM, "alice", holder, data, at=at, announce=CAME, change=CHANGE)
            return said.at

        first = await show("n1", b"1")
        await show("n1", b"1")
        await show("n2", b"")
        await show("n2", b"2")
        await show("n1", b"0", at=first)
        for _ in range(2):
            await there.broker.hide(ROOM, "alice", "n2", WENT, CHANGE)
        await show("n1", b"")
        await here.broker.show(ROOM, "alice", "n1", b"quiet")
        await here.broker.show(ROOM, "bob", "n1", b"4", change=CHANGE)
        await here.broker.show(ROOM, "carol", "n1", b"", change=CHANGE)
        await here.broker.hide(ROOM, "alice", "n1", WENT, CHANGE)
        await marked(here, there)
        assert here.data(ROOM) == [b"came", b"<2>", b"<0>", b"<{}>", b"<4>", b"went"]

    @meeting
    async def test_shown_of_a_dead_holder_is_gone_with_it_and_the_next_newest_is_told(
        self, here: Peer, there: Peer
    ) -> None:
        await here.broker.subscribe(ROOM)
        await here.broker.renew("living", LONG)
        await here.broker.renew("dead", SHORT)
        for member, living in (("alice", b"1"), ("bob", b""), ("carol", b"3")):
            await here.broker.show(ROOM, member, "living", living)
        for member in ("alice", "bob", "dave"):
            await here.broker.show(ROOM, member, "dead", b"dead")
        await here.broker.show(ROOM, "carol", "dead", b"")
        (held,) = await eventually(lambda: there.broker.lost(10), bool)
        went = [Announcement(ROOM, b"went " + member.encode()) for member in held.members]
        changes = [Change(ROOM, member.encode() + b" ", b"") for member in held.members]
        lasts = await there.broker.sweep(held, went, changes)
        assert [member for member, last in zip(held.members, lasts, strict=True) if last] == ["dave"]
        assert await there.broker.sweep(held, went, changes) == [False] * 4
        assert await here.broker.shown(ROOM) == {"alice": b"1", "bob": b"", "carol": b"3"}
        await marked(here, there)
        assert sorted(here.data(ROOM)) == [b"alice 1", b"bob {}", b"went dave"]

    @meeting
    async def test_shown_is_swept_by_one_who_does_not_know_of_it(self, here: Peer, there: Peer) -> None:
        await here.broker.renew("dead", SHORT)
        await here.broker.show(ROOM, "alice", "dead", b"dead")
        await there.broker.show(ROOM, "alice", "living", b"")
        (held,) = await eventually(lambda: there.broker.lost(10), bool)
        assert await there.broker.sweep(held, [None]) == [False]
        assert await here.broker.shown(ROOM) == {"alice": b""}

    @meeting
    async def test_shown_of_one_who_is_not_dead_stays(self, here: Peer, there: Peer) -> None:
        await here.broker.renew("n1", LONG)
        await here.broker.show(ROOM, "alice", "n1", b"1")
        assert await there.broker.sweep(Held("n1", ROOM, ["alice"]), [WENT], [CHANGE]) == [False]
        assert await here.broker.shown(ROOM) == {"alice": b"1"}

    @meeting
    async def test_shown_of_awkward_names_is_told_apart_whatever_it_is(self, here: Peer, there: Peer) -> None:
        names = AWKWARD[:8]
        for number, holder in enumerate(names):
            for member in names:
                data = f"{holder} 7 {member} {number}".encode()
                await here.broker.show(room_topic(member), member, holder, data)
        for member in names:
            expected = {member: f"{names[-1]} 7 {member} {len(names) - 1}".encode()}
            assert await there.broker.shown(room_topic(member)) == expected

    @meeting
    async def test_shown_is_the_newest_after_any_coming_and_going(self, here: Peer, there: Peer) -> None:
        rng = random.Random(20_261_127)  # noqa: S311 - a test that can be run again
        await here.broker.subscribe(ROOM)
        shown: defaultdict[str, dict[str, tuple[int, bytes]]] = defaultdict(dict)
        held: defaultdict[str, set[str]] = defaultdict(set)
        told: list[bytes] = []

        def seen(member: str) -> bytes:
            return max(shown[member].values(), default=(0, b""))[1]

        for step in range(400):
            peer, member = rng.choice((here, there)), f"u{rng.randrange(3)}"
            holder = f"n{rng.randrange(3)}"
            before, there_before = seen(member), bool(held[member])
            change = Change(ROOM, b"%b:" % member.encode(), b"")
            if rng.random() < 0.6:
                data = b"" if rng.random() < 0.2 else b"%d" % step
                again = shown[member].get(holder)
                at = again[0] if again and rng.random() < 0.3 else None
                said = await peer.broker.show(ROOM, member, holder, data, at=at, announce=CAME, change=change)
                assert said.first is not there_before
                held[member].add(holder)
                shown[member].pop(holder, None)
                if data:
                    shown[member][holder] = said.at, data
                if said.first:
                    told.append(b"came")
            else:
                last = held[member] == {holder}
                assert await peer.broker.hide(ROOM, member, holder, WENT, change) is last
                held[member].discard(holder)
                shown[member].pop(holder, None)
                if last:
                    told.append(b"went")
            if there_before and held[member] and seen(member) != before:
                told.append(b"%b:%b" % (member.encode(), seen(member) or b"{}"))
        assert await here.broker.shown(ROOM) == {member: seen(member) for member, by in held.items() if by}
        await marked(here, there)
        assert here.data(ROOM) == told
