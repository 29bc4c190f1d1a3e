"""Many who come and go at once, or one as fast as it may: what each is told is bounded, and right in the end."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest

from hubbub import Hub, Limits, Rate
from hubbub.ports.metrics import Count, Tally
from hubbub.testing import Network, Node, Tab
from hubbub.testing.broker import NetworkBroker
from tests.kit import views

ROOM, DATA, DIFFS = "hall", "hall:data", "hall:diff"
FEATURES = ((), ("diff",), ("presence",), ("diff", "presence"))
CROWD = 300


@pytest.fixture
def network() -> Network:
    return Network(seed=3)


def application(network: Network, broker: NetworkBroker, *, notices: int) -> Hub:
    options = {"rate": Rate(messages=10_000, burst=100_000), "limits": Limits(notices=notices), "metrics": Tally()}
    hub = Hub(broker=broker, clock=network.clock, announce_users=True, **options)

    @hub.rooms(DIFFS, presence="diff", presence_data=True)
    @hub.rooms(DATA, presence=True, presence_data=True)
    @hub.rooms(ROOM, presence=True)
    async def anybody() -> bool:
        return True

    return hub


@pytest.fixture
async def nodes(network: Network) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(network.node(partial(application, network, notices=notices)))
            for notices in (2_000, 300)
        ]


class Crowd:
    """`tabs` of as many users, on both workers, each with other features."""

    def __init__(self, nodes: list[Node]) -> None:
        self.tabs = [
            Tab(nodes[number % 2], f"user{number}", features=FEATURES[number // 2 % 4]) for number in range(CROWD)
        ]
        self.watchers = self.tabs[:8]
        """Who stay connected from the beginning to the end."""
        self.inside: dict[str, set[Tab]] = {ROOM: set(), DATA: set(), DIFFS: set()}

    async def move(self, chance: random.Random) -> None:
        """One does something."""
        tab, room = chance.choice(self.tabs), chance.choice(sorted(self.inside))
        if not tab.open:
            await tab.reconnect()
        elif chance.random() < 0.2 and tab not in self.watchers:
            await tab.drop()
            for there in self.inside.values():
                there.discard(tab)
        elif tab not in self.inside[room]:
            self.inside[room].add(tab)
            await tab.send({"type": "join_room", "room": room})
        elif room == ROOM or chance.random() < 0.5:
            self.inside[room].discard(tab)
            await tab.send({"type": "leave_room", "room": room})
        elif "presence" in tab.welcome.get("features", ()):
            await tab.send({"type": "set_presence", "room": room, "presence": {"n": chance.randrange(9)}})

    async def go(self) -> None:
        for tab in self.tabs:
            await tab.close()


async def test_after_a_storm_everybody_has_the_right_view_with_and_without_the_feature(
    network: Network, nodes: list[Node]
) -> None:
    chance = random.Random(11)
    crowd = Crowd(nodes)
    for tab in crowd.tabs:
        await tab.reconnect()
    for _ in range(20):
        for _ in range(70):
            await crowd.move(chance)
        await network.clock.advance(chance.choice([0.01, 0.1, 0.3, 0.7]))
    await network.clock.advance(150)
    # One worker had to hand out lists.
    assert all(node.hub.metrics.counts[Count.NOTICES_COLLECTED] for node in nodes)
    assert nodes[1].hub.metrics.counts[Count.NOTICES_LEFT_OUT]
    hub = nodes[0].hub
    for room, inside in crowd.inside.items():
        true = {user: {} for user in await hub.room(room).members()} | await hub.room(room).presence()
        assert set(true) == {tab.welcome["user"] for tab in inside}
        assert len(true) > 32 * len(nodes)
        for tab in inside:
            view = views.presence(since_it_came(tab), room)
            assert view is not None
            if "presence" in tab.welcome.get("features", ()):
                assert view == true, (room, tab.welcome)
            else:
                assert set(view) == set(true), (room, tab.welcome)
    there = {tab.welcome["user"] for tab in crowd.tabs if tab.open}
    for tab in crowd.watchers:
        assert views.online(tab.log) == there - {tab.welcome["user"]} - before(crowd, tab), tab.welcome
    await crowd.go()


def since_it_came(tab: Tab) -> list[dict[str, Any]]:
    return tab.log[max(at for at, message in enumerate(tab.log) if message["type"] == "welcome") :]


def before(crowd: Crowd, tab: Tab) -> set[str]:
    """Who was there when it came, and has been all the time."""
    return {each.welcome["user"] for each in crowd.watchers[: crowd.watchers.index(tab)]}
