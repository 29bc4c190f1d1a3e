"""The same rooms on a hub, which speaks to Redis once for all sockets, and keeps what who is away would miss."""

from pathlib import Path
from typing import Literal

from fastapi import FastAPI, WebSocket
from fastapi.responses import FileResponse
from pydantic import BaseModel

from hubbub import Connection, History, Hub

hub = Hub()  # its Redis from HUBBUB_BROKER
app = FastAPI()
app.include_router(hub.router)


class Say(BaseModel):
    type: Literal["say"] = "say"
    room: str
    text: str


@hub.rooms("{room}", presence=True, history=History(size=200, ttl=3600))
async def may_join(room: str) -> bool:
    return True


@hub.on(Say)
async def say(message: Say, connection: Connection) -> None:
    await connection.room(message.room).send({"type": "said", "name": connection.user.id, "text": message.text})


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("after.html"))


@app.websocket("/ws/{name}")
async def chat(websocket: WebSocket, name: str) -> None:
    await hub.serve(websocket, user=name)
