"""What the memory broker does by a clock that the test moves, and that nothing is left of what is over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.memory.store import Store
from hubbub.options import History
from hubbub.ports.broker import (
    DECLARATION_KNOWN,
    EDGES_KEPT,
    EDGES_KNOWN,
    LEFT_KNOWN,
    LIVING,
    Announcement,
    Renewal,
)
from hubbub.testing import ManualClock
from hubbub.types import ONLINE, Position, Topic, room_topic

ROOM = room_topic("lobby")
KEEP = History(size=3, ttl=10)
HOUR, DAY = 60 * 60.0, 24 * 60 * 60.0


@asynccontextmanager
async def started(broker: MemoryBroker) -> AsyncIterator[list[tuple[Topic, bytes, Position | None]]]:
    """What it heard."""
    heard: list[tuple[Topic, bytes, Position | None]] = []
    await broker.start(lambda *message: heard.append(message), lambda: None, lambda _topic: None)
    yield heard
    await broker.stop()


async def test_turns_and_reports_end_exactly_with_their_time() -> None:
    clock = ManualClock(start=100.0)
    broker = MemoryBroker(clock=clock.now)
    async with started(broker):
        assert await broker.take_turn("numbers", "n1", 10) == 1
        await broker.report("n1", b"x", 10)
        clock.move(9.9)
        assert await broker.take_turn("numbers", "n2", 10) is None
        assert await broker.reports() == {"n1": b"x"}
        clock.move(0.1)
        assert await broker.take_turn("numbers", "n2", 10) == 2
        assert await broker.reports() == {}


async def test_a_declaration_is_new_again_where_nobody_who_lives_said_it_and_is_forgotten_in_the_end() -> None:
    clock = ManualClock(start=100.0)
    broker = MemoryBroker(clock=clock.now)
    async with started(broker):
        first = await broker.declare(b"one")
        clock.move(LIVING)
        assert not (await broker.declare(b"one")).fresh
        clock.move(LIVING + 1)
        again = await broker.declare(b"one")
        assert again.fresh
        assert again.version != first.version
        clock.move(DECLARATION_KNOWN)
        assert (await broker.declare(b"two")).words == {b"one": DECLARATION_KNOWN, b"two": 0.0}
        clock.move(1)
        assert (await broker.declare(b"two")).words == {b"two": 0.0}


async def test_nothing_is_left_of_who_was_there() -> None:
    store = Store()
    broker = MemoryBroker(store)
    async with started(broker):
        for number in range(10):
            await broker.enter("room:r", f"u{number}", "n1")
        for number in range(10):
            await broker.leave("room:r", f"u{number}", "n1")
            await broker.leave("room:r", "stranger", "n1")
        assert len(store.presence) == 0
        assert not store.presence.holders


async def test_leases_run_out_exactly_with_their_time() -> None:
    clock = ManualClock(start=100.0)
    broker = MemoryBroker(clock=clock.now)
    async with started(broker):
        await broker.renew("n1", 10)
        await broker.enter(ROOM, "alice", "n1")
        clock.move(9.9)
        assert await broker.lost(10) == []
        clock.move(0.1)
        ((holder, topic, members),) = await broker.lost(10)
        assert (holder, topic, [*members]) == ("n1", ROOM, ["alice"])


async def test_a_holder_whose_lease_ran_out_is_forgotten_after_an_hour_unless_it_holds_something() -> None:
    clock = ManualClock(start=100.0)
    store = Store(clock=clock.now)
    broker = MemoryBroker(store)
    async with started(broker):
        for holder in ("empty", "full", "late"):
            await broker.renew(holder, 1)
        await broker.enter(ROOM, "alice", "full")
        clock.move(1)
        (held,) = await broker.lost(10)
        clock.move(HOUR - 0.1)
        await broker.lost(10)
        assert await broker.renew("late", HOUR) is Renewal.LOST
        clock.move(0.1)
        assert await broker.lost(10) == [held]
        assert store.presence.all_lapsed == {"full"}
        assert await broker.renew("empty", 1) is Renewal.NEW
        assert await broker.sweep(held, [None]) == [True]
        clock.move(1)
        await broker.lost(10)
        assert store.presence.all_lapsed == {"empty"}


async def test_edges_are_asked_for_for_a_day_and_who_left_is_known_for_thirty() -> None:
    clock = ManualClock(start=100.0)
    broker = MemoryBroker(Store(clock=clock.now, wall=clock.wall))
    async with started(broker):
        await broker.edges(1)
        clock.move(EDGES_KNOWN - 0.1)
        await broker.enter(ONLINE, "alice", "n1")
        clock.move(0.1)
        await broker.leave(ONLINE, "alice", "n1")
        left = clock.wall()
        assert [edge.here for edge in (await broker.edges(10)).edges] == [True]
        clock.move(LEFT_KNOWN)
        assert await broker.last_left("alice") == left
        clock.move(0.1)
        assert await broker.last_left("alice") is None


async def test_edges_that_nobody_handles_are_lost_from_the_oldest_and_counted() -> None:
    broker = MemoryBroker()
    async with started(broker):
        for number in range(EDGES_KEPT + 3):
            await broker.enter(ONLINE, f"u{number}", "n1", edge=True)
        lost, (edge,) = await broker.edges(1)
        assert (lost, edge.member) == (3, "u3")
        await broker.handled(edge.number)
        assert (await broker.edges(1)).lost == 0


async def test_histories_are_forgotten_when_another_is_asked_for() -> None:
    clock = ManualClock(start=100.0)
    store = Store(clock=clock.now)
    broker = MemoryBroker(store)
    async with started(broker):
        for number in range(100):
            await broker.publish(room_topic(f"r{number}"), b"x", keep=KEEP, idempotency_key="k")
        assert len(store.streams) == 100
        clock.move(KEEP.ttl + DAY)
        await broker.read(ROOM, KEEP, limit=1)
        assert len(store.streams) == 0


async def test_all_hear_one_order_though_somebody_publishes_while_he_hears() -> None:
    store = Store()
    brokers = [MemoryBroker(store) for _ in range(3)]
    heard: list[list[bytes]] = [[], [], []]

    def deliver_to(at: int) -> None:
        def deliver(_topic: Topic, data: bytes, _position: Position | None) -> None:
            heard[at].append(data)
            if data == b"first":
                with pytest.raises(StopIteration):
                    brokers[at].publish(ROOM, b"from %d" % at).send(None)

        return deliver

    for at, broker in enumerate(brokers):
        await broker.start(deliver_to(at), lambda: None, lambda _topic: None)
        await broker.subscribe(ROOM)
    await brokers[0].publish(ROOM, b"first")
    assert heard == [[b"first", b"from 0", b"from 1", b"from 2"]] * 3


async def test_one_that_fails_to_hear_keeps_nobody_from_it(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    bad, good = MemoryBroker(store), MemoryBroker(store)
    await bad.start(lambda *_: 1 / 0, lambda: None, lambda _topic: None)
    await bad.subscribe(ROOM)
    async with started(good) as heard:
        await good.subscribe(ROOM)
        await bad.publish(ROOM, b"secret")
        await good.enter(ROOM, "alice", "n1", Announcement(ROOM, b"came"))
        assert [data for _, data, _ in heard] == [b"secret", b"came"]
    assert [record.getMessage() for record in caplog.records] == ["a message could not be delivered"] * 2


async def test_one_that_stops_hears_no_more_and_the_others_do() -> None:
    store = Store()
    one, other = MemoryBroker(store), MemoryBroker(store)
    async with started(other) as heard:
        await other.subscribe(ROOM)
        async with started(one) as ended:
            await one.subscribe(ROOM)
            await one.subscribe(ROOM)
        await other.publish(ROOM, b"x", keep=KEEP)
        assert ended == []
        assert [data for _, data, _ in heard] == [b"x"]
        await other.unsubscribe(ROOM)
        await other.unsubscribe(ROOM)
        assert not store.topics


async def test_a_broker_that_is_stopped_while_others_are_told_is_not_told() -> None:
    store = Store()
    first, second = MemoryBroker(store), MemoryBroker(store)
    heard: list[bytes] = []

    def deliver(_topic: Topic, _data: bytes, _position: Position | None) -> None:
        with pytest.raises(StopIteration):
            second.stop().send(None)

    await first.start(deliver, lambda: None, lambda _topic: None)
    await first.subscribe(ROOM)
    await second.start(lambda _topic, data, _position: heard.append(data), lambda: None, lambda _topic: None)
    await second.subscribe(ROOM)
    await first.publish(ROOM, b"x")
    assert heard == []
    assert second.deaf_for == 0.0
