"""A node keeps its right to be believed, and learns in every case when it has lost it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hubbub.brokers.memory.store import PresenceTable as Truth
from hubbub.ports.broker import Renewal
from hubbub.ports.metrics import Count
from hubbub.testing import settle
from hubbub.types import OCCUPIED
from tests.kit.nodes import ROOM, Cluster, Node


@pytest.fixture
async def s() -> AsyncIterator[Cluster]:
    setting = Cluster()
    yield setting
    for node in setting.nodes:
        node.presence.stop()
        await node.leases.stop()
        await node.background.end(within=0)


async def test_a_lease_is_renewed_well_before_it_ends(s: Cluster) -> None:
    node = await s.node("a")
    assert node.line.renewals == [Renewal.NEW]
    await s.wait(20)
    assert node.line.renewals == [Renewal.NEW, *[Renewal.KEPT] * 10]
    assert set(node.line.ttls) == {8.0}
    await node.leases.stop()
    assert s.clock.alarms == []
    await s.wait(20)
    assert len(node.line.renewals) == 11


async def test_one_who_comes_back_after_a_partition_is_announced_again(s: Cluster) -> None:
    a, b = await s.node("a"), await s.node("b")
    await a.presence.enter(ROOM, "ann")
    await a.presence.enter(ROOM, "bob")
    await b.presence.enter(ROOM, "bob")
    await s.wait(20)
    s.said.clear()
    a.line.away = True
    await s.wait(15)
    assert s.of("user_left_room") == [b'{"type":"user_left_room","room":"r","user":"ann"}']
    a.presence.leave(ROOM, "bob")  # while it is away
    s.said.clear()
    a.line.away = False
    await s.wait(1)
    assert a.line.renewals[-1] is Renewal.LOST
    assert s.said == [(ROOM, b'{"type":"user_joined_room","room":"r","user":"ann"}')]
    await s.wait(20)
    assert s.members(ROOM) == ["ann", "bob"]
    assert len(s.said) == 1


async def test_what_becomes_of_a_lease_and_of_who_was_believed_gone_is_counted(s: Cluster) -> None:
    a, b = await s.node("a"), await s.node("b")
    await a.presence.enter(ROOM, "ann")
    await b.presence.enter(ROOM, "bob")
    await a.presence.enter(ROOM, "bob")
    await s.wait(4)
    assert (a.counts[Count.LEASE_RENEWED], a.counts[Count.LEASE_FAILED]) == (3, 0)
    assert (a.counts[Count.PRESENCE_CAME], b.counts[Count.PRESENCE_CAME]) == (1, 1)  # bob came once
    a.line.away = True
    await s.wait(15)
    assert a.counts[Count.LEASE_FAILED] > 3
    assert (a.counts[Count.LEASE_LOST], b.counts[Count.PRESENCE_SWEPT]) == (0, 2)
    a.line.away = False
    await s.wait(1)
    assert (a.counts[Count.LEASE_LOST], b.counts[Count.LEASE_FAILED]) == (1, 0)
    assert a.counts[Count.PRESENCE_CAME] == 2  # ann is there again, and bob was all the time


async def test_who_was_away_too_long_believes_its_clock_where_the_word_was_lost(s: Cluster) -> None:
    """The broker says LOST once, and nobody hears it."""
    a, _ = await s.node("a"), await s.node("b")
    await a.presence.enter(ROOM, "ann")
    await s.wait(20)
    a.line.away = True
    await s.wait(12)
    assert s.members(ROOM) == []
    s.said.clear()
    a.line.away, a.line.mute = False, True
    await s.wait(1)
    assert s.members(ROOM) == []
    a.line.mute = False
    await s.wait(1)
    assert a.line.renewals[-1] is Renewal.KEPT
    assert s.of("user_joined_room") == [b'{"type":"user_joined_room","room":"r","user":"ann"}']


async def test_what_the_broker_forgot_it_is_told_quietly(s: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    a = await s.node("a")
    await a.presence.enter(ROOM, "ann")
    s.said.clear()
    s.store.presence = Truth()
    await s.wait(2)
    assert a.line.renewals == [Renewal.NEW, Renewal.NEW]
    assert s.members(ROOM) == ["ann"]
    assert s.said == []
    assert [record.message for record in caplog.records] == ["the broker has forgotten who is here, and is told again"]


async def test_one_who_was_forgotten_while_it_was_away_for_hours_is_announced(s: Cluster) -> None:
    """Not the broker lost its memory, but everybody was swept, and then there was nothing to remember."""
    a, _ = await s.node("a"), await s.node("b")
    await a.presence.enter(ROOM, "ann")
    a.line.away = True
    await s.wait(15)
    s.clock.move(4000)
    await settle()
    await s.wait(15)
    s.said.clear()
    a.line.away = False
    await s.wait(1)
    assert a.line.renewals[-1] is Renewal.NEW
    assert s.of("user_joined_room") == [b'{"type":"user_joined_room","room":"r","user":"ann"}']


async def test_a_broker_that_resumed_is_told_everything_at_once(s: Cluster) -> None:
    a = await s.node("a")
    await a.presence.enter(ROOM, "ann")
    s.said.clear()
    s.store.presence.leave(ROOM, "ann", "a")  # it is an older one that has taken over
    a.leases.resumed()
    a.leases.resumed()
    await settle()
    assert a.line.renewals == [Renewal.NEW, Renewal.KEPT]
    assert s.members(ROOM) == ["ann"]
    assert s.said == []


async def test_a_broker_that_resumed_while_it_was_asked_is_asked_again(s: Cluster) -> None:
    a = await s.node("a")
    await a.presence.enter(ROOM, "ann")
    s.store.presence.leave(ROOM, "ann", "a")
    answering = asyncio.Event()
    ask = a.line.renew

    async def slowly(holder: str, ttl: float) -> Renewal:
        renewal = await ask(holder, ttl)
        await answering.wait()
        return renewal

    a.line.renew = slowly  # type: ignore[method-assign]
    await s.wait(2)
    a.leases.resumed()
    answering.set()
    await s.wait(0.5)
    assert a.line.renewals == [Renewal.NEW, Renewal.KEPT, Renewal.KEPT]
    assert s.members(ROOM) == ["ann"]


async def test_a_broker_that_is_away_at_the_start_gets_the_lease_later(s: Cluster) -> None:
    node = Node("a", s.store, s.clock)
    s.nodes.append(node)
    node.line.away = True
    await node.start()
    await s.wait(3)
    assert node.line.renewals == []
    node.line.away = False
    await s.wait(0.5)
    assert node.line.renewals == [Renewal.NEW]


async def test_who_retires_is_believed_for_a_while_and_then_swept_by_the_others(s: Cluster) -> None:
    a, _ = await s.node("a"), await s.node("b")
    await a.presence.enter(ROOM, "ann")
    await a.presence.enter(OCCUPIED, "r")
    await s.wait(20)
    s.said.clear()
    await a.leases.retire(15)
    assert a.line.ttls[-1] == 15
    a.presence.linger(ROOM, "ann")
    a.presence.leave(OCCUPIED, "r")
    a.presence.stop()
    await a.leases.stop()
    await s.wait(14.75)
    assert s.members(OCCUPIED) == ["r"]
    assert s.members(ROOM) == ["ann"]
    assert s.said == []
    await s.wait(1.25)
    assert s.members(OCCUPIED) == s.members(ROOM) == []
    assert s.of("user_left_room") == [b'{"type":"user_left_room","room":"r","user":"ann"}']


async def test_who_retires_while_the_broker_is_away_says_what_that_means(
    s: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    a, b, nobody = [await s.node(name) for name in "abn"]
    for node in (a, b):
        await node.presence.enter(ROOM, "ann")
    await b.leases.retire(15)
    # Nobody is there, so nobody is announced; nor was anybody by one that the broker never heard of.
    nobody.line.away = True
    await nobody.leases.retire(15)
    unheard = Node("u", s.store, s.clock)
    s.nodes.append(unheard)
    await unheard.line.start(lambda *_: None, lambda: None, lambda _: None)
    unheard.line.away = True
    await unheard.leases.start()
    await unheard.leases.retire(15)
    assert caplog.text == ""
    a.line.away = True
    await a.leases.retire(15)
    assert "may be announced as gone before they are back" in caplog.text


async def test_a_lease_that_is_refused_by_a_broker_that_is_there_is_told_once(
    s: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """As for a key that somebody else has taken: nothing else is wrong, so nobody else says it."""
    a = await s.node("a")
    a.line.away = True
    await s.wait(9)
    assert "refused" not in caplog.text
    await s.wait(30)
    assert [record.message for record in caplog.records if "this node's lease is refused" in record.message] == [
        "this node's lease is refused, and its users may be announced as gone: the broker is not available"
    ]
    a.line.away = False
    await s.wait(10)
    caplog.clear()
    a.line.away = True
    await s.wait(30)
    assert caplog.text.count("this node's lease is refused") == 1
