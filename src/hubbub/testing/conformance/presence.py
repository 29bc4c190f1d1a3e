"""What is promised of presence: counted, decided and announced in one step, once for each holder."""

import asyncio

from hubbub.ports.broker import Announcement
from hubbub.testing.conformance.meeting import AWKWARD, OTHER, ROOM, Peer, marked, meeting
from hubbub.types import EVERYONE, ONLINE, room_topic


class Presence:
    @meeting
    async def test_presence_is_true_for_the_first_holder_and_the_last(self, here: Peer, there: Peer) -> None:
        assert await here.broker.enter(ROOM, "alice", "n1")
        assert not await there.broker.enter(ROOM, "alice", "n2")
        assert not await here.broker.leave(ROOM, "alice", "n1")
        assert await there.broker.members(ROOM) == ["alice"]
        assert await there.broker.leave(ROOM, "alice", "n2")
        assert await here.broker.members(ROOM) == []

    @meeting
    async def test_presence_is_idempotent(self, here: Peer, there: Peer) -> None:
        assert not await here.broker.leave(ROOM, "alice", "n1")
        assert [await here.broker.enter(ROOM, "alice", "n1") for _ in range(3)] == [True, False, False]
        assert not await there.broker.leave(ROOM, "alice", "n2")
        assert not await there.broker.leave(OTHER, "alice", "n1")
        assert await there.broker.contains(ROOM, "alice")
        assert [await here.broker.leave(ROOM, "alice", "n1") for _ in range(3)] == [True, False, False]
        assert not await there.broker.contains(ROOM, "alice")
        assert await there.broker.enter(ROOM, "alice", "n2")
        assert await there.broker.leave(ROOM, "alice", "n2")

    @meeting
    async def test_presence_announces_in_the_same_step_and_only_a_change(self, here: Peer, there: Peer) -> None:
        for topic in (ROOM, EVERYONE):
            await here.broker.subscribe(topic)
        came, went = Announcement(ROOM, b"came"), Announcement(ROOM, b"went")
        await there.broker.enter(ROOM, "alice", "n1", came)
        await there.broker.enter(ROOM, "alice", "n1", came)
        await there.broker.enter(ROOM, "alice", "n2", came)
        await there.broker.leave(ROOM, "alice", "n1", went)
        await there.broker.leave(ROOM, "alice", "n2", went)
        await there.broker.leave(ROOM, "alice", "n2", went)
        await there.broker.enter(ONLINE, "alice", "n1", Announcement(EVERYONE, b"\0online"))
        await there.broker.leave(ONLINE, "alice", "n1")
        await marked(here, there)
        assert here.data(ROOM) == [b"came", b"went"]
        assert here.data(EVERYONE) == [b"\0online"]

    @meeting
    async def test_presence_has_one_first_and_one_last_among_many_at_once(self, here: Peer, there: Peer) -> None:
        await here.broker.subscribe(ROOM)
        peers = (here, there) * 25
        came, went = Announcement(ROOM, b"came"), Announcement(ROOM, b"went")
        for _ in range(5):
            firsts = await asyncio.gather(
                *(peer.broker.enter(ROOM, "alice", f"n{at}", came) for at, peer in enumerate(peers))
            )
            lasts = await asyncio.gather(
                *(peer.broker.leave(ROOM, "alice", f"n{at}", went) for at, peer in enumerate(peers))
            )
            assert sum(firsts) == sum(lasts) == 1
        await marked(here, there)
        assert here.data(ROOM) == [b"came", b"went"] * 5

    @meeting
    async def test_presence_keeps_topics_members_and_holders_apart(self, here: Peer, there: Peer) -> None:
        triples = [(room_topic(r), m, h) for r in AWKWARD[:6] for m in AWKWARD for h in AWKWARD[:6]]
        await asyncio.gather(*(here.broker.enter(*triple) for triple in triples))
        for room in AWKWARD[:6]:
            assert await there.broker.members(room_topic(room)) == sorted(AWKWARD)
        lasts = await asyncio.gather(*(there.broker.leave(*triple) for triple in triples))
        # Per topic and member exactly one of the holders was the last.
        assert sum(lasts) == 6 * len(AWKWARD)
        for room in AWKWARD[:6]:
            assert await there.broker.count(room_topic(room)) == 0

    @meeting
    async def test_presence_counts_and_sorts_members_not_holders(self, here: Peer, there: Peer) -> None:
        for member in ("carol", "alice", "bob"):
            await here.broker.enter(ROOM, member, "n1")
            await there.broker.enter(ROOM, member, "n2")
        await here.broker.enter(OTHER, "dave", "n1")
        assert await there.broker.members(ROOM) == ["alice", "bob", "carol"]
        assert await there.broker.count(ROOM) == 3
        assert await there.broker.contains(ROOM, "bob")
        assert not await there.broker.contains(ROOM, "dave")
        assert await there.broker.count(room_topic("nobody")) == 0
