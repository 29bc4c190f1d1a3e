"""What every broker promises: the sentences of `hubbub.ports.broker`, on each of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from hubbub.brokers.memory import MemoryBroker
from hubbub.brokers.redis import RedisBroker
from hubbub.errors import Unavailable
from hubbub.ports.broker import Announcement, Broker
from hubbub.types import Topic, room_topic, user_topic
from hubbub.wire.envelope import Envelope, Kind
from tests.brokers.conftest import AWKWARD, Meet, marked, running, until

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


def test_the_list_of_calls_is_the_ports() -> None:
    public = {name for name in vars(Broker) if not name.startswith("_")}
    assert set(CALLS) == public - {"shared", "ready", "start", "stop"}


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

    def test_keep_their_order_among_announcements(self, meet: Meet) -> None:
        """Asked in one turn: an announcement passes no message of its topic, and none passes it."""

        async def main() -> None:
            async with meet() as (here, there):
                for topic in (ROOM, OTHER):
                    await here.broker.subscribe(topic)

                def message(text: str, without: str = "") -> bytes:
                    return Envelope(Kind.MESSAGE, text.encode(), without_users=frozenset(without.split())).encode()

                def asked(broker: Broker, name: str) -> Iterator[Awaitable[object]]:
                    for number in range(60):
                        notice = Announcement(ROOM, message(f"{name} {number} c", without="bob"))
                        yield broker.publish(ROOM, message(f"{name} {number} a"))
                        yield broker.publish(OTHER, message(f"{name} {number}"))
                        yield broker.publish(ROOM, message(f"{name} {number} b", without="alice"))
                        if number % 3 == 0:
                            yield broker.enter(ROOM, f"{name}{number}", name, notice)
                        if number % 3 == 1:
                            yield broker.leave(ROOM, f"{name}{number - 1}", name, notice)

                answers = await asyncio.gather(*asked(here.broker, "here"), *asked(there.broker, "there"))
                assert answers.count(True) == 2 * 40
                await marked(here, there)
                for name in ("here", "there"):
                    texts = [(topic, Envelope.decode(data).payload.decode()) for topic, data in here.heard if data]
                    own = [(topic, text) for topic, text in texts if text.startswith(f"{name} ")]
                    room, other = ([text for at, text in own if at == topic] for topic in (ROOM, OTHER))
                    steps = ("abc", "abc", "ab") * 20
                    assert room == [f"{name} {number} {step}" for number in range(60) for step in steps[number]]
                    assert other == [f"{name} {number}" for number in range(60)]

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
                bodies = [b"", b"\0\r\n*1\r\n$", bytes(range(256)) * 8192, b"\x01\x00\x00\x01\0\0\0\x01x", b"\x01\x00"]
                for body in bodies:
                    await there.broker.publish(ROOM, body)
                await asyncio.gather(*(there.broker.publish(ROOM, body) for body in bodies))
                await until(lambda: here.data(ROOM) == 2 * bodies, "the bodies as they were")

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
