"""`docs/howto/background-and-schedules.md`, on a real server."""

from collections.abc import Callable
from types import ModuleType

import httpx
import pytest

from hubbub import Hub
from hubbub.testing import Network, Node
from hubbub.testing import Tab as NearTab
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple

PAGE = "docs/howto/background-and-schedules.md"
Example = Callable[[str, str], ModuleType]


async def test_after_the_response(example: Example, token: Callable[[str], str]) -> None:
    module = example(PAGE, "background.py")
    async with (
        serving(module.app) as server,
        Tab(server.ws, token=token("ann")) as ann,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        assert (await http.post("/videos/7/convert?user=ann")).status_code == 202
        assert [(await ann.receive("converted"))["percent"] for _ in range(2)] == [50, 100]
        await ann.receive("billed")


async def test_a_schedule_runs_on_one_of_two_workers_and_is_handed_on(
    example: Example, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBBUB_BROKER", valkey)
    module = example(PAGE, "schedules.py")
    monkeypatch.setattr(module, "EVERY", 0.02)
    listening = Hub(auth=Names())

    @listening.rooms("prices")
    async def anybody() -> bool:
        return True

    async with serving(simple(listening)) as elsewhere, Tab(elsewhere.ws, token="bob") as bob:
        await bob.join("prices")
        lease = listening.lease("prices", ttl=10.0)
        assert await lease.turn() == 1
        async with Node(module.app), NearTab(module.hub, "ann") as ann:
            await ann.join("prices")
            await ann.caught_up()
            assert ann.received("prices") == []
            await lease.give_up()
            turns = [(await bob.receive("prices"))["turn"] for _ in range(2)]
            assert turns == [2, 3]
        # It gave the lease up when it was stopped.
        assert await lease.turn() is not None


async def test_once_of_all() -> None:
    network = Network()
    async with network.node(lambda broker: Hub(broker)) as one, network.node(lambda broker: Hub(broker)) as two:
        turns = [await node.hub.lease("invoices:today", ttl=60).turn() for node in (one, two, one)]
        assert [turn == 1 for turn in turns] == [True, False, False]
