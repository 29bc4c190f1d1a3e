"""A node that died is found out in time, once, by whoever is left; one that only was away is not buried alive."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hubbub.ports.broker import Held, Renewal
from hubbub.testing import settle
from hubbub.types import OCCUPIED, ONLINE, room_topic, user_topic
from tests.kit.nodes import ROOM, Cluster, Node


@pytest.fixture
async def s() -> AsyncIterator[Cluster]:
    setting = Cluster()
    yield setting
    for node in setting.nodes:
        node.presence.stop()
        await node.leases.stop()
        await node.background.end(within=0)


async def test_the_users_of_a_dead_node_are_gone_within_the_lease_and_once_each(s: Cluster) -> None:
    """Whatever they were in, and whoever finds it: but not the one who is on a living node as well."""
    a, *others = [await s.node(name) for name in "abcd"]
    for user in ("ann", "bob"):
        await a.presence.enter(ONLINE, user)
        await a.presence.enter(user_topic(user), f"tab of {user}")
        for room in ("r", "d"):
            await a.presence.enter(room_topic(room), user)
            await a.presence.enter(OCCUPIED, room)
    await others[0].presence.enter(ROOM, "bob")
    await s.wait(30)
    s.said.clear()
    await a.die()
    await s.wait(7.75)
    assert s.said == []
    await s.wait(2.25)
    assert s.members(ROOM) == ["bob"]
    assert not any(map(s.members, (room_topic("d"), ONLINE, OCCUPIED, user_topic("ann"), user_topic("bob"))))
    assert s.of("user_left_room") == [b'{"type":"user_left_room","room":"r","user":"ann"}']
    assert sorted(s.of("user_disconnected")) == [
        b'{"type":"user_disconnected","user":"ann"}',
        b'{"type":"user_disconnected","user":"bob"}',
    ]
    assert sorted(payload for topic, payload in s.said if topic == "room:d") == [b"ann", b"bob"]
    s.said.clear()
    await s.wait(30)
    assert s.said == []
    assert [node.line.renewals.count(Renewal.LOST) for node in others] == [0, 0, 0]


async def test_what_one_sweeper_leaves_the_next_one_sweeps(s: Cluster) -> None:
    a, b = await s.node("a"), await s.node("b")
    for number in range(10):
        await a.presence.enter(room_topic(f"r{number}"), "ann")
    await s.wait(20)
    await a.die()
    b.line.sweeps = 4
    await s.wait(10)
    left = [number for number in range(10) if s.members(room_topic(f"r{number}"))]
    assert len(left) == 6
    await b.die()
    c = await s.node("c")
    await s.wait(10)
    assert c.line.most >= 6
    assert not any(s.members(room_topic(f"r{number}")) for number in range(10))


async def test_many_are_swept_in_batches(s: Cluster) -> None:
    a, b = await s.node("a"), await s.node("b")
    for number in range(1000):
        await a.presence.enter(ROOM, f"u{number}")
    await s.wait(20)
    await a.die()
    await s.wait(10)
    assert s.members(ROOM) == []
    assert len(s.of("user_left_room")) == 1000
    assert 200 < b.line.most <= 256


async def test_after_the_broker_was_away_nobody_is_buried_alive(s: Cluster) -> None:
    """All leases have run out, and those who come back first wait for the others."""
    nodes = [await s.node(name) for name in "abc"]
    for node, user in zip(nodes, ("ann", "bob", "cid"), strict=True):
        await node.presence.enter(ROOM, user)
    dead = await s.node("d")
    await dead.presence.enter(ROOM, "dan")
    await s.wait(20)
    s.said.clear()
    await dead.die()
    for node in nodes:
        node.line.away = True
    await s.wait(15)
    for node in nodes:
        node.line.away = False
        await s.wait(1)
    await s.wait(10)
    assert s.of("user_left_room") == [b'{"type":"user_left_room","room":"r","user":"dan"}']
    assert len(s.said) == 1
    assert s.members(ROOM) == ["ann", "bob", "cid"]


async def test_one_who_finds_itself_among_the_dead_lets_everybody_come_back(s: Cluster) -> None:
    """The machine slept: nobody's call failed, and yet time has passed for all."""
    nodes = [await s.node(name) for name in "ab"]
    for node, user in zip(nodes, ("ann", "bob"), strict=True):
        await node.presence.enter(ROOM, user)
    await s.wait(20)
    s.said.clear()
    for holder in "ab":
        s.store.presence.renew(holder, 0)  # its lease ended long ago
    await s.wait(10)
    assert s.said == []
    assert s.members(ROOM) == ["ann", "bob"]
    assert Renewal.LOST in nodes[0].line.renewals + nodes[1].line.renewals


async def test_a_sweep_that_changes_nothing_is_not_repeated_for_ever(s: Cluster) -> None:
    a, b = await s.node("a"), await s.node("b")
    await a.presence.enter(ROOM, "ann")
    await s.wait(20)
    await a.die()
    asked = 0

    async def lost(_: int, *, ago: float = 0.0) -> list[Held]:
        nonlocal asked
        asked += 1
        return [Held("nobody", ROOM, ["ann"])]

    b.line.lost = lost  # type: ignore[method-assign]
    await s.wait(1)
    assert asked == 2


