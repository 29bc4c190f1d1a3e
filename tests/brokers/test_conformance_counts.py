"""What every broker counts and remembers: who is there, whose turn it is, what the nodes said. On each of them."""

import asyncio

from hubbub.ports.broker import Announcement
from hubbub.types import EVERYONE, ONLINE, room_topic
from tests.brokers.conftest import AWKWARD, Meet, eventually, marked

ROOM = room_topic("lobby")
OTHER = room_topic("other")


class TestPresence:
    def test_is_true_for_the_first_holder_and_the_last(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                assert await here.broker.enter(ROOM, "alice", "n1")
                assert not await there.broker.enter(ROOM, "alice", "n2")
                assert not await here.broker.leave(ROOM, "alice", "n1")
                assert await there.broker.members(ROOM) == ["alice"]
                assert await there.broker.leave(ROOM, "alice", "n2")
                assert await here.broker.members(ROOM) == []

        asyncio.run(main())

    def test_is_idempotent(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                assert not await here.broker.leave(ROOM, "alice", "n1")
                assert [await here.broker.enter(ROOM, "alice", "n1") for _ in range(3)] == [True, False, False]
                assert not await there.broker.leave(ROOM, "alice", "n2")
                assert not await there.broker.leave(OTHER, "alice", "n1")
                assert await there.broker.contains(ROOM, "alice")
                assert [await here.broker.leave(ROOM, "alice", "n1") for _ in range(3)] == [True, False, False]
                assert not await there.broker.contains(ROOM, "alice")
                assert await there.broker.enter(ROOM, "alice", "n2")
                assert await there.broker.leave(ROOM, "alice", "n2")

        asyncio.run(main())

    def test_announces_in_the_same_step_and_only_a_change(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
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

        asyncio.run(main())

    def test_has_one_first_and_one_last_among_many_at_once(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                await here.broker.subscribe(ROOM)
                workers = (here, there) * 25
                came, went = Announcement(ROOM, b"came"), Announcement(ROOM, b"went")
                for _ in range(5):
                    firsts = await asyncio.gather(
                        *(worker.broker.enter(ROOM, "alice", f"n{at}", came) for at, worker in enumerate(workers))
                    )
                    lasts = await asyncio.gather(
                        *(worker.broker.leave(ROOM, "alice", f"n{at}", went) for at, worker in enumerate(workers))
                    )
                    assert sum(firsts) == sum(lasts) == 1
                await marked(here, there)
                assert here.data(ROOM) == [b"came", b"went"] * 5

        asyncio.run(main())

    def test_keeps_topics_members_and_holders_apart(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                triples = [(room_topic(r), m, h) for r in AWKWARD[:6] for m in AWKWARD for h in AWKWARD[:6]]
                await asyncio.gather(*(here.broker.enter(*triple) for triple in triples))
                for room in AWKWARD[:6]:
                    assert await there.broker.members(room_topic(room)) == sorted(AWKWARD)
                lasts = await asyncio.gather(*(there.broker.leave(*triple) for triple in triples))
                # Per topic and member exactly one of the holders was the last.
                assert sum(lasts) == 6 * len(AWKWARD)
                for room in AWKWARD[:6]:
                    assert await there.broker.count(room_topic(room)) == 0

        asyncio.run(main())

    def test_counts_and_sorts_members_not_holders(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                for member in ("carol", "alice", "bob"):
                    await here.broker.enter(ROOM, member, "n1")
                    await there.broker.enter(ROOM, member, "n2")
                await here.broker.enter(OTHER, "dave", "n1")
                assert await there.broker.members(ROOM) == ["alice", "bob", "carol"]
                assert await there.broker.count(ROOM) == 3
                assert await there.broker.contains(ROOM, "bob")
                assert not await there.broker.contains(ROOM, "dave")
                assert await there.broker.count(room_topic("nobody")) == 0

        asyncio.run(main())


class TestTurns:
    def test_belong_to_one_and_rise_by_one(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                assert await here.broker.take_turn("numbers", "n1", 60) == 1
                assert await there.broker.take_turn("numbers", "n2", 60) is None
                assert await here.broker.take_turn("numbers", "n1", 60) == 2
                assert await there.broker.take_turn("others", "n2", 60) == 1

        asyncio.run(main())

    def test_go_on_where_the_last_one_stopped(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                assert await here.broker.take_turn("numbers", "n1", 60) == 1
                await there.broker.give_up("numbers", "n2")
                assert await there.broker.take_turn("numbers", "n2", 60) is None
                await here.broker.give_up("numbers", "n1")
                assert await there.broker.take_turn("numbers", "n2", 60) == 2
                await there.broker.give_up("numbers", "n2")
                await there.broker.give_up("numbers", "n2")
                assert await here.broker.take_turn("numbers", "n1", 60) == 3

        asyncio.run(main())

    def test_expire(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                assert await here.broker.take_turn("numbers", "n1", 0.1) == 1
                turn = await eventually(
                    lambda: there.broker.take_turn("numbers", "n2", 60), lambda turn: turn is not None
                )
                assert turn == 2
                assert await here.broker.take_turn("numbers", "n1", 60) is None

        asyncio.run(main())

    def test_are_given_once_among_many_at_once(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                workers = (here, there) * 20
                turns = await asyncio.gather(
                    *(worker.broker.take_turn("numbers", f"n{at}", 60) for at, worker in enumerate(workers))
                )
                assert [turn for turn in turns if turn is not None] == [1]

        asyncio.run(main())


class TestReports:
    def test_are_what_every_node_said_last(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                assert await here.broker.reports() == {}
                await here.broker.report("n1", b"old", 60)
                await here.broker.report("n1", b"12:\0\xff", 60)
                await there.broker.report("n:2", b"", 60)
                assert await there.broker.reports() == {"n1": b"12:\0\xff", "n:2": b""}
                await there.broker.withdraw("n1")
                await there.broker.withdraw("n1")
                assert await here.broker.reports() == {"n:2": b""}

        asyncio.run(main())

    def test_expire_one_by_one(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                await here.broker.report("stays", b"1", 60)
                await here.broker.report("goes", b"2", 0.1)
                found = await eventually(there.broker.reports, lambda found: "goes" not in found)
                assert found == {"stays": b"1"}

        asyncio.run(main())
