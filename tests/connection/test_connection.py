"""A connection without a socket, on a clock that is moved: what it is woken for, and what it holds."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from typing import Any

import pytest

from hubbub import closes
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.closes import Close
from hubbub.connection.connection import Connection
from hubbub.errors import ConnectionClosed, NotJoined
from hubbub.hub.declarations import Declarations
from hubbub.hub.runtime import Runtime
from hubbub.hub.settings import HubSettings
from hubbub.options import Heartbeat, Limits, Rate
from hubbub.ports.broker import Announcement
from hubbub.ports.metrics import Count
from hubbub.protocol.codec import Prepared
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.protocol.handshake import Handshake
from hubbub.testing import ManualClock, settle
from hubbub.types import ConnectionId, Topic, User, UserId, user_topic

DAY = 86_400.0
ALL = 10**9


class Wire:
    """A transport whose peer takes whatever it is offered, once somebody says so."""

    pings = False

    def __init__(self) -> None:
        self.closes: list[Close] = []
        self.pauses: list[float] = []
        self.flushed = 0
        self.written: list[Prepared] = []

    @property
    def writer(self) -> "Wire":
        return self

    def write(self, messages: Sequence[Prepared]) -> None:
        assert not self.closes
        self.written += messages

    @staticmethod
    def write_each(transports: Sequence["Wire"], messages: Sequence[Prepared]) -> list[int]:
        for wire, message in zip(transports, messages, strict=True):
            wire.write([message])
        return []

    @staticmethod
    def write_all(transports: Sequence["Wire"], messages: Sequence[Prepared]) -> list[tuple[int, int]]:
        for wire in transports:
            wire.write(messages)
        return []

    def flush(self) -> None:
        self.flushed += 1

    def close(self, close: Close) -> None:
        self.closes.append(close)

    def pause_reading(self, seconds: float) -> None:
        self.pauses.append(seconds)


class Slow(MemoryBroker):
    """Says that a member is there when the gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def enter(
        self, topic: Topic, member: str, holder: str, announce: Announcement | None = None, *, edge: bool | None = None
    ) -> bool:
        await self.gate.wait()
        return await super().enter(topic, member, holder, announce, edge=edge)


class OneConnection:
    """A hub that nobody serves. `broker.gate` lets in."""

    def __init__(self, heartbeat: Heartbeat | None = None, rate: Rate | None = None, **limits: Any) -> None:
        self.clock, self.broker = ManualClock(), Slow()
        heartbeat = heartbeat or Heartbeat(interval=1e9, timeout=1e9)
        settings = HubSettings(limits=Limits(**limits), heartbeat=heartbeat, rate=rate, clock=self.clock)
        self.running = Runtime(settings, Declarations(), self.broker, dict)
        self.wire = Wire()

    async def connect(self, user: User, *, text: bool = False) -> Connection:
        await self.running.start()
        context = self.running.endpoint.context
        connection = Connection(
            context, ConnectionId("c"), handshake=Handshake({}), variables=copy_context(), credential=True, text=text
        )
        connection.begin(self.wire, user)
        await settle()
        return connection

    def send(self, size: int) -> None:
        envelope = Envelope(Kind.MESSAGE, b'"' + b"x" * (size - 2) + b'"')
        self.running.parts.fanout.deliver(user_topic("ann"), envelope.encode())


async def test_a_token_of_a_month_ends_at_its_time_and_is_looked_at_each_hour() -> None:
    s = OneConnection()
    s.broker.gate.set()
    connection = await s.connect(User(UserId("ann"), expires=s.clock.wall() + 30 * DAY))
    ends = s.clock.now() + 30 * DAY
    most = 0
    while s.clock.now() + 3600 < ends:
        assert min(s.clock.alarms) <= s.clock.now() + 3600 + 1
        most = max(most, s.running.parts.waker.buckets)
        s.clock.move(3600)
        assert not connection.closed
    assert most <= 2
    s.clock.move(ends - s.clock.now() - 0.1)
    assert not connection.closed
    s.clock.move(0.2)
    assert connection.closed
    assert s.wire.closes == [closes.CREDENTIAL_EXPIRED]
    assert len(s.running.parts.waker) == 0
    await s.running.stop()


