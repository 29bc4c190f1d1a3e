"""Several hubs on a network with faults: what Hubbub promises holds under each of them."""

import asyncio

import pytest

from hubbub import Unavailable
from hubbub.testing import Network, Tab, checks
from tests.testing.clusters import Publisher, judge, making


async def test_who_comes_back_on_another_node_misses_nothing() -> None:
    network = Network()
    publisher = Publisher("kept:tea")
    async with network.node(making(network)) as one, network.node(making(network)) as two, Tab(one, "alice") as alice:
        joined = await alice.join("kept:tea")
        assert (joined["offset"], "recovered" in joined) == (0, False)
        await publisher.send(one.hub)
        await alice.receive("said", number=1)
        here = alice.position("kept:tea")
        await alice.drop()
        for _ in range(3):
            await publisher.send(one.hub)
        async with Tab(two, "alice", ledger=alice.ledger) as again:
            assert (await again.join("kept:tea", since=here))["recovered"] is True
            await again.receive("said", number=4)
            assert judge([alice.ledger], publisher) == []
            assert [message["number"] for message in alice.ledger.seen("kept:tea")] == [1, 2, 3, 4]


async def test_what_is_dropped_or_repeated_is_mended() -> None:
    network = Network()
    publisher = Publisher("kept:tea")
    async with network.node(making(network)) as one, Tab(one, "alice") as alice:
        await alice.join("kept:tea")
        one.broker.lose_next = 2
        one.broker.repeat = 1.0
        for _ in range(5):
            await publisher.send(one.hub)
        await alice.receive("said", number=5)
        assert judge([alice.ledger], publisher) == []
        assert [message["number"] for message in alice.ledger.seen("kept:tea")] == [1, 2, 3, 4, 5]


async def test_what_was_lost_at_the_end_is_found_within_half_a_minute() -> None:
    network = Network()
    publisher = Publisher("kept:tea")
    async with network.node(making(network)) as one, Tab(one, "alice") as alice:
        await alice.join("kept:tea")
        one.broker.lose_next = 1
        await publisher.send(one.hub)
        await network.clock.advance(30)
        await alice.receive("said", number=1)


async def test_a_node_that_is_killed_is_mourned_once() -> None:
    network = Network()
    async with (
        network.node(making(network)) as one,
        network.node(making(network)) as two,
        network.node(making(network)) as three,
        Tab(one, "alice") as alice,
        Tab(two, "bob") as bob,
        Tab(three, "carol") as carol,
    ):
        for tab in (alice, bob, carol):
            await tab.join("kept:tea")
        await two.kill()
        assert await bob.closed() == 1006
        assert "room_left" not in [message["type"] for message in bob.log]
        ledgers = [alice.ledger, carol.ledger]
        assert checks.present(ledgers, "kept:tea", {"alice", "bob", "carol"}) == []
        await network.clock.advance(10)
        for tab in (alice, carol):
            await tab.caught_up()
        assert checks.gone_once(ledgers, "kept:tea", {"bob"}) == []
        assert checks.present(ledgers, "kept:tea", {"alice", "carol"}) == []
        assert checks.announced(ledgers) == []


async def test_history_that_is_lost_is_told() -> None:
    network = Network()
    publisher = Publisher("kept:tea")
    async with network.node(making(network)) as one, Tab(one, "alice") as alice:
        await alice.join("kept:tea")
        await publisher.send(one.hub)
        await alice.receive("said", number=1)
        network.lose_history(room="kept:tea")
        await publisher.send(one.hub)
        assert (await alice.receive("gap"))["after"] == 0
        await alice.receive("said", number=2)
        here = alice.position("kept:tea")
        assert here == publisher.acknowledged[-1].position
        assert judge([alice.ledger], publisher) == []


async def test_a_partition_ends_and_what_was_missed_comes() -> None:
    network = Network()
    publisher = Publisher("kept:tea")
    async with network.node(making(network)) as one, network.node(making(network)) as two, Tab(two, "bob") as bob:
        await bob.join("kept:tea")
        two.broker.partition()
        await publisher.send(one.hub)
        with pytest.raises(Unavailable):
            await two.hub.room("kept:tea").send({"type": "said", "number": 0})
        assert bob.received("said") == []
        two.broker.heal()
        await bob.receive("said", number=1)
        assert judge([bob.ledger], publisher) == []


async def test_the_end_of_a_test_does_not_wait_for_who_is_cut_off() -> None:
    network = Network()
    started = asyncio.get_running_loop().time()
    async with network.node(making(network)) as one, Tab(one, "alice") as alice:
        await alice.join("kept:tea")
        one.broker.partition()
    assert asyncio.get_running_loop().time() - started < 2.0
