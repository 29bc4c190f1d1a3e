"""What `/metrics` says is what has happened: exact counts on three workers, and nobody left out in silence."""

import asyncio
import contextlib
import gc
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from websockets.exceptions import InvalidStatus

from hubbub import Connection, History, Hub
from hubbub.integrations.metrics import register_metrics
from hubbub.integrations.operations import operations
from hubbub.ports.metrics import Count
from tests.kit.client import Tab
from tests.kit.serving import DEFAULTS, Address, Names, serving
from tests.kit.waiting import until


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str


class Fail(BaseModel):
    type: Literal["fail"] = "fail"


def made(broker: str, **options: Any) -> tuple[Hub, FastAPI]:
    hub, app = Hub(broker, auth=Names(), **options), FastAPI()
    app.include_router(hub.router)
    app.include_router(operations())

    @hub.rooms("r", presence=True, history=History(size=100, ttl=60))
    async def anybody() -> bool:
        return True

    @hub.on(Say)
    async def say(message: Say, connection: Connection) -> None:
        await connection.room("r").send({"type": "said", "text": message.text})

    @hub.on(Fail)
    async def fail(message: Fail) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("as it is meant to")

    return hub, app


class Scraped:
    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def sum(self, name: str, **labels: str) -> float:
        """Of all samples of this name that have these labels; there is one at least."""
        found = [value for each, theirs, value in self.samples if each == name and labels.items() <= theirs.items()]
        assert found, f"no {name} with {labels}"
        return sum(found)

    @property
    def nodes(self) -> set[str]:
        return {labels["node"] for _, labels, _ in self.samples if "node" in labels}


async def scrape(server: Address, **asked: str) -> Scraped:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.get(f"{server.url}/metrics", params=asked)
    assert answer.status_code == 200, answer.text
    return Scraped(answer.text)


@dataclass
class Three:
    hubs: list[Hub] = field(default_factory=list)
    servers: list[Address] = field(default_factory=list)


@pytest.fixture
async def three(valkey: str) -> AsyncIterator[Three]:
    """Workers that meet at a broker."""
    three = Three()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            hub, app = made(valkey)
            three.hubs.append(hub)
            three.servers.append(await stack.enter_async_context(serving(app)))
        for hub in three.hubs:
            await until(lambda hub=hub: hub.ready, "there")  # type: ignore[misc]
        yield three


async def test_the_counts_of_all_workers_are_those_of_what_has_happened(three: Three) -> None:
    clients, messages = 3, 4
    async with contextlib.AsyncExitStack() as stack:
        tabs = [
            await stack.enter_async_context(Tab(server.ws, token=f"user{number}"))
            for server in three.servers
            for number in range(clients)  # the same users on every worker
        ]
        for tab in tabs:
            await tab.join("r")
        for tab in tabs:
            for number in range(messages):
                await tab.send({"type": "say", "text": f"{number}", "id": number})
        for tab in tabs:
            await tab.until(lambda tab=tab: len(tab.received("said")) == len(tabs) * messages, "all messages")
            await tab.until(lambda tab=tab: len(tab.received("ack")) == messages, "all answers")
        await tabs[0].send({"type": "nonsense", "id": 1})
        await tabs[0].receive("error", code="unknown_type")
        for hub in three.hubs:  # counted twice a second
            await until(_counts(hub, connections=9, users=3, rooms=1), "the counts of the cluster")
        found = await scrape(three.servers[1])
        assert found.nodes == {hub.node for hub in three.hubs}
        assert found.sum("hubbub_workers", state="answered") == 3
        assert found.sum("hubbub_scrape_complete") == 1
        assert found.sum("hubbub_connections") == 9
        assert found.sum("hubbub_connections", node=three.hubs[0].node) == clients
        assert found.sum("hubbub_users") == 9  # of each worker
        assert found.sum("hubbub_cluster_users") == 3
        assert found.sum("hubbub_cluster_rooms") == 1
        assert found.sum("hubbub_handshakes_total", outcome="accepted") == 9
        assert found.sum("hubbub_handshakes_total") == 9
        # Joins, what was said, and the one that nobody handles.
        assert found.sum("hubbub_messages_received_total") == 9 + 9 * messages + 1
        assert found.sum("hubbub_requests_refused_total") == 1
        assert found.sum("hubbub_requests_refused_total", code="unknown_type") == 1
        assert found.sum("hubbub_handler_seconds_count", type="say") == 9 * messages
        assert found.sum("hubbub_handler_seconds_count", type="fail") == 0
        assert found.sum("hubbub_presence_changes_total", change="online") == 3
        assert found.sum("hubbub_presence_changes_total", change="came") == 3
        sent = {
            kind: sum(len(tab.received(kind)) for tab in tabs)
            for kind in ("welcome", "room_joined", "ack", "error", "said", "user_joined_room")
        }
        assert sent["said"] == 9 * 9 * messages
        many, one = (found.sum("hubbub_messages_sent_total", to=to) for to in ("many", "one"))
        assert many == sent["said"] + sent["user_joined_room"]
        assert one == sent["welcome"] + sent["room_joined"] + sent["ack"] + sent["error"]
        # Each worker gets each message once, for its three.
        assert found.sum("hubbub_fanout_members_sum") >= sent["said"]
        assert found.sum("hubbub_publish_to_delivery_seconds_count") >= 1
        assert found.sum("hubbub_outbox_bytes") == 0
    for hub in three.hubs:
        await until(_counts(hub, connections=0, users=0, rooms=0), "everybody has gone")
    after = await scrape(three.servers[0])
    assert after.sum("hubbub_connections") == 0
    assert after.sum("hubbub_connections_closed_total") == 9
    assert after.sum("hubbub_connections_closed_total", by="client") == 9
    assert after.sum("hubbub_presence_changes_total", change="offline") == 3


