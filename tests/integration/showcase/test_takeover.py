"""The dashboard's numbers outlive whoever produces them. A server of its own, because workers are killed."""

import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis.keys import Keys
from tests.integration.showcase.people import fresh, one_tab_on_each_worker, stats
from tests.kit.client import Tab
from tests.kit.running import Served, alive
from tests.kit.waiting import until

# The producer's lease runs 4.5 s, and its turns are 2 s apart.
_TAKEOVER = 8.0


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as valkey:
        yield valkey


@pytest.fixture
def server(valkey: EmbeddedValkey) -> Iterator[Served]:
    with Served("--dev", "--workers", "3", "--broker", valkey.url) as server:
        yield server


async def test_the_numbers_go_on_when_a_worker_is_killed_whichever_it_is(
    server: Served, valkey: EmbeddedValkey
) -> None:
    with Redis.from_url(valkey.url) as redis:

        def producer() -> str:
            holder: bytes = redis.get(Keys("hubbub").turn("dashboard"))  # type: ignore[assignment]
            return holder.decode()

        async with AsyncExitStack() as stack:
            tabs = await stack.enter_async_context(one_tab_on_each_worker(server))
            for tab in tabs:
                await tab.join("dashboard")
            # Just after a number, so that the next one is not taken yet: it would be lost with its producer.
            await tabs[-1].receive("metrics")
            first = producer()
            await _kill(server, first, tabs)
            second = producer()
            assert second != first
            bystander = next(node for node in await _nodes(server) if node not in (first, second))
            await _kill(server, bystander, tabs)
            assert producer() == second


async def _kill(server: Served, node: str, tabs: list[Tab]) -> None:
    pid = (await _nodes(server))[node]
    os.kill(pid, signal.SIGKILL)
    for tab in [tab for tab in tabs if tab.node == node]:
        assert await tab.closed() == 1006
        tabs.remove(tab)
    # Seen by all that are left, counted from the last one each has seen: no number twice, none left out.
    last = max(tab.received("metrics")[-1]["seq"] for tab in tabs)
    for tab in tabs:
        await tab.receive("metrics", seq=last + 1, within=_TAKEOVER)
        numbers = [said["seq"] for said in tab.received("metrics")]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    async def replaced() -> bool:
        nodes = await _nodes(server)
        return node not in nodes and len(nodes) == 3

    await until(replaced, "three workers, and none of them the killed one", within=30)
    pids = (await _nodes(server)).values()
    assert pid not in pids
    assert all(alive(each) for each in pids)
    # Those who are left still talk to each other, and a tab that comes again gets in.
    async with Tab(server.ws, user=fresh("again")) as again:
        await again.send({"type": "direct_message", "to": tabs[0].welcome["user"], "content": "back"})
        await tabs[0].receive("direct_message", **{"from": again.welcome["user"]})


async def _nodes(server: Served) -> dict[str, int]:
    return {worker["node"]: worker["pid"] for worker in (await stats(server))["workers"]}
