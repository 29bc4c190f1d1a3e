"""Small ledgers: three nodes, six tabs that come and go, a publisher, and faults by chance, repeatable by seed."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hubbub import Hub
from hubbub.testing import Ledger, Network, Node, Tab, checks, settle
from tests.testing.clusters import Publisher, judge, making

ROOM = "kept:tea"


class Run:
    def __init__(self, seed: int, nodes: list[Node], network: Network) -> None:
        self.chance = random.Random(seed)
        self.network = network
        self.nodes = nodes
        self.publisher = Publisher(ROOM)
        self.ledgers = [Ledger(f"user{number}") for number in range(6)]
        self.tabs: dict[int, Tab] = {}

    @property
    def hub(self) -> Hub:
        return self.chance.choice(self.nodes).hub

    async def come(self) -> None:
        absent = [number for number in range(6) if number not in self.tabs]
        ready = [node for node in self.nodes if node.broker.ready]
        if absent and ready:
            number = self.chance.choice(absent)
            tab = Tab(self.chance.choice(ready), f"user{number}", ledger=self.ledgers[number])
            await tab.connect()
            await tab.receive("welcome")
            self.tabs[number] = tab
            await tab.join(ROOM, since=tab.position(ROOM))

    async def go(self) -> None:
        if self.tabs:
            await self.tabs.pop(self.chance.choice(sorted(self.tabs))).drop()

    async def forget_the_closed(self) -> None:
        for number in [number for number, tab in self.tabs.items() if not tab.open]:
            await self.tabs.pop(number).close()

    async def publish(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await self.publisher.send(self.hub)

    async def disturb(self) -> None:
        """One fault, or the end of some."""
        broker = self.chance.choice(self.nodes).broker
        match self.chance.randrange(9):
            case 0:
                broker.partition()
            case 1:
                broker.deafen()
            case 2 | 3 | 4:
                broker.heal()
            case 5:
                broker.lose_next = self.chance.randrange(4)
            case 6:
                broker.repeat = self.chance.choice([0.0, 0.5])
            case 7:
                broker.delay, broker.jitter = self.chance.choice([(0.0, 0.0), (0.5, 1.0)])
            case _:
                broker.reconnect()

    async def destroy(self) -> None:
        """Something is lost for good."""
        match self.chance.randrange(3):
            case 0:
                self.network.lose_history(room=ROOM)
            case 1:
                self.network.flush()
            case _:
                await self.calm()
                snapshot = self.network.snapshot()
                await self.publish()
                await self.network.clock.advance(3)
                self.network.fail_over(snapshot)
                await settle()

    async def calm(self) -> None:
        """No fault any more, and time for all to be found out."""
        for node in self.nodes:
            node.broker.delay = node.broker.jitter = node.broker.repeat = 0.0
            node.broker.lose_next = 0
            node.broker.heal()
        await self.network.clock.advance(40)

    async def step(self, *, destructive: bool) -> None:
        await self.forget_the_closed()
        match self.chance.randrange(12):
            case 0 | 1 | 2:
                await self.come()
            case 3:
                await self.go()
            case 4 if destructive:
                await self.destroy()
            case _:
                await self.disturb()
        await self.publish()
        await self.network.clock.advance(self.chance.choice([0.0, 0.1, 3.0]))


@asynccontextmanager
async def running(seed: int) -> AsyncIterator[Run]:
    network = Network(seed=seed)
    make = making(network)
    async with network.node(make) as one, network.node(make) as two, network.node(make) as three:
        run = Run(seed, [one, two, three], network)
        yield run
        await run.calm()
        top = (await run.hub.room(ROOM).history(limit=1, reverse=True)).position
        assert top is not None
        assert checks.caught_up(run.ledgers, {ROOM: top}) == []
        for tab in run.tabs.values():
            await tab.close()
    assert len(run.publisher.acknowledged) > 50


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_nothing_is_lost_unsaid(seed: int) -> None:
    async with running(seed) as run:
        for _ in range(80):
            await run.step(destructive=False)
        await run.calm()
        assert judge(run.ledgers, run.publisher) == []


@pytest.mark.parametrize("seed", range(8))
async def test_what_is_lost_for_good_is_told(seed: int) -> None:
    """What was acknowledged may be gone; but nobody sees a hole, or another message where one has been."""
    async with running(seed) as run:
        for _ in range(80):
            await run.step(destructive=True)
        await run.calm()
        found = checks.in_order(run.ledgers) + checks.whole(run.ledgers) + checks.agreed(run.ledgers)
        assert [str(each) for each in found] == []
