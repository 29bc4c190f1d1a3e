"""An application like a user's own, for what the showcase does not have: an audience, a slow handler, a fast heart."""

from collections.abc import Iterator

import pytest

from tests.kit.running import Served

SECRET = "a secret of thirty-two bytes or more"
AUDIENCE = "shop"

_SHOP = f"""
import asyncio
from collections import defaultdict
from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel

from hubbub import Heartbeat, Hub, JWTAuth

hub = Hub(
    auth=JWTAuth(audience={AUDIENCE!r}, cookie="session"),
    heartbeat=Heartbeat(interval=0.3, timeout=1.5),
    announce_users=True,
)
app = FastAPI()
app.include_router(hub.router)
gates = defaultdict(asyncio.Event)


class Wait(BaseModel):
    type: Literal["wait"] = "wait"
    gate: str


class Open(BaseModel):
    type: Literal["open"] = "open"
    gate: str


@hub.on(Wait)
async def wait(message: Wait) -> None:
    await gates[message.gate].wait()


@hub.on(Open)
async def open(message: Open) -> None:
    gates[message.gate].set()
"""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One worker. `wait` is answered when somebody sent `open` with the same gate."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(_SHOP)
    with Served("shop:app", cwd=folder, env={"HUBBUB_SECRET": SECRET}) as server:
        yield server
