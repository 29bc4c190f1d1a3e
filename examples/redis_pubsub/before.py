"""Rooms over several workers as the tutorials have them: Redis pub/sub by hand, a subscription for each socket."""

# redis-py leaves some of its own types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
import json
import os
from pathlib import Path

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse
from redis.asyncio import Redis

redis = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
app = FastAPI()


async def publish(room: str, **message: str) -> None:
    await redis.publish(f"room:{room}", json.dumps(message))


async def forward(room: str, websocket: WebSocket, subscribed: asyncio.Event) -> None:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(f"room:{room}")
        subscribed.set()
        async for message in pubsub.listen():
            if message["type"] == "message":
                await websocket.send_text(message["data"])


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("before.html"))


@app.websocket("/ws/{room}/{name}")
async def chat(websocket: WebSocket, room: str, name: str) -> None:
    await websocket.accept()
    subscribed = asyncio.Event()
    forwarding = asyncio.create_task(forward(room, websocket, subscribed))
    await subscribed.wait()
    await publish(room, type="came", name=name)
    try:
        while True:
            text = await websocket.receive_text()
            await publish(room, type="said", name=name, text=text)
    except WebSocketDisconnect:
        forwarding.cancel()
        await publish(room, type="went", name=name)
