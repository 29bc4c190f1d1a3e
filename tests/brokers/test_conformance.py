"""What every broker promises: the sentences of `hubbub.ports.broker`, on each of them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hubbub.brokers.memory import MemoryBroker
from hubbub.brokers.redis import RedisBroker
from hubbub.errors import Unavailable
from hubbub.ports.broker import Announcement, Broker
from hubbub.types import EVERYONE, ONLINE, Topic, room_topic, user_topic
from tests.brokers.conftest import Meet, Worker, eventually, running, until

ROOM = room_topic("lobby")
OTHER = room_topic("other")

#: Everything that can be asked. What is true of every call is tried on each.
CALLS: dict[str, Callable[[Broker], Awaitable[object]]] = {
    "publish": lambda broker: broker.publish(ROOM, b"x"),
    "subscribe": lambda broker: broker.subscribe(ROOM),
    "unsubscribe": lambda broker: broker.unsubscribe(ROOM),
    "enter": lambda broker: broker.enter(ROOM, "alice", "n1"),
    "leave": lambda broker: broker.leave(ROOM, "alice", "n1"),
    "members": lambda broker: broker.members(ROOM),
    "count": lambda broker: broker.count(ROOM),
    "contains": lambda broker: broker.contains(ROOM, "alice"),
    "take_turn": lambda broker: broker.take_turn("numbers", "n1", 1.0),
    "give_up": lambda broker: broker.give_up("numbers", "n1"),
    "report": lambda broker: broker.report("n1", b"x", 1.0),
    "reports": lambda broker: broker.reports(),
    "withdraw": lambda broker: broker.withdraw("n1"),
}

#: Names that would be taken apart wrongly by anyone who joins them with a separator.
AWKWARD = ["a", "a:b", "b:c", ":", "", "{a}", "}{", "a\0b", "a\nb", "%3A", "ü", "u\u0308", "😀", "\ud800", "x" * 128]


def test_the_list_of_calls_is_the_ports() -> None:
    public = {name for name in vars(Broker) if not name.startswith("_")}
    assert set(CALLS) == public - {"shared", "ready", "start", "stop"}


async def marked(here: Worker, there: Worker) -> None:
    """Returns when both heard what was published before: one order means that it came before the mark."""
    mark = Topic("room:mark")
    for worker in (here, there):
        await worker.broker.subscribe(mark)
    before = [len(worker.data(mark)) for worker in (here, there)]
    await here.broker.publish(mark, b"")
    for worker, had in zip((here, there), before, strict=True):
        await until(lambda worker=worker, had=had: len(worker.data(mark)) > had, "the mark")


class TestMessages:
    def test_come_in_one_order_on_every_worker(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                for worker in (here, there):
                    await worker.broker.subscribe(ROOM)
                count = 300
                await asyncio.gather(
                    *(
                        worker.broker.publish(ROOM, b"%s %d" % (name, number))
                        for number in range(count)
                        for name, worker in ((b"here", here), (b"there", there))
                    )
                )
                await until(lambda: all(len(worker.heard) == 2 * count for worker in (here, there)), "all heard")
                assert here.heard == there.heard
                for name in (b"here", b"there"):
                    own = [data for data in here.data(ROOM) if data.startswith(name + b" ")]
                    assert own == [b"%s %d" % (name, number) for number in range(count)]

        asyncio.run(main())

    def test_come_back_to_the_sender_once(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                await here.broker.subscribe(ROOM)
                await here.broker.subscribe(ROOM)
                assert await here.broker.publish(ROOM, b"mine") is None
                await there.broker.publish(ROOM, b"theirs")
                await marked(here, there)
                assert here.data(ROOM) == [b"mine", b"theirs"]

        asyncio.run(main())

    def test_of_other_topics_are_not_delivered(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                topics = [room_topic(name) for name in AWKWARD]
                await here.broker.subscribe(topics[1])
                for topic in topics:
                    await there.broker.publish(topic, topic.encode("utf-8", "surrogatepass"))
                await there.broker.publish(user_topic(AWKWARD[1]), b"a user is no room")
                await marked(here, there)
                assert [data for topic, data in here.heard if topic != "room:mark"] == [topics[1].encode()]

        asyncio.run(main())

    def test_are_any_bytes_and_large(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                await here.broker.subscribe(ROOM)
                bodies = [b"", b"\0\r\n*1\r\n$", bytes(range(256)) * 8192]
                for body in bodies:
                    await there.broker.publish(ROOM, body)
                await until(lambda: here.data(ROOM) == bodies, "the bodies as they were")

        asyncio.run(main())

    def test_published_after_subscribe_returned_are_delivered(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                topics = [room_topic(f"r{number}") for number in range(100)]

                async def join(topic: Topic) -> None:
                    await here.broker.subscribe(topic)
                    await there.broker.publish(topic, b"now")

                await asyncio.gather(*map(join, topics))
                await until(lambda: {topic for topic, _ in here.heard} == set(topics), "every one")

        asyncio.run(main())

    def test_end_with_unsubscribe_and_go_on_with_the_next_subscribe(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                for number in range(30):
                    await here.broker.subscribe(ROOM)
                    await there.broker.publish(ROOM, b"in %d" % number)
                    await until(lambda number=number: b"in %d" % number in here.data(ROOM), "heard while subscribed")
                    await here.broker.unsubscribe(ROOM)
                    if number % 2:
                        await marked(here, there)
                        await there.broker.publish(ROOM, b"out")
                await here.broker.unsubscribe(ROOM)
                await marked(here, there)
                assert here.data(ROOM) == [b"in %d" % number for number in range(30)]

        asyncio.run(main())

    def test_reach_all_who_subscribe_at_once(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                await asyncio.gather(*(here.broker.subscribe(ROOM) for _ in range(50)))
                await there.broker.publish(ROOM, b"one")
                await marked(here, there)
                assert here.data(ROOM) == [b"one"]

        asyncio.run(main())


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


class TestLife:
    def test_shared_says_whether_processes_meet_on_it(self, url: str) -> None:
        assert not MemoryBroker().shared
        assert RedisBroker(url).shared

    def test_no_message_is_delivered_after_stop(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                await here.broker.subscribe(ROOM)
                sending = asyncio.gather(
                    *(there.broker.publish(ROOM, b"x") for _ in range(500)), return_exceptions=True
                )
                await until(lambda: here.heard, "the first is heard")
                await here.broker.stop()
                heard = len(here.heard)
                await sending
                await asyncio.sleep(0.05)
                assert len(here.heard) == heard
                assert not here.broker.ready
                await here.broker.stop()

        asyncio.run(main())

    def test_it_can_start_again_without_its_subscriptions(self, meet: Meet) -> None:
        async def main() -> None:
            async with meet() as (here, there):
                await here.broker.subscribe(ROOM)
                await here.broker.stop()
                await here.start()
                await until(lambda: here.broker.ready, "ready again")
                await there.broker.publish(ROOM, b"before")
                await here.broker.subscribe(ROOM)
                await there.broker.publish(ROOM, b"after")
                await marked(here, there)
                assert here.data(ROOM) == [b"after"]
                assert here.resumed == there.resumed == 0

        asyncio.run(main())

    @pytest.mark.parametrize("name", CALLS)
    def test_a_call_that_is_not_between_start_and_stop_is_unavailable(self, meet: Meet, name: str) -> None:
        async def main() -> None:
            async with meet() as (here, _):
                await CALLS[name](here.broker)
                await here.broker.stop()
                with pytest.raises(Unavailable):
                    await CALLS[name](here.broker)

        asyncio.run(main())


def test_memory_brokers_do_not_meet() -> None:
    async def main() -> None:
        async with running(MemoryBroker(), MemoryBroker()) as (here, there):
            await here.broker.subscribe(ROOM)
            await there.broker.publish(ROOM, b"x")
            await there.broker.enter(ROOM, "alice", "n1")
            assert here.heard == []
            assert await here.broker.members(ROOM) == []

    asyncio.run(main())