def _counts(hub: Hub, *, connections: int, users: int, rooms: int) -> Any:
    async def asked() -> bool:
        stats = await hub.stats()
        return (stats.connections, stats.users, stats.rooms) == (connections, users, rooms)

    return asked


@pytest.mark.complains("fail failed for connection")
async def test_bytes_are_those_of_the_frames() -> None:
    _, app = made("memory")
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        before = await scrape(server)
        await tab.send({"type": "fail", "id": 1})
        await tab.receive("error")
        after = await scrape(server)
        # A head of two bytes, and a client's mask of four; an ASGI server keeps both to itself.
        head, mask = (2, 4) if "hubbub" in DEFAULTS["ws"] else (0, 0)
        came, went = (
            after.sum(f"hubbub_{way}_bytes_total") - before.sum(f"hubbub_{way}_bytes_total")
            for way in ("received", "sent")
        )
        assert came == len('{"type": "fail", "id": 1}') + head + mask
        error = '{"type":"error","code":"internal","message":"internal error","id":1}'
        assert went == len(error) + head
        assert after.sum("hubbub_handlers_failed_total") == 1
        assert after.sum("hubbub_handler_seconds_count", type="fail") == 1


@pytest.mark.complains("metrics could not be answered to another worker")
async def test_a_worker_that_says_nothing_is_counted_and_one_that_cannot_too(three: Three) -> None:
    never = asyncio.Event()
    one, two, three_ = three.hubs
    two.workers.known["metrics"] = never.wait
    three_.workers.known["metrics"] = lambda: 1 / 0
    found = await scrape(three.servers[0])
    assert found.nodes == {one.node}
    assert [found.sum("hubbub_workers", state=each) for each in ("answered", "failed", "silent")] == [1, 1, 1]
    assert found.sum("hubbub_scrape_complete") == 0
    # The one that is asked need not ask itself.
    assert (await scrape(three.servers[1])).nodes == {one.node, two.node}


async def test_who_is_away_from_its_broker_speaks_for_itself(mortal: Any) -> None:
    hub, app = made(mortal.url)
    async with serving(app) as server:
        await until(lambda: hub.ready, "there")
        mortal.kill()
        found = await scrape(server)
        assert found.nodes == {hub.node}
        assert found.sum("hubbub_scrape_complete") == 0
        assert not [name for name, _, _ in found.samples if name.startswith("hubbub_cluster")]
        assert found.sum("hubbub_workers", state="answered") == 1


