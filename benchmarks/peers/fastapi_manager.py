"""The `ConnectionManager` of FastAPI's tutorial, with rooms, and `gather` instead of one `await` after another."""

import asyncio
from collections import defaultdict

from fastapi import FastAPI, WebSocket, WebSocketDisconnect


class ConnectionManager:
    def __init__(self) -> None:
        self.rooms: dict[str, set[WebSocket]] = defaultdict(set)

    def connect(self, room: str, websocket: WebSocket) -> None:
        self.rooms[room].add(websocket)

    def disconnect(self, room: str, websocket: WebSocket) -> None:
        self.rooms[room].discard(websocket)

    async def broadcast(self, room: str, text: str) -> None:
        await asyncio.gather(*(member.send_text(text) for member in self.rooms[room]), return_exceptions=True)


app = FastAPI()
manager = ConnectionManager()


@app.websocket("/rooms")
async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    room = await websocket.receive_text()
    manager.connect(room, websocket)
    try:
        await websocket.send_text('{"type":"room_joined"}')
        while True:
            await manager.broadcast(room, await websocket.receive_text())
    except WebSocketDisconnect:
        manager.disconnect(room, websocket)
