"""Tabs come, go, break off and show things, answers are lost, the broker forgets: in the end all see what is so."""

import asyncio
import contextlib
import random

import pytest

from hubbub.scheduling.backoff import Backoff
from hubbub.testing import Network, Refusal, Tab
from tests.kit.inside import inside
from tests.presence.test_presence_data import ASKED, Seen, making

ROOMS = ["room:a", "diff:a"]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next", lambda _: 0.0)


class Crowd:
    """Two tabs of each of three users, over three nodes; what each shows where it is."""

    def __init__(self, chance: random.Random, tabs: list[Tab]) -> None:
        self.chance, self.tabs = chance, tabs
        self.shown: dict[tuple[int, str], str] = {}
        self.usual = [""] * len(tabs)
        self._names = iter(range(10_000))

    async def step(self, which: int, *, breaks: bool) -> None:
        tab, room = self.tabs[which], self.chance.choice(ROOMS)
        with contextlib.suppress(Refusal):
            match self.chance.choice(
                ["join", "join", "leave", "show", "show", "show all", "drop" if breaks else "show"]
            ):
                case "join":
                    await tab.join(room)
                    self.shown.setdefault((which, room), self.usual[which])
                case "leave":
                    await tab.leave(room)
                    del self.shown[which, room]
                case "show" if (which, room) in self.shown:
                    self.shown[which, room] = await self.show(tab, room=room)
                case "show all":
                    self.usual[which] = await self.show(tab)
                    for at in [at for at in self.shown if at[0] == which]:
                        self.shown[at] = self.usual[which]
                case "drop":
                    await tab.drop()
                    await tab.reconnect()
                    self.usual[which] = ""
                    for at in [at for at in self.shown if at[0] == which]:
                        del self.shown[at]

    async def show(self, tab: Tab, **where: str) -> str:
        """What it shows then, whether or not the broker could be told yet."""
        name = f"{next(self._names)}" if self.chance.random() < 0.8 else ""
        with contextlib.suppress(Refusal):
            await tab.ask({"type": "set_presence", "presence": {"name": name} if name else {}, **where})
        return name


@pytest.mark.parametrize("seed", [*range(5), 25, 30])
async def test_all_see_the_same_in_the_end(seed: int) -> None:
    chance, network = random.Random(seed), Network(seed=seed)
    async with contextlib.AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(network.node(making(network))) for _ in range(3)]
        tabs = [
            await stack.enter_async_context(Tab(nodes[number % 3], f"u{number // 2}", features=ASKED))
            for number in range(6)
        ]
        watching = await stack.enter_async_context(Tab(nodes[0], "watching", features=ASKED))
        crowd = Crowd(chance, tabs)
        for room in ROOMS:
            await watching.join(room)
        for _ in range(60):
            mute = chance.choice(nodes).broker if chance.random() < 0.2 else None
            if mute is not None:
                mute.mute = True
            several = chance.sample(range(len(tabs)), chance.randrange(1, 4))
            await asyncio.gather(*(crowd.step(which, breaks=mute is None) for which in several))
            await network.clock.advance(chance.choice([0, 0.1, 0.7]))
            if mute is not None:
                mute.mute = False
            if chance.random() < 0.05:
                network.flush()
                # Who is here is said again, and nobody is told: who joins meanwhile would not know.
                await network.clock.advance(5)
        await network.clock.advance(40)
        for room in ROOMS:
            truth = await nodes[1].hub.room(room).presence()
            there = {f"u{which // 2}" for which, at in crowd.shown if at == room} | {"watching"}
            assert truth.keys() == there
            for user, fields in truth.items():
                mine = {name for (which, at), name in crowd.shown.items() if at == room and f"u{which // 2}" == user}
                assert fields.get("name", "") in mine or user == "watching"
                assert fields or not any(mine)
            for which, tab in enumerate([*tabs, watching]):
                if tab is watching or (which, room) in crowd.shown:
                    await tab.caught_up()
                    assert Seen(tab, room).now == truth, (room, tab.ledger.client)
        await stack.aclose()
        assert all(not inside(node.hub).parts.left_over() for node in nodes if node.hub.ready)