@pytest.mark.complains("authenticating a handshake failed")
async def test_refusals_and_closes_are_counted_by_reason() -> None:
    hub, app = made("memory", origins=["https://ours.example"])
    async with serving(app) as server:
        ours, theirs = ({"origin": f"https://{whose}.example"} for whose in ("ours", "theirs"))
        with pytest.raises(AssertionError, match="4001"):
            async with Tab(server.ws, token="no", additional_headers=ours):
                pass
        for token, headers, status in (("ann", theirs, 403), ("fail", {}, 500)):
            with pytest.raises(InvalidStatus) as refused_with:
                await Tab(server.ws, token=token, additional_headers=headers).connect()
            assert refused_with.value.response.status_code == status
        async with Tab(server.ws, token="ann") as tab:
            await hub.user("ann").disconnect("away with you")
            await tab.until(lambda: not tab.open, "closed")
        found = await scrape(server)
    refused = {
        outcome: found.sum("hubbub_handshakes_total", outcome=outcome)
        for outcome in ("accepted", "credential", "origin", "failed", "other", "address", "unready")
    }
    assert refused == {
        "accepted": 1,
        "credential": 1,
        "origin": 1,
        "failed": 1,
        "other": 0,
        "address": 0,
        "unready": 0,
    }
    assert found.sum("hubbub_credentials_rejected_total") == 1
    assert found.sum("hubbub_connections_closed_total", by="server", code="4003") == 1
    assert found.sum("hubbub_connections_closed_total") == 1


async def test_resumes_are_counted_by_what_came_of_them() -> None:
    _, app = made("memory")
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        joined = await tab.join("r")
        await tab.send({"type": "say", "text": "1"})
        await tab.receive("said")
        since = {"epoch": joined["epoch"], "offset": joined["offset"]}
        async with Tab(server.ws, token="bob") as other:
            assert (await other.join("r", since=since))["recovered"] is True
            await other.receive("said")
        async with Tab(server.ws, token="bob") as other:
            lost = {"epoch": "another", "offset": 7}
            assert (await other.join("r", since=lost))["recovered"] is False
        found = await scrape(server)
    assert found.sum("hubbub_resumes_total", outcome="complete") == 1
    assert found.sum("hubbub_resumes_total", outcome="incomplete") == 1
    assert found.sum("hubbub_messages_resumed_total") == 1


async def test_the_registry_of_the_application_has_ours_too() -> None:
    registry = CollectorRegistry(auto_describe=True)
    hub, _ = made("memory")
    second, _ = made("memory")
    register_metrics(hub, registry)
    register_metrics(second, registry)
    register_metrics(hub, registry)

    def collected() -> Scraped:
        return Scraped(generate_latest(registry).decode())

    assert collected().nodes == set()
    async with hub.running(), second.running():
        # In whatever thread: as `prometheus_client.start_http_server` does.
        found = await asyncio.to_thread(collected)
        assert found.nodes == {hub.node, second.node}
        assert found.sum("hubbub_ready") == 2
        assert not [name for name, _, _ in found.samples if name == "hubbub_workers"]
    assert collected().nodes == set()


async def test_metrics_of_the_applications_own_are_told_the_same_and_ours_still_know() -> None:
    class Own:
        def __init__(self) -> None:
            self.counted: list[Count] = []

        def count(self, what: Count, by: int = 1) -> None:
            self.counted.append(what)

    own: Any = Own()
    hub, app = made("memory", metrics=own)
    assert hub.metrics is own
    async with serving(app) as server, Tab(server.ws, token="ann"):
        gc.collect()  # whose pause it has no way to hear of
        found = await scrape(server)
        assert own.counted.count(Count.CONNECTIONS) == 1
        assert found.sum("hubbub_handshakes_total", outcome="accepted") == 1
        assert found.sum("hubbub_gc_pause_seconds_count") >= 1


async def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    _, app = made("memory")
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with serving(app) as server, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{server.url}/metrics")
        assert (answer.status_code, "pip install 'hubbub[metrics]'" in answer.text) == (501, True)
        assert (await client.get(f"{server.url}/stats")).status_code == 200


async def test_a_hub_that_does_not_run_has_none() -> None:
    app, hub = FastAPI(), Hub("memory")
    app.include_router(operations(hub=hub))
    async with serving(app) as server, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{server.url}/metrics")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
