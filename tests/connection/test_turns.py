"""What of a client's requests may wait, beside what, and what waits for nothing."""

import asyncio
import tracemalloc
from contextvars import Context
from types import SimpleNamespace

from hubbub.connection.iterator import MessageIterator
from hubbub.connection.requests import Request
from hubbub.connection.turns import Turns, weight
from hubbub.options import Limits
from hubbub.protocol.codec import decode
from hubbub.protocol.join_room import Join, Since
from hubbub.protocol.session import Leave, Message
from hubbub.scheduling.tasks import Background
from hubbub.testing import settle
from hubbub.types import RoomName
from tests.kit.loop import called


class Owner:
    """Works on a request until the gate is open; messages of the type `quick` wait for nothing."""

    def __init__(self) -> None:
        self.outbound = SimpleNamespace(welcomed=True, transport=None)
        self.iterator: MessageIterator | None = None
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.background = Background()
        self.turns = Turns(self.background.begin, Owner.do, self, Limits(waiting=2, rooms=2), context=Context())

    async def do(self, request: Request) -> None:
        self.begun.append(told(request))
        if told(request) != "quick":
            await self.gate.wait()

    async def take(self, *requests: Request) -> list[bool]:
        return await called(lambda: [self.turns.submit(request) for request in requests])

    async def overtake(self, *names: str) -> list[bool]:
        return await called(lambda: [self.turns.overtake(message(name)) for name in names])


def message(name: str) -> Message:
    return Message(name, {}, None)


def join(room: str) -> Join:
    return Join(RoomName(room), None, None)


def told(request: Request) -> str:
    return request.type if isinstance(request, Message) else str(getattr(request, "room", ""))


async def test_messages_and_joins_are_counted_apart_and_stay_in_order() -> None:
    owner = Owner()
    assert await owner.take(message("first"), join("a"), message("b"), join("c"), message("d")) == [True] * 5
    # As many joins as there may be rooms, and `@me`; of the rest as many as may wait.
    assert await owner.take(message("e"), join("@me"), join("f"), message("g")) == [False, True, False, False]
    owner.gate.set()
    await settle()
    assert owner.begun == ["first", "a", "b", "c", "d", "@me"]
    assert owner.turns.idle


async def test_joins_need_no_room_of_the_messages_and_messages_none_of_theirs() -> None:
    owner = Owner()
    assert await owner.take(*map(join, "abcde")) == [True] * 4 + [False]
    assert await owner.take(message("f"), message("g"), message("h")) == [True, True, False]
    owner.gate.set()
    await settle()
    assert owner.begun == [*"abcd", "f", "g"]


async def test_all_rooms_can_be_left_in_one_go_whatever_waits() -> None:
    owner = Owner()
    leaves = [Leave(RoomName(room), None) for room in ("a", "b", "@me", "c")]
    assert await owner.take(message("first"), *map(join, "ab"), message("d"), message("e")) == [True] * 5
    assert await owner.take(*leaves) == [True] * 3 + [False]
    assert await owner.take(join("c"), message("f")) == [True, False]
    owner.gate.set()
    await settle()
    assert owner.begun == ["first", "a", "b", "d", "e", "a", "b", "@me", "c"]


async def test_what_overtakes_is_in_order_among_its_like_and_bounded() -> None:
    owner = Owner()
    await owner.take(message("first"), message("second"))
    assert await owner.overtake("quick", "a", "b", "c", "d") == [True] * 4 + [False]
    await settle()
    assert owner.begun == ["first", "quick", "a"]
    owner.turns.clear()
    owner.gate.set()
    await settle()
    assert owner.begun == ["first", "quick", "a"]


async def test_before_welcome_and_where_a_route_reads_nothing_overtakes() -> None:
    for owner in (early := Owner(), reading := Owner()):
        await owner.take(message("first"))
    early.outbound.welcomed = False
    reading.iterator = MessageIterator()
    for owner in (early, reading):
        assert await owner.overtake("quick") == [True]
        assert owner.begun == ["first"]
        owner.gate.set()
        await settle()
        assert owner.begun == ["first", "quick"]


class Reader:
    """A transport, as far as it is told to read or not."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def stop_reading(self) -> None:
        self.told.append("stop")

    def read_on(self) -> None:
        self.told.append("on")


async def test_nothing_is_read_while_too_much_waits_and_again_when_half_of_it_is_done() -> None:
    owner, reader = Owner(), Reader()
    owner.outbound.transport = reader
    owner.turns = Turns(
        owner.background.begin, Owner.do, owner, Limits(waiting=10, waiting_bytes=1000), context=Context()
    )
    await called(lambda: owner.turns.submit(message("first"), "x" * 9999))
    assert reader.told == []  # it does not wait
    for name in "abcd":
        await called(lambda name=name: owner.turns.submit(message(name), "x" * 300))  # type: ignore[misc]
    assert reader.told == ["stop"]
    assert owner.turns.stopped
    # What passes the queue is weighed with it.
    await called(lambda: owner.turns.overtake(message("e"), "x" * 300))
    await called(lambda: owner.turns.overtake(message("f"), "x" * 300))
    owner.gate.set()
    await settle()
    assert sorted(owner.begun) == [*"abcdef", "first"]
    assert reader.told == ["stop", "on"]
    assert not owner.turns.stopped


async def test_before_welcome_hardly_anything_waits_and_nothing_is_left_at_the_end() -> None:
    owner, reader = Owner(), Reader()
    owner.outbound.transport, owner.outbound.welcomed = reader, False
    owner.turns = Turns(owner.background.begin, Owner.do, owner, Limits(first_message=100), context=Context())
    await called(lambda: [owner.turns.submit(message(name), b"x" * 60) for name in "abc"])
    assert reader.told == ["stop"]
    owner.turns.clear()
    assert reader.told == ["stop", "on"]
    owner.gate.set()
    await settle()


def test_what_waits_is_weighed_as_what_it_takes_and_rather_more() -> None:
    assert weight(message("a"), b"12345") == 5
    for one in ("{}", "[]", '{"a":1}', "1.5", '"ab"', "1000"):
        text = '{"type":"a","a":[' + ",".join([one] * 2000) + "]}"
        tracemalloc.start()
        fields = decode(text, depth=32)
        took, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert took * 0.8 < weight(Message("a", fields, None), text)
    prose = '{"type":"a","text":"' + "and so on " * 1000 + '"}'
    assert weight(message("a"), prose) < 1.1 * len(prose)
    several = [Join(RoomName("a" * 100), since, None) for since in (None, Since(None, 1), Since("e" * 1000, 1))]
    assert [weight(each, "x" * 9999) for each in several] == [100, 100, 1100]
