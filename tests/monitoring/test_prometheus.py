"""Three real workers, a Prometheus that scrapes whichever answers, and everything that is asked of it."""

import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.showcase.people import fresh, one_client_on_each_worker, one_tab_on_each_worker, stats
from tests.kit.client import Tab
from tests.kit.prometheus import ALERTS, DASHBOARD, Prometheus, promtool
from tests.kit.running import Served, alive
from tests.kit.waiting import tries, until


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served("--dev", "--workers", "3") as server:
        yield server


async def scrape(client: httpx.AsyncClient, scope: str = "cluster") -> dict[tuple[str, frozenset[Any]], float]:
    answer = await client.get("/metrics", params={"scope": scope})
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def nodes(scraped: dict[tuple[str, frozenset[Any]], float]) -> set[str]:
    return {dict(labels)["node"] for _, labels in scraped if "node" in dict(labels)}


def workers(scraped: dict[tuple[str, frozenset[Any]], float]) -> dict[str, float]:
    states = ("answered", "failed", "silent")
    return {state: scraped["hubbub_workers", frozenset({("state", state)})] for state in states}


@asynccontextmanager
async def talk(server: Served) -> AsyncIterator[list[Tab]]:
    """A tab on each worker, all in one room, and of each kind of traffic a little."""
    async with AsyncExitStack() as stack:
        tabs = await stack.enter_async_context(one_tab_on_each_worker(server))
        room = fresh("tea")
        for tab in tabs:
            await tab.join(room)
        for tab in tabs:
            await tab.send({"type": "room_message", "room": room, "content": tab.node})
            await tab.send({"type": "no_such_type"})
        for tab in tabs:
            await tab.until(lambda tab=tab: len(tab.received("room_message")) == len(tabs), "what all have said")
        yield tabs


async def test_a_scrape_of_any_worker_sees_all_three(server: Served) -> None:
    async with talk(server) as tabs, one_client_on_each_worker(server) as clients:
        assert {tab.node for tab in tabs} == set(clients)
        for node, client in clients.items():
            found = await scrape(client)
            assert nodes(found) == set(clients)
            assert workers(found) == {"answered": 3, "failed": 0, "silent": 0}
            assert found["hubbub_scrape_complete", frozenset()] == 1
            assert [found["hubbub_connections", frozenset({("node", each)})] >= 1 for each in clients] == [True] * 3
            alone = await scrape(client, "worker")
            assert nodes(alone) == {node}
            assert ("hubbub_scrape_complete", frozenset()) not in alone
        [client, *_] = clients.values()
        promtool("check", "metrics", given=(await client.get("/metrics")).text)
        assert (await client.get("/metrics", params={"scope": "all"})).status_code == 422


def queries() -> list[str]:
    """Those of the dashboard, as Grafana would ask them of every worker."""
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return [each.replace("$node", ".*").replace("$__rate_interval", "30s") for each in asked]


@pytest.mark.slow
async def test_every_query_of_the_dashboard_and_every_alert_is_answered(server: Served, tmp_path: Path) -> None:
    assert len(queries()) > 40
    names = sorted(set(re.findall(r"\bhubbub_\w+", ALERTS.read_text())))
    with Prometheus(tmp_path / "prometheus", server.url.removeprefix("http://")) as prometheus:
        async with talk(server) as tabs, talk(server):
            await tabs[0].close()
            missing = queries()
            for _ in tries("every query has data", within=60):
                # Somebody comes, is refused something and goes: rates are of what goes on.
                async with Tab(server.ws, user=fresh("guest")) as passing:
                    await passing.send({"type": "no_such_type"})
                    await passing.receive("error")
                missing[:] = [each for each in missing if not prometheus.query(each)]
                if not missing:
                    break
            assert [name for name in names if not prometheus.query(name)] == []
            await until(lambda: _evaluated(prometheus), "every alert was evaluated")
            assert len(prometheus.rules()) == ALERTS.read_text().count("- alert:")
            # What is well is well: nobody is woken by a server that works.
            firing = prometheus.query('ALERTS{alertstate="firing"}')
            assert firing == []


def _evaluated(prometheus: Prometheus) -> bool:
    health = {rule["name"]: (rule["health"], rule.get("lastError")) for rule in prometheus.rules()}
    assert not [each for each in health.values() if each[0] == "err"], health
    return all(each == "ok" for each, _ in health.values())


@pytest.mark.slow
async def test_a_killed_worker_is_not_in_what_is_scraped_and_its_successor_is(server: Served) -> None:
    async with one_client_on_each_worker(server) as clients:
        first, second, _ = clients
        pid = next(each["pid"] for each in (await stats(server))["workers"] if each["node"] == second)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not alive(pid), "killed")
        counted = []
        for _ in tries("its successor answers", within=60):
            found = await scrape(clients[first])
            assert second not in nodes(found)
            there = workers(found)
            counted.append(there)
            # Who lives as far as is known has answered, or is told of as one that did not.
            assert found["hubbub_scrape_complete", frozenset()] == (there["failed"] + there["silent"] == 0)
            if there == {"answered": 3, "failed": 0, "silent": 0}:
                break
        assert all(each["answered"] >= 2 for each in counted), counted
        assert second not in nodes(found)
        assert len(nodes(found)) == 3
