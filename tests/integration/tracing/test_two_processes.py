"""Two workers of `hubbub serve`, each with the SDK in a process of its own, on the embedded Valkey between them.

The provider is set up by the application's lifespan: after `Hub()`, and before it starts.
"""

from pathlib import Path
from typing import Any

import httpx

from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.waiting import tries

APPLICATION = """
import os
from contextlib import asynccontextmanager
from typing import Literal

from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from hubbub import Connection, Hub, User


class Anybody:
    cookie, bearer = None, True

    async def authenticate(self, credential):
        return User(credential.value)


class Say(BaseModel):
    type: Literal["say"]
    room: str


exporter = InMemorySpanExporter()
hub = Hub(auth=Anybody())


@asynccontextmanager
async def lifespan(app):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield


app = FastAPI(lifespan=lifespan)
app.include_router(hub.router)


@hub.rooms("team:{team}")
async def may(team: str) -> bool:
    return True


@hub.on(Say)
async def say(message: Say, connection: Connection) -> None:
    await connection.room(message.room).send({"type": "said"})


@app.post("/orders/{order}/ship")
async def ship(order: int) -> None:
    await hub.room("team:7").send({"type": "shipped", "order": order})


@app.get("/spans")
async def spans() -> dict:
    found = [
        {
            "name": span.name,
            "trace": span.context.trace_id,
            "id": span.context.span_id,
            "above": span.parent and span.parent.span_id,
            "recipients": span.attributes.get("hubbub.recipients"),
        }
        for span in exporter.get_finished_spans()
    ]
    return {"node": hub.node, "spans": found}
"""


async def spans_of(server: Served, nodes: set[str]) -> dict[str, list[dict[str, Any]]]:
    """What each worker has exported so far."""
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in tries("each worker was asked"):
        async with httpx.AsyncClient(trust_env=False) as client:
            said = (await client.get(f"{server.url}/spans")).json()
        found[said["node"]] = said["spans"]
        if found.keys() == nodes:
            return found
    raise AssertionError


async def test_from_a_request_and_from_a_message_to_delivery_on_the_other_worker(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(APPLICATION)
    with Served("application:app", "--workers", "2", cwd=tmp_path, ready="/spans") as server:
        tabs: dict[str, Tab] = {}
        for number in tries("there is a tab on each worker"):
            tab = await Tab(server.ws, token=f"u{number}").connect()
            node = (await tab.receive("welcome"))["node"]
            if node in tabs:
                await tab.close()
                continue
            tabs[node] = tab
            await tab.join("team:7")
            if len(tabs) == 2:
                break
        async with httpx.AsyncClient(trust_env=False) as client:
            (await client.post(f"{server.url}/orders/1/ship")).raise_for_status()
        for tab in tabs.values():
            await tab.receive("shipped")
        speaker = next(iter(tabs.values()))
        await speaker.send({"type": "say", "room": "team:7"})
        for tab in tabs.values():
            await tab.receive("said")

        for _ in tries("all that is traced has ended"):
            of_workers = await spans_of(server, {*tabs})
            both = [span for spans in of_workers.values() for span in spans]
            if [span["name"] for span in both].count("deliver team:{team}") == 4:
                break
        for tab in tabs.values():
            await tab.close()

    for beginning in ("POST /orders/{order}/ship", "hubbub.message say"):
        [first] = [span for span in both if span["name"] == beginning]
        in_trace = {
            node: [each for each in spans if each["trace"] == first["trace"]] for node, spans in of_workers.items()
        }
        [published] = [each for spans in in_trace.values() for each in spans if each["name"] == "publish team:{team}"]
        for spans in in_trace.values():
            [delivered] = [each for each in spans if each["name"] == "deliver team:{team}"]
            assert delivered["above"] == published["id"]
            assert delivered["recipients"] == 1
