"""What a crowd is served: rooms with history and without, with and without presence; requests; who is told by HTTP.

Defaults, but for how fast a client may send. Of the environment: CROWD_HANDSHAKES is `Limits(handshakes=)` and
CROWD_HEARTBEAT the seconds of `Heartbeat(interval=)`.
"""

import os
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel

from hubbub import Connection, Heartbeat, History, Hub, HubDep, JWTAuth, Limits, Rate
from hubbub.integrations.operations import operations

hub = Hub(
    auth=JWTAuth(),
    rate=Rate(messages=1_000_000, burst=1_000_000, bytes=1e12, bytes_burst=1 << 40),
    limits=Limits(handshakes=float(os.environ.get("CROWD_HANDSHAKES", "1000"))),
    heartbeat=Heartbeat(interval=float(os.environ.get("CROWD_HEARTBEAT", "25"))),
)
app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())


class Request(BaseModel):
    type: Literal["request"] = "request"
    content: str


class RoomMessage(BaseModel):
    type: Literal["room_message"] = "room_message"
    room: str
    content: str


class Said(BaseModel):
    number: int
    content: str = ""


@hub.rooms("room:{name}")
async def plain(name: str) -> bool:
    return True


@hub.rooms("present:{name}", presence=True)
async def present(name: str) -> bool:
    return True


@hub.rooms("kept:{name}", history=History(size=1_000, ttl=3600))
async def kept(name: str) -> bool:
    return True


@hub.on(Request)
async def request(message: Request) -> Any:
    # Any: nothing is looked at twice.
    return {"content": message.content}


@hub.on(RoomMessage)
async def room_message(message: RoomMessage, connection: Connection) -> None:
    await connection.room(message.room).send({"type": "room_message", "content": message.content})


@app.post("/say/{room}")
async def say(room: str, message: Said, hub: HubDep) -> dict[str, Any]:
    """Numbers and text for a room; where it stands afterwards."""
    said = {"type": "said", "number": message.number, "content": message.content}
    position = await hub.room(room).send(said)
    return {"offset": None if position is None else position.offset}
