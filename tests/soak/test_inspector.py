"""A worker that is ready and takes nobody is found: the inspector of a run in which all is well says nothing."""

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response, WebSocket

from hubbub import Hub
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.integrations.operations import operations
from hubbub.integrations.publishing import publishing
from hubbub.options import History
from tests.kit.serving import serving
from tests.kit.waiting import until
from tests.soak.inspector import Inspector


def sound(hub: Hub) -> FastAPI:
    @hub.rooms("kept:{name}", history=History(size=10, ttl=60))
    async def kept(name: str) -> bool:
        return True

    app = FastAPI()
    for router in (hub.router, operations(), publishing(keys=[], anyone=True)):
        app.include_router(router)

    @app.websocket("/ws/as/{user}")
    async def come(websocket: WebSocket, user: str) -> None:
        await hub.serve(websocket, user=user)

    return app


def takes_nobody() -> FastAPI:
    app = FastAPI()

    @app.get("/health/ready")
    async def ready() -> str:
        return "ready"

    return app


def takes_nothing() -> FastAPI:
    app = takes_nobody()

    @app.websocket("/ws/as/{user}")
    async def come(websocket: WebSocket, user: str) -> None:
        await websocket.accept()
        await websocket.send_json({"type": "welcome"})

    @app.post("/api/rooms/{room}/messages")
    async def refuse(room: str) -> Response:
        return Response(status_code=503)

    return app


@pytest.mark.parametrize("app", [takes_nobody, takes_nothing])
async def test_who_is_ready_and_takes_nobody_is_found(app: Any) -> None:
    async with serving(app()) as server, httpx.AsyncClient(trust_env=False) as http:
        worker: Any = SimpleNamespace(name="worker 0", url=server.url, ws=server.ws)
        inspector = Inspector([worker], http, mistaken=0.0)
        [task] = inspector.begin()
        await until(task.done, "it has seen enough")
        assert inspector.wrong == ["worker 0 was ready for 0 s and took nobody"]


async def test_who_takes_everybody_is_left_alone() -> None:
    hub = Hub(MemoryBroker())
    async with serving(sound(hub)) as server, httpx.AsyncClient(trust_env=False) as http:
        worker: Any = SimpleNamespace(name="worker 0", url=server.url, ws=server.ws)
        inspector = Inspector([worker], http, mistaken=0.0)
        [task] = inspector.begin()

        async def inspected() -> bool:
            return len((await hub.room("kept:inspected").history()).messages) > 1

        await until(inspected, "it has looked twice")
        task.cancel()
        await asyncio.wait((task,))
        assert inspector.wrong == []
