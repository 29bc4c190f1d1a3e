"""The brokers of a network: the faults are what they say, and nothing else."""

import pytest

from hubbub import History, Unavailable
from hubbub.ports.broker import Renewal
from hubbub.testing import Network
from hubbub.testing.broker import NetworkBroker
from hubbub.types import Position, Topic, room_topic

KEEP = History(size=100, ttl=600)
TEA = Topic("room:tea")


class Ear:
    """A broker that was started, and what it brought."""

    def __init__(self, broker: NetworkBroker) -> None:
        self.broker = broker
        self.heard: list[bytes] = []
        self.positions: list[Position | None] = []
        self.resumed = 0

    def _resumed(self) -> None:
        self.resumed += 1

    def _deliver(self, topic: Topic, data: bytes, position: Position | None) -> None:
        self.heard.append(data)
        self.positions.append(position)

    async def start(self) -> "Ear":
        await self.broker.start(self._deliver, self._resumed, lambda _: None)
        await self.broker.subscribe(TEA)
        return self


async def ears(network: Network, count: int = 2) -> list[Ear]:
    return [await Ear(network.broker()).start() for _ in range(count)]


async def test_brokers_of_a_network_meet() -> None:
    network = Network()
    one, two = await ears(network)
    assert one.broker.shared
    assert one.broker.ready
    await one.broker.publish(TEA, b"a")
    position = await two.broker.publish(TEA, b"b", keep=KEEP)
    assert one.heard == two.heard == [b"a", b"b"]
    assert one.positions == [None, position]
    elsewhere = await Ear(Network().broker()).start()
    await elsewhere.broker.publish(TEA, b"c")
    assert b"c" not in one.heard


async def test_delay_is_by_the_clock_and_nothing_overtakes() -> None:
    network = Network()
    one, two = await ears(network)
    two.broker.delay = 2.0
    await one.broker.publish(TEA, b"a")
    two.broker.delay = 0.0
    await one.broker.publish(TEA, b"b")
    assert (one.heard, two.heard) == ([b"a", b"b"], [])
    await network.clock.advance(1.9)
    assert two.heard == []
    await network.clock.advance(0.1)
    assert two.heard == [b"a", b"b"]
    await one.broker.publish(TEA, b"c")
    assert two.heard[-1] == b"c"


async def test_jitter_loss_and_repetition_are_the_seeds() -> None:
    runs: list[list[bytes]] = []
    for seed in (1, 1, 2):
        network = Network(seed=seed)
        one, two = await ears(network)
        two.broker.lose, two.broker.repeat, two.broker.jitter = 0.3, 0.3, 5.0
        for number in range(60):
            await one.broker.publish(TEA, b"%d" % number)
        await network.clock.advance(5.0)
        runs.append(two.heard)
        assert len(one.heard) == 60
        assert two.heard == sorted(two.heard, key=int)
        assert len(set(two.heard)) < 60 < len(two.heard) + 60 - len(set(two.heard)) + 20
        assert len(two.heard) > len(set(two.heard))
    assert runs[0] == runs[1] != runs[2]


async def test_so_many_are_lost() -> None:
    one, two = await ears(Network())
    two.broker.lose_next = 2
    for number in range(4):
        await one.broker.publish(TEA, b"%d" % number)
    assert two.heard == [b"2", b"3"]


async def test_a_partition_and_its_end() -> None:
    network = Network()
    one, two = await ears(network)
    assert await two.broker.renew("node", 8) is Renewal.NEW
    two.broker.delay = 1.0
    await one.broker.publish(TEA, b"on its way")
    two.broker.partition()
    assert not two.broker.ready
    for call in (two.broker.publish(TEA, b"x"), two.broker.members(TEA), two.broker.unsubscribe(Topic("room:x"))):
        with pytest.raises(Unavailable):
            await call
    await one.broker.publish(TEA, b"missed")
    await network.clock.advance(9)
    assert two.broker.deaf_for == 9
    assert await one.broker.lost(10) == []
    two.broker.heal()
    two.broker.heal()
    assert (two.broker.ready, two.broker.deaf_for, two.resumed) == (True, 0.0, 1)
    assert await two.broker.renew("node", 8) is Renewal.LOST
    await one.broker.publish(TEA, b"after")
    await network.clock.advance(1)
    assert two.heard == [b"after"]
    assert one.heard == [b"on its way", b"missed", b"after"]


async def test_what_was_given_up_meanwhile_is_not_heard_again() -> None:
    one, two = await ears(Network())
    two.broker.partition()
    with pytest.raises(Unavailable):
        await two.broker.unsubscribe(TEA)
    two.broker.heal()
    await one.broker.publish(TEA, b"a")
    assert (one.heard, two.heard) == ([b"a"], [])