@pytest.mark.parametrize("pause", [settle, None], ids=["in turns", "in one turn"])
async def test_what_comes_before_welcome_is_bounded_by_the_outbox(pause: Callable[[], Awaitable[None]] | None) -> None:
    s = OneConnection(payload=100, outbox=300)
    connection = await s.connect(User(UserId("ann")))
    for _ in range(3):
        s.send(100)
        if pause:
            await pause()
    assert not connection.closed
    assert connection.outbound.take(ALL) == []
    s.send(2)
    await settle()
    assert s.wire.closes == [closes.TOO_SLOW]
    assert connection.outbound.unsent == 0
    for _ in range(10):
        s.send(100)
    await settle()
    assert connection.outbound.unsent == 0
    s.broker.gate.set()
    await settle()
    assert connection.outbound.take(ALL) == []
    assert len(s.wire.closes) == 1
    assert not s.running.registry
    await s.running.stop()
    assert not len(s.running.parts.presence)


async def test_what_fits_comes_after_welcome() -> None:
    s = OneConnection(payload=100, outbox=300)
    connection = await s.connect(User(UserId("ann")))
    for _ in range(3):
        s.send(100)
    s.broker.gate.set()
    await settle()
    assert s.wire.flushed
    sent: list[Prepared] = []
    while messages := connection.outbound.take(1):
        sent += messages
        connection.outbound.sent(sum(map(len, messages)))
    assert b'"welcome"' in sent[0].data
    assert [len(each) for each in sent[1:]] == [100, 100, 100]
    assert connection.outbound.unsent == 0
    assert not connection.closed
    connection.close()
    await s.running.stop()


async def test_what_was_sent_in_the_turn_of_its_end_goes_before_the_close() -> None:
    s = OneConnection()
    s.broker.gate.set()
    connection = await s.connect(User(UserId("ann")))
    assert len(connection.outbound.take(ALL)) == 1
    connection.outbound.drained()
    s.send(10)
    await connection.send({"type": "own"})
    assert s.wire.written == []
    connection.close()
    assert [len(message) for message in s.wire.written] == [10, len(b'{"type":"own"}')]
    assert s.wire.closes == [closes.FINISHED]
    with pytest.raises(ConnectionClosed):
        await connection.send({"type": "late"})
    s.send(10)
    await settle()
    assert len(s.wire.written) == 2
    await s.running.stop()


async def test_a_joiner_for_whom_too_much_came_is_closed_and_gives_all_back() -> None:
    s = OneConnection(payload=100, outbox=300)
    s.broker.gate.set()
    connection = await s.connect(User(UserId("ann")))
    s.broker.gate.clear()
    joining = asyncio.create_task(connection.join("r"))
    await settle()
    envelope = Envelope(Kind.MESSAGE, b'"' + b"x" * 98 + b'"').encode()
    for _ in range(3):
        s.running.parts.fanout.deliver(Topic("room:r"), envelope)
    assert not connection.closed
    for _ in range(50):
        s.running.parts.fanout.deliver(Topic("room:r"), envelope)
    assert s.wire.closes == [closes.TOO_SLOW]
    assert not len(s.running.parts.fanout)
    s.broker.gate.set()
    await settle()
    await joining
    assert connection.rooms == frozenset()
    await s.running.stop()
    assert not len(s.running.parts.presence)
    assert not s.running.registry


@pytest.mark.parametrize("text", [False, True], ids=["hubbub.v1", "a language of its own"])
async def test_a_refusal_is_counted_and_said_to_who_understands_it(text: bool) -> None:
    s = OneConnection()
    s.broker.gate.set()
    connection = await s.connect(User(UserId("ann")), text=text)
    connection.outbound.take(ALL)
    connection.outbound.drained()
    connection.refuse(NotJoined(field="room"), 7)
    await settle()
    said = [json.loads(message.data) for message in s.wire.written]
    assert [(each["type"], each["code"], each["id"]) for each in said] == ([] if text else [("error", "not_joined", 7)])
    assert s.running.endpoint.context.metrics.counts[Count.REFUSED] == 1  # type: ignore[attr-defined]
    await s.running.stop()


async def test_a_message_that_is_read_slowly_because_it_is_large_says_that_its_sender_is_there() -> None:
    s = OneConnection(Heartbeat(interval=5.0, timeout=2.0), Rate(bytes=1000.0, bytes_burst=1000), message=1_000_000)
    s.broker.gate.set()
    connection = await s.connect(User(UserId("ann")))
    connection.weigh(1_000_000)
    for _ in range(60):
        connection.weigh(64 * 1024)  # what was in the socket: a part of it
        # Whatever it answers stands behind that, and is read before anybody takes it for dead.
        assert 0 < s.wire.pauses[-1] <= 1.0
        s.clock.move(s.wire.pauses[-1])
    assert s.wire.closes == []
    s.clock.move(10.0)
    assert s.wire.closes == [closes.NO_HEARTBEAT]
    await s.running.stop()
