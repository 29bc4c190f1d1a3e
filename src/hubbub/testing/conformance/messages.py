"""What is promised of messages: one order for all, to everyone who is subscribed, once."""

import asyncio
from collections.abc import Awaitable, Iterator

from hubbub.ports.broker import Announcement, Broker
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.testing.conformance.meeting import AWKWARD, OTHER, ROOM, Peer, marked, meeting, until
from hubbub.types import Topic, room_topic, user_topic


class Messages:
    @meeting
    async def test_messages_come_in_one_order_on_every_peer(self, here: Peer, there: Peer) -> None:
        for peer in (here, there):
            await peer.broker.subscribe(ROOM)
        count = 300
        await asyncio.gather(
            *(
                peer.broker.publish(ROOM, b"%s %d" % (name, number))
                for number in range(count)
                for name, peer in ((b"here", here), (b"there", there))
            )
        )
        await until(lambda: all(len(peer.heard) == 2 * count for peer in (here, there)), "all heard")
        assert here.heard == there.heard
        for name in (b"here", b"there"):
            own = [data for data in here.data(ROOM) if data.startswith(name + b" ")]
            assert own == [b"%s %d" % (name, number) for number in range(count)]

    @meeting
    async def test_messages_keep_their_order_among_announcements(self, here: Peer, there: Peer) -> None:
        """Asked in one turn: an announcement passes no message of its topic, and none passes it."""

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

    @meeting
    async def test_messages_come_back_to_the_sender_once(self, here: Peer, there: Peer) -> None:
        await here.broker.subscribe(ROOM)
        await here.broker.subscribe(ROOM)
        assert await here.broker.publish(ROOM, b"mine") is None
        await there.broker.publish(ROOM, b"theirs")
        await marked(here, there)
        assert here.data(ROOM) == [b"mine", b"theirs"]

    @meeting
    async def test_messages_of_other_topics_are_not_delivered(self, here: Peer, there: Peer) -> None:
        topics = [room_topic(name) for name in AWKWARD]
        await here.broker.subscribe(topics[1])
        for topic in topics:
            await there.broker.publish(topic, topic.encode("utf-8", "surrogatepass"))
        await there.broker.publish(user_topic(AWKWARD[1]), b"a user is no room")
        await marked(here, there)
        assert [data for topic, data in here.heard if topic != "room:mark"] == [topics[1].encode()]

    @meeting
    async def test_messages_are_any_bytes_and_large(self, here: Peer, there: Peer) -> None:
        await here.broker.subscribe(ROOM)
        bodies = [b"", b"\0\r\n*1\r\n$", bytes(range(256)) * 8192, b"\x01\x00\x00\x01\0\0\0\x01x", b"\x01\x00"]
        for body in bodies:
            await there.broker.publish(ROOM, body)
        await asyncio.gather(*(there.broker.publish(ROOM, body) for body in bodies))
        await until(lambda: here.data(ROOM) == 2 * bodies, "the bodies as they were")

    @meeting
    async def test_messages_published_after_subscribe_returned_are_delivered(self, here: Peer, there: Peer) -> None:
        topics = [room_topic(f"r{number}") for number in range(100)]

        async def join(topic: Topic) -> None:
            await here.broker.subscribe(topic)
            await there.broker.publish(topic, b"now")

        await asyncio.gather(*map(join, topics))
        await until(lambda: {topic for topic, _ in here.heard} == set(topics), "every one")

    @meeting
    async def test_messages_end_with_unsubscribe_and_go_on_with_the_next_subscribe(
        self, here: Peer, there: Peer
    ) -> None:
        for number in range(30):
            await here.broker.subscribe(ROOM)
            await there.broker.publish(ROOM, b"in %d" % number)
            await marked(here, there)
            assert b"in %d" % number in here.data(ROOM)
            await here.broker.unsubscribe(ROOM)
            if number % 2:
                await marked(here, there)
                await there.broker.publish(ROOM, b"out")
        await here.broker.unsubscribe(ROOM)
        await marked(here, there)
        assert here.data(ROOM) == [b"in %d" % number for number in range(30)]

    @meeting
    async def test_messages_reach_all_who_subscribe_at_once(self, here: Peer, there: Peer) -> None:
        await asyncio.gather(*(here.broker.subscribe(ROOM) for _ in range(50)))
        await there.broker.publish(ROOM, b"one")
        await marked(here, there)
        assert here.data(ROOM) == [b"one"]