async def test_deaf_is_not_ready_after_ten_seconds() -> None:
    network = Network()
    one, two = await ears(network)
    two.broker.deafen()
    await two.broker.publish(TEA, b"a")
    assert (one.heard, two.heard, two.broker.ready) == ([b"a"], [], True)
    await network.clock.advance(10)
    assert not two.broker.ready
    two.broker.heal()
    await one.broker.publish(TEA, b"b")
    assert (two.heard, two.broker.ready, two.resumed) == ([b"b"], True, 1)


async def test_a_mute_broker_does_what_it_is_asked() -> None:
    one, two = await ears(Network())
    two.broker.mute = True
    with pytest.raises(Unavailable):
        await two.broker.publish(TEA, b"a", keep=KEEP, idempotency_key="k")
    two.broker.mute = False
    await two.broker.publish(TEA, b"a", keep=KEEP, idempotency_key="k")
    assert one.heard == [b"a"]


async def test_who_is_killed_gives_nothing_back() -> None:
    network = Network()
    one, two = await ears(network)
    await two.broker.enter(TEA, "bob", "node")
    await two.broker.renew("node", 8)
    two.broker.kill()
    two.broker.heal()
    two.broker.reconnect()
    await two.broker.leave(TEA, "bob", "node")
    await two.broker.publish(TEA, b"a")
    await two.broker.stop()
    assert (two.heard, one.heard, two.resumed) == ([], [], 0)
    assert await one.broker.members(TEA) == ["bob"]
    await network.clock.advance(8)
    assert [held.members for held in await one.broker.lost(10)] == [["bob"]]


async def test_history_is_lost() -> None:
    network = Network()
    [one] = await ears(network, 1)
    first = await one.broker.publish(TEA, b"a", keep=KEEP)
    other = await one.broker.publish(room_topic("coffee"), b"a", keep=KEEP)
    network.lose_history(room="tea")
    network.lose_history(user="alice")
    second = await one.broker.publish(TEA, b"b", keep=KEEP)
    assert first is not None
    assert second is not None
    assert (second.offset, second.epoch == first.epoch) == (1, False)
    third = await one.broker.publish(room_topic("coffee"), b"b", keep=KEEP)
    assert other is not None
    assert third == Position(other.epoch, 2)
    network.lose_history()
    past = await one.broker.read(room_topic("coffee"), KEEP, limit=10)
    assert past.entries == []
    assert past.top.epoch not in {first.epoch, second.epoch, other.epoch}


async def test_a_flush_forgets_all_but_who_listens() -> None:
    network = Network()
    one, two = await ears(network)
    await one.broker.enter(TEA, "bob", "node")
    await one.broker.renew("node", 8)
    await one.broker.report("node", b"{}", 8)
    await one.broker.declare(b"{}")
    assert await one.broker.take_turn("work", "node", 8) == 1
    network.flush()
    assert await one.broker.members(TEA) == []
    assert await one.broker.reports() == {}
    assert (await one.broker.declared()).words == {}
    assert await one.broker.renew("node", 8) is Renewal.NEW
    assert await two.broker.take_turn("work", "other", 8) == 1
    await one.broker.publish(TEA, b"a")
    assert (two.heard, two.resumed) == ([b"a"], 0)


async def test_failing_over_goes_back_to_the_snapshot() -> None:
    network = Network()
    one, two = await ears(network)
    first = await one.broker.publish(TEA, b"a", keep=KEEP)
    await one.broker.enter(TEA, "bob", "node")
    snapshot = network.snapshot()
    second = await one.broker.publish(TEA, b"b", keep=KEEP)
    await one.broker.enter(TEA, "carol", "node")
    two.broker.partition()
    for _ in range(2):
        network.fail_over(snapshot)
        past = await one.broker.read(TEA, KEEP, limit=10)
        assert (past.top, [entry.data for entry in past.entries]) == (first, [b"a"])
        assert await one.broker.members(TEA) == ["bob"]
        assert await one.broker.publish(TEA, b"c", keep=KEEP) == second
    assert (one.resumed, two.resumed) == (2, 0)
    assert second is not None
    turned = await one.broker.turn_back(TEA, KEEP, second.epoch)
    assert turned.epoch != second.epoch


async def test_two_networks_with_one_seed_name_their_epochs_alike() -> None:
    async def epoch(seed: int) -> str:
        broker = Network(seed=seed).broker()
        await broker.start(lambda *_: None, lambda: None, lambda _: None)
        return (await broker.read(TEA, KEEP, limit=1)).top.epoch

    one, two, three = [await epoch(seed) for seed in (1, 1, 2)]
    assert one == two != three
