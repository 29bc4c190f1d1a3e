"""How a worker leaves its word on what is kept and learns the others'; what they come to: `rooms/retention.py`."""

import asyncio
from typing import Any, ClassVar

import pytest

from hubbub import History
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.memory.store import Store
from hubbub.errors import Unavailable
from hubbub.hub import retention_word
from hubbub.hub.composition import Parts, compose
from hubbub.hub.retention_word import RetentionWord
from hubbub.options import Keep, RoomOptions
from hubbub.ports.broker import LIVING, Declared
from hubbub.rooms.retention import word
from hubbub.testing import ManualClock
from hubbub.types import NodeId, RoomName, UserId, room_topic
from tests.kit.declared import declared
from tests.kit.waiting import until

KEEP = History(size=10, ttl=60)


class Worker:
    """With one kind of room, of which it keeps what `keep` says."""

    def __init__(self, store: Store, clock: ManualClock, keep: Keep = None) -> None:
        self.broker = MemoryBroker(store)
        rooms = declared({"a": RoomOptions(history=keep)})
        for _, rule in rooms:
            rule.check = _Check()
        self.parts: Parts = compose(self.broker, clock, declared=rooms)
        self.told = 0
        self.word = RetentionWord(
            self.broker, NodeId("n"), rooms, None, self.parts.retention, self.parts.positions, tell=self._tell
        )

    async def start(self) -> "Worker":
        await self.broker.start(lambda *_: None, lambda: None, lambda _: None)
        await self.word.settle()
        return self

    async def _tell(self) -> None:
        self.told += 1


class _Check:
    annotations: ClassVar[dict[str, Any]] = {}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> Store:
    return Store(clock=clock.now)


async def test_it_learns_where_something_changed_and_tells_it_once(store: Store, clock: ManualClock) -> None:
    worker = await Worker(store, clock).start()
    assert (worker.word.settled, worker.told) == (True, 1)
    others = [word([("a", History(size=size, ttl=60))], None) for size in (1, 2)]
    for said in others:
        store.declarations.declare(said, clock.now())
    await worker.word.settle()
    version = worker.parts.retention.version
    assert worker.parts.retention.kept(room_topic("a")) == History(size=2, ttl=60)
    for said in (*others, *others[::-1]):
        clock.move(1)
        store.declarations.declare(said, clock.now())
        await worker.word.settle()
    assert (worker.parts.retention.version, worker.told) == (version, 2)
    # Now they live no more.
    clock.move(LIVING + 1)
    await worker.word.settle()
    assert worker.told == 3
    assert worker.parts.retention.kept(room_topic("a")) == History(size=2, ttl=60)


async def test_a_topic_of_which_nothing_is_kept_any_more_has_no_position(store: Store, clock: ManualClock) -> None:
    store.declarations.declare(word([("a", KEEP)], None), clock.now())
    worker = await Worker(store, clock, keep=False).start()
    await worker.parts.positions.join(room_topic("a"), KEEP)
    await worker.word.settle()
    assert len(worker.parts.positions) == 1
    clock.move(LIVING + 1)
    await worker.word.settle()
    assert len(worker.parts.positions) == 0
    assert worker.parts.retention.kept(room_topic("a"), False) is False


async def test_what_was_forgotten_is_left_again_with_what_others_said(store: Store, clock: ManualClock) -> None:
    other = word([("a", KEEP)], None)
    store.declarations.declare(other, clock.now())
    worker = await Worker(store, clock).start()
    store.declarations = type(store.declarations)()
    await worker.word.settle()
    assert other in (await worker.broker.declared()).words
    assert worker.parts.retention.kept(room_topic("a")) == KEEP


async def test_a_look_that_fails_is_told_and_not_the_last(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention_word, "_INTERVAL", 0.001)
    worker = await Worker(store, clock).start()
    declare = worker.broker.declare
    asked = 0

    async def fails(said: bytes) -> Declared:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RuntimeError("the broker's own mistake")
        return await declare(said)

    monkeypatch.setattr(worker.broker, "declare", fails)
    looking = asyncio.create_task(worker.word.keep_settled())
    await until(lambda: asked > 2, "it looked again")
    looking.cancel()
    assert "could not be agreed on" in caplog.text


async def test_a_word_that_is_refused_by_a_broker_that_is_there_is_told_once(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As for a key that somebody else has taken: nothing else is wrong, so nobody else says it."""
    worker = await Worker(store, clock).start()

    async def refused(_: bytes) -> Declared:
        raise Unavailable from ValueError("WRONGTYPE")

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(worker.broker, "declare", refused)
            caplog.clear()
            for _ in range(20):
                await worker.word.settle()
            assert [record.message for record in caplog.records] == [
                "what is kept cannot be agreed on at the broker: WRONGTYPE"
            ]
        await worker.word.settle()


async def test_nothing_goes_out_unkept_before_it_is_known_what_others_keep(store: Store, clock: ManualClock) -> None:
    """A service that starts where the broker lets it ask nothing would lose what it sends, and nobody would say so."""
    worker = Worker(store, clock)
    await worker.broker.start(lambda *_: None, lambda: None, lambda _: None)
    store.declarations.declare(word([("a", KEEP)], None), clock.now())
    handles = worker.parts.handles
    room = handles.room(RoomName("a"))
    for sends in (room, handles.user(UserId("ann"))):
        with pytest.raises(Unavailable, match="does not know yet what others keep"):
            await sends.send({"type": "said"})
    await handles.everyone().send({"type": "said"}, exclude=None)
    patient = asyncio.create_task(room.send({"type": "said"}, patience=30))
    await worker.word.settle()
    position = await patient
    assert position is not None
    assert position.offset == 1
    position = await room.send({"type": "said"})
    assert position is not None
    assert position.offset == 2
    assert await handles.user(UserId("ann")).send({"type": "said"}) is None


async def test_what_is_kept_by_oneself_waits_for_no_others(store: Store, clock: ManualClock) -> None:
    worker = Worker(store, clock, KEEP)
    await worker.broker.start(lambda *_: None, lambda: None, lambda _: None)
    assert await worker.parts.handles.room(RoomName("a")).send({"type": "said"}) is not None
