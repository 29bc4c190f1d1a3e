"""What the ledger's workers serve: rooms that keep history, words that can be said twice and count once.

`HUBBUB_LEDGER_LEASE` and `HUBBUB_LEDGER_WINDOW` are the seconds of `Leaving`. Users are who they say in the path.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from fastapi import APIRouter, FastAPI, WebSocket
from pydantic import BaseModel

from hubbub import Connection, Heartbeat, History, Hub, HubDep, Limits
from hubbub.integrations.operations import operations
from hubbub.integrations.publishing import publishing
from hubbub.options import Leaving

hub = Hub(
    limits=Limits(connections_per_user=10_000),
    heartbeat=Heartbeat(interval=5.0, timeout=10.0),
    leaving=Leaving(
        lease=float(os.environ.get("HUBBUB_LEDGER_LEASE", "3")),
        window=float(os.environ.get("HUBBUB_LEDGER_WINDOW", "1")),
    ),
)


class Say(BaseModel):
    type: Literal["say"] = "say"
    room: str
    publisher: str
    number: int


@hub.rooms("kept:{name}", presence=True, history=History(size=1_000, ttl=3600))
async def kept(name: str) -> bool:
    return True


@hub.rooms("crowd:{name}", history=History(size=1_000, ttl=3600))
async def crowd(name: str) -> bool:
    """Without presence, which costs the broker something for each user."""
    return True


@hub.on(Say)
async def say(message: Say, connection: Connection) -> dict[str, Any]:
    position = await connection.room(message.room).send(
        {"type": "said", "publisher": message.publisher, "number": message.number},
        idempotency_key=f"{message.publisher}/{message.number}",
    )
    assert position is not None
    return {"epoch": position.epoch, "offset": position.offset}


class Lag:
    """How late the event loop came to what was due, the longest, in seconds."""

    _EVERY = 0.005

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        while True:
            due = time.monotonic() + self._EVERY
            await asyncio.sleep(self._EVERY)
            self.longest = max(self.longest, time.monotonic() - due)


lag = Lag()


@asynccontextmanager
async def watching(_: Any) -> AsyncIterator[None]:
    watcher = asyncio.create_task(lag.watch())
    yield
    watcher.cancel()
    await asyncio.gather(watcher, return_exceptions=True)


router = APIRouter(lifespan=watching)


@router.websocket("/ws/as/{user}")
async def come(websocket: WebSocket, user: str) -> None:
    await hub.serve(websocket, user=user)


@router.get("/lag")
async def longest_lag() -> float:
    """Since it was asked last."""
    longest, lag.longest = lag.longest, 0.0
    return longest


@router.get("/rooms/{room}/members")
async def members(room: str, hub: HubDep) -> list[str]:
    return list(await hub.room(room).members())


@router.get("/rooms/{room}/history")
async def history(room: str, hub: HubDep) -> dict[str, Any]:
    page = await hub.room(room).history(limit=1_000)
    assert page.position is not None
    at = page.position
    return {"epoch": at.epoch, "offset": at.offset, "messages": list(page.messages), "complete": page.complete}


app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())
app.include_router(publishing(keys=[], anyone=True))
app.include_router(router)
