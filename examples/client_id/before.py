"""A chat as the tutorials have it: a list of sockets in the memory of one process."""

from pathlib import Path

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse

app = FastAPI()


class ConnectionManager:
    def __init__(self) -> None:
        self.active_connections: list[WebSocket] = []

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: WebSocket) -> None:
        self.active_connections.remove(websocket)

    async def send_personal_message(self, text: str, websocket: WebSocket) -> None:
        await websocket.send_text(text)

    async def broadcast(self, text: str) -> None:
        for connection in self.active_connections:
            await connection.send_text(text)


manager = ConnectionManager()


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("before.html"))


@app.websocket("/ws/{client_id}")
async def chat(websocket: WebSocket, client_id: int) -> None:
    await manager.connect(websocket)
    try:
        while True:
            text = await websocket.receive_text()
            await manager.send_personal_message(f"You: {text}", websocket)
            await manager.broadcast(f"Client {client_id}: {text}")
    except WebSocketDisconnect:
        manager.disconnect(websocket)
        await manager.broadcast(f"Client {client_id} is gone")