async def test_one_whose_answer_was_long_in_coming_waits_from_then_on(s: Cluster) -> None:
    """What held it up may have held up everybody."""
    a, b = await s.node("a"), await s.node("b")
    await a.presence.enter(ROOM, "ann")
    await s.wait(20)
    await a.die()
    answering = _held(b, "renew")
    b.leases.resumed()
    await s.wait(5.5)
    answering.set()
    await s.wait(3.75)  # the lease of the dead has ended meanwhile
    assert s.members(ROOM) == ["ann"]
    await s.wait(1)
    assert s.members(ROOM) == []


@pytest.mark.parametrize("order", [("renew", "lost"), ("lost", "renew")], ids=" before ".join)
@pytest.mark.parametrize("seconds", [7, 9, 15])
async def test_after_the_broker_stood_still_nobody_is_buried_alive(
    s: Cluster, seconds: float, order: tuple[str, str]
) -> None:
    """It answers late and refuses nobody; one is answered before the other's renewal is taken; a dead one is found."""
    a, dead = await s.node("a"), await s.node("d")
    await s.wait(1)
    b = await s.node("b")
    for node, user in ((a, "ann"), (b, "bob"), (dead, "dan")):
        await node.presence.enter(ROOM, user)
    await s.wait(20.5)
    s.said.clear()
    await dead.die()
    goes_on = {(node, name): _held(node, name) for node in (a, b) for name in order}
    await s.wait(seconds)
    for node in (b, a):
        for name in order:
            goes_on[node, name].set()
            await settle()
            assert s.members(ROOM) == ["ann", "bob", "dan"]
    await s.wait(10)
    assert s.of("user_left_room") == [b'{"type":"user_left_room","room":"r","user":"dan"}']
    assert s.members(ROOM) == ["ann", "bob"]


async def test_who_starts_while_the_broker_stands_still_lets_the_others_come_back_first(s: Cluster) -> None:
    a = await s.node("a")
    await a.presence.enter(ROOM, "ann")
    await s.wait(20)
    s.said.clear()
    fresh = Node("f", s.store, s.clock)
    s.nodes.append(fresh)
    goes_on = [_held(a, "renew"), _held(a, "lost")]
    here = _held(fresh, "renew")
    starting = asyncio.create_task(fresh.start())
    await s.wait(15)
    here.set()
    await starting
    await s.wait(3)  # it is answered once more meanwhile, and the other is not
    assert s.members(ROOM) == ["ann"]
    for each in goes_on:
        each.set()
    await s.wait(10)
    assert s.members(ROOM) == ["ann"]
    assert s.said == []


def _held(node: Node, name: str) -> asyncio.Event:
    """Until which no answer comes."""
    until, ask = asyncio.Event(), getattr(node.line, name)

    async def held(*args: Any, **named: Any) -> Any:
        await until.wait()
        return await ask(*args, **named)

    setattr(node.line, name, held)
    return until


async def test_who_starts_later_finds_the_ghosts_of_those_who_died_long_before_gone_at_once(s: Cluster) -> None:
    """With the clock at rest: nothing is waited for. Who may still come back, and who lives, stays."""
    dead, away, alive = [await s.node(name) for name in "xyz"]
    for node, user in ((dead, "ann"), (away, "bob"), (alive, "cid")):
        await node.presence.enter(ROOM, user)
    await alive.leases.stop()  # it sweeps nobody; its renewals are done by hand
    await dead.die()
    await s.wait(5)
    await away.line.renew("y", 8)
    await away.die()
    await s.wait(8)
    await alive.line.renew("z", 8)
    assert s.members(ROOM) == ["ann", "bob", "cid"]
    s.said.clear()
    fresh = await s.node("f")
    assert s.members(ROOM) == ["bob", "cid"]
    assert s.of("user_left_room") == [b'{"type":"user_left_room","room":"r","user":"ann"}']
    await s.wait(4)
    assert s.members(ROOM) == ["cid"]
    assert fresh.line.renewals[0] is Renewal.NEW


async def test_who_starts_while_the_broker_is_away_lets_the_others_come_back_first(s: Cluster) -> None:
    """All leases have run out, however long ago, and those who hold them live."""
    a = await s.node("a")
    await a.presence.enter(ROOM, "ann")
    await s.wait(20)
    a.line.away = True
    fresh = Node("f", s.store, s.clock)
    s.nodes.append(fresh)
    fresh.line.away = True
    await fresh.start()
    await s.wait(30)
    s.said.clear()
    fresh.line.away = False
    fresh.leases.resumed()
    await s.wait(1)
    a.line.away = False
    a.leases.resumed()
    await s.wait(30)
    assert s.members(ROOM) == ["ann"]
    assert s.said == []
