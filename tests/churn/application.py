"""What the cycles are made against, and what of a worker can be counted. Whoever comes is who they say."""

import asyncio
import gc
import sys
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel

from hubbub import Connection, Credential, Heartbeat, Hub, Limits, User
from hubbub.hub.current import HubDep
from hubbub.types import UserId
from tests.kit.inside import inside
from tests.transports.resources import descriptors, memory


class Anybody:
    """Remembers nobody."""

    bearer = True
    cookie = None

    async def authenticate(self, credential: Credential) -> User:
        return User(UserId(credential.value))


#: The clients answer no ping, and how long a cycle takes decides nothing.
hub = Hub(auth=Anybody(), limits=Limits(closing=2.0), heartbeat=Heartbeat(interval=600, timeout=600))


class Say(BaseModel):
    type: Literal["say"] = "say"
    room: str
    text: str


@hub.rooms("room:{name}", presence=True)
async def room(name: str) -> bool:
    return True


@hub.on(Say)
async def say(message: Say, connection: Connection) -> None:
    await connection.room(message.room).send({"type": "said", "text": message.text})


app = FastAPI()
app.include_router(hub.router)


@app.get("/counts")
async def counts(hub: HubDep) -> dict[str, Any]:
    """All that has to be as it was when nobody is there; `memory` in bytes, `objects` as the collector knows them."""
    here = inside(hub)
    gc.collect()
    return {
        "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
        "memory": memory(),
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        "tasks": len(asyncio.all_tasks()) - 1,
        "descriptors": descriptors(),
        "registry": len(here.registry),
        "left over": here.parts.left_over(),
    }
