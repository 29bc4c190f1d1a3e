"""What is promised of edges: one for each first and each last, whoever decides it, until it was handled."""

import asyncio
import time

from hubbub.testing.conformance.meeting import AWKWARD, ROOM, Peer, eventually, meeting
from hubbub.types import OCCUPIED, ONLINE

#: Seconds by which the broker's clock and the test's may differ.
_APART = 60.0


async def logged(peer: Peer, limit: int = 10_000) -> list[tuple[str, str, bool]]:
    """All that wait, in order; their numbers rise."""
    found = (await peer.broker.edges(limit)).edges
    numbers = [edge.number for edge in found]
    assert numbers == sorted(set(numbers))
    return [(edge.topic, edge.member, edge.here) for edge in found]


class EdgesLogged:
    @meeting
    async def test_edges_are_logged_in_order_and_stay_until_they_are_handled(self, here: Peer, there: Peer) -> None:
        assert await here.broker.edges(10) == (0, [])
        await here.broker.enter(ONLINE, "alice", "n1", edge=True)
        await there.broker.enter(OCCUPIED, "lobby", "n2", edge=True)
        await there.broker.leave(ONLINE, "alice", "n1", edge=True)
        expected = [(ONLINE, "alice", True), (OCCUPIED, "lobby", True), (ONLINE, "alice", False)]
        assert await logged(here) == await logged(there) == expected
        assert await logged(here, 2) == expected[:2]
        first, second = (await here.broker.edges(2)).edges
        assert abs(first.at - time.time()) < _APART
        await there.broker.handled(first.number)
        await here.broker.handled(first.number)
        assert await logged(here) == expected[1:]
        await here.broker.handled(second.number)
        # Somebody who was thought dead says late what he did.
        await there.broker.handled(first.number)
        lost, (third,) = await here.broker.edges(10)
        assert lost == 0
        assert third.number > second.number
        await here.broker.handled(third.number)
        assert await there.broker.edges(10) == (0, [])
        await here.broker.enter(ONLINE, "alice", "n1", edge=True)
        assert (await there.broker.edges(10)).edges[0].number > third.number

    @meeting
    async def test_edges_are_only_what_is_the_first_or_the_last(self, here: Peer, there: Peer) -> None:
        for _ in range(2):
            for peer, holder in ((here, "n1"), (there, "n2")):
                await peer.broker.enter(ONLINE, "alice", holder, edge=True)
        for _ in range(2):
            for peer, holder in ((here, "n1"), (there, "n2")):
                await peer.broker.leave(ONLINE, "alice", holder, edge=True)
        assert await logged(here) == [(ONLINE, "alice", True), (ONLINE, "alice", False)]

    @meeting
    async def test_edges_have_one_first_and_one_last_among_many_at_once(self, here: Peer, there: Peer) -> None:
        peers = [(peer, f"n{at}") for at, peer in enumerate((here, there) * 10)]
        for _ in range(3):
            await asyncio.gather(*(peer.broker.enter(ONLINE, "alice", holder, edge=True) for peer, holder in peers))
            await asyncio.gather(*(peer.broker.leave(ONLINE, "alice", holder, edge=True) for peer, holder in peers))
        assert await logged(here) == [(ONLINE, "alice", True), (ONLINE, "alice", False)] * 3

    @meeting
    async def test_edges_are_logged_of_those_who_do_not_say_so_once_somebody_asked(
        self, here: Peer, there: Peer
    ) -> None:
        await there.broker.enter(ONLINE, "before", "n1")
        await there.broker.enter(OCCUPIED, "never", "n1", edge=False)
        assert await logged(here) == []
        await there.broker.enter(ONLINE, "alice", "n1")
        await there.broker.enter(ONLINE, "quiet", "n1", edge=False)
        await there.broker.leave(ONLINE, "quiet", "n1", edge=False)
        await there.broker.leave(ONLINE, "alice", "n1")
        assert await logged(here) == [(ONLINE, "alice", True), (ONLINE, "alice", False)]

    @meeting
    async def test_edges_are_not_those_of_a_room(self, here: Peer, there: Peer) -> None:
        await here.broker.edges(1)
        await there.broker.enter(ROOM, "alice", "n1", edge=True)
        await there.broker.leave(ROOM, "alice", "n1", edge=True)
        assert await logged(here) == []

    @meeting
    async def test_edges_of_the_dead_are_logged_by_who_sweeps_them(self, here: Peer, there: Peer) -> None:
        await here.broker.renew("n1", 0.05)
        for member in ("alice", "bob"):
            await here.broker.enter(ONLINE, member, "n1", edge=True)
        await there.broker.enter(ONLINE, "bob", "n2", edge=True)
        (held,) = await eventually(lambda: there.broker.lost(10), bool)
        for _ in range(2):
            await there.broker.sweep(held, [None, None], edge=True)
        assert await logged(here) == [(ONLINE, "alice", True), (ONLINE, "bob", True), (ONLINE, "alice", False)]

    @meeting
    async def test_edges_of_awkward_names_are_told_apart(self, here: Peer, there: Peer) -> None:
        for name in AWKWARD:
            await here.broker.enter(OCCUPIED, name, "n1", edge=True)
        assert await logged(there) == [(OCCUPIED, name, True) for name in AWKWARD]

    @meeting
    async def test_last_left_is_when_the_last_holder_went(self, here: Peer, there: Peer) -> None:
        assert await here.broker.last_left("alice") is None
        for holder in ("n1", "n2"):
            await here.broker.enter(ONLINE, "alice", holder)
        await here.broker.leave(ONLINE, "alice", "n1")
        await there.broker.enter(OCCUPIED, "alice", "n1")
        await there.broker.leave(OCCUPIED, "alice", "n1")
        assert await there.broker.last_left("alice") is None
        await there.broker.leave(ONLINE, "alice", "n2", edge=False)
        first = await here.broker.last_left("alice")
        assert first is not None
        assert abs(first - time.time()) < _APART
        await here.broker.renew("n1", 0.05)
        await here.broker.enter(ONLINE, "alice", "n1")
        assert await there.broker.last_left("alice") == first
        (held,) = await eventually(lambda: there.broker.lost(10), bool)
        await there.broker.sweep(held, [None])
        second = await here.broker.last_left("alice")
        assert second is not None
        assert second > first
