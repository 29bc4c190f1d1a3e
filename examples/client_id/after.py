"""The same chat on a hub: on as many workers as you like."""

from pathlib import Path
from typing import Literal

from fastapi import FastAPI, WebSocket
from fastapi.responses import FileResponse
from pydantic import BaseModel

from hubbub import Hub

hub = Hub()
app = FastAPI()
app.include_router(hub.router)


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str


@hub.rooms("chat", presence=True)
async def may_join() -> bool:
    return True


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("after.html"))


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: int) -> None:
    async with hub.connect(websocket, user=str(client_id)) as connection:
        await connection.join("chat")
        async for message in connection:
            said = Say.model_validate(message)
            await connection.send({"type": "mine", "text": said.text})
            await connection.room("chat").send({"type": "said", "by": client_id, "text": said.text})
