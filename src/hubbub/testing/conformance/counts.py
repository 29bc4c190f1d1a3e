"""What is promised of the rest that is remembered: whose turn it is, what the nodes said, what was declared."""

import asyncio

from hubbub.ports.broker import LIVING
from hubbub.testing.conformance.meeting import Peer, eventually, meeting


class Counts:
    @meeting
    async def test_turns_belong_to_one_and_rise_by_one(self, here: Peer, there: Peer) -> None:
        assert await here.broker.take_turn("numbers", "n1", 60) == 1
        assert await there.broker.take_turn("numbers", "n2", 60) is None
        assert await here.broker.take_turn("numbers", "n1", 60) == 2
        assert await there.broker.take_turn("others", "n2", 60) == 1

    @meeting
    async def test_turns_go_on_where_the_last_one_stopped(self, here: Peer, there: Peer) -> None:
        assert await here.broker.take_turn("numbers", "n1", 60) == 1
        await there.broker.give_up("numbers", "n2")
        assert await there.broker.take_turn("numbers", "n2", 60) is None
        await here.broker.give_up("numbers", "n1")
        assert await there.broker.take_turn("numbers", "n2", 60) == 2
        await there.broker.give_up("numbers", "n2")
        await there.broker.give_up("numbers", "n2")
        assert await here.broker.take_turn("numbers", "n1", 60) == 3

    @meeting
    async def test_turns_expire(self, here: Peer, there: Peer) -> None:
        assert await here.broker.take_turn("numbers", "n1", 0.1) == 1
        turn = await eventually(lambda: there.broker.take_turn("numbers", "n2", 60), lambda turn: turn is not None)
        assert turn == 2
        assert await here.broker.take_turn("numbers", "n1", 60) is None

    @meeting
    async def test_turns_are_given_once_among_many_at_once(self, here: Peer, there: Peer) -> None:
        peers = (here, there) * 20
        turns = await asyncio.gather(*(peer.broker.take_turn("numbers", f"n{at}", 60) for at, peer in enumerate(peers)))
        assert [turn for turn in turns if turn is not None] == [1]

    @meeting
    async def test_reports_are_what_every_node_said_last(self, here: Peer, there: Peer) -> None:
        assert await here.broker.reports() == {}
        await here.broker.report("n1", b"old", 60)
        await here.broker.report("n1", b"12:\0\xff", 60)
        await there.broker.report("n:2", b"", 60)
        assert await there.broker.reports() == {"n1": b"12:\0\xff", "n:2": b""}
        await there.broker.withdraw("n1")
        await there.broker.withdraw("n1")
        assert await here.broker.reports() == {"n:2": b""}

    @meeting
    async def test_reports_expire_one_by_one(self, here: Peer, there: Peer) -> None:
        await here.broker.report("stays", b"1", 60)
        await here.broker.report("goes", b"2", 0.1)
        found = await eventually(there.broker.reports, lambda found: "goes" not in found)
        assert found == {"stays": b"1"}

    @meeting
    async def test_declarations_are_what_all_have_said(self, here: Peer, there: Peer) -> None:
        before = await there.broker.declared()
        assert before.words == {}
        first = await here.broker.declare(b"\0one")
        assert first.fresh
        assert [*first.words] == [b"\0one"]
        second = await there.broker.declare(b"\xfftwo")
        assert second.fresh
        assert {*second.words} == {b"\0one", b"\xfftwo"}
        again = await there.broker.declare(b"\0one")
        assert not again.fresh
        assert len({before.version, first.version, second.version}) == 3
        assert again.version == second.version == (await here.broker.declared()).version
        assert not (await here.broker.declared()).fresh
        assert all(0 <= age < LIVING for age in (await here.broker.declared()).words.values())

    @meeting
    async def test_declarations_are_new_to_one_of_many_at_once(self, here: Peer, there: Peer) -> None:
        found = await asyncio.gather(*(peer.broker.declare(b"one") for peer in (here, there) * 20))
        assert [declared.fresh for declared in found].count(True) == 1
        assert len({declared.version for declared in found}) == 1
