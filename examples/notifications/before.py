"""Notifications as the tutorials have them: a dict of each user's sockets, and the token in the path."""

import os
from pathlib import Path
from typing import Any

import jwt
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse

SECRET = os.environ["SECRET"]
app = FastAPI()


class Notifier:
    def __init__(self) -> None:
        self.active_connections: dict[str, list[WebSocket]] = {}

    async def connect(self, user: str, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections.setdefault(user, []).append(websocket)

    def disconnect(self, user: str, websocket: WebSocket) -> None:
        self.active_connections[user].remove(websocket)
        if not self.active_connections[user]:
            del self.active_connections[user]

    async def notify(self, user: str, notification: dict[str, Any]) -> None:
        for websocket in self.active_connections.get(user, []):
            await websocket.send_json(notification)


notifier = Notifier()


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("before.html"))


@app.post("/login/{user}")
async def login(user: str) -> str:
    return jwt.encode({"sub": user}, SECRET)


@app.websocket("/ws/{token}")
async def notifications(websocket: WebSocket, token: str) -> None:
    try:
        user = jwt.decode(token, SECRET, algorithms=["HS256"])["sub"]
    except jwt.InvalidTokenError:
        await websocket.close(1008)
        return
    await notifier.connect(user, websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        notifier.disconnect(user, websocket)


@app.post("/reports/{user}")
async def report(user: str) -> dict[str, bool]:
    await notifier.notify(user, {"type": "report_ready", "report": 7})
    return {"online": user in notifier.active_connections}
