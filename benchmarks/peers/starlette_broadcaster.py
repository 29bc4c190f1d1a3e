"""Starlette and encode/broadcaster's memory backend, as broadcaster's own example does it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from broadcaster import Broadcast
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

broadcast = Broadcast("memory://")


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    room = await websocket.receive_text()
    async with broadcast.subscribe(channel=room) as subscriber:

        async def forward() -> None:
            async for event in subscriber:
                await websocket.send_text(event.message)

        forwarding = asyncio.create_task(forward())
        try:
            await websocket.send_text('{"type":"room_joined"}')
            async for text in websocket.iter_text():
                await broadcast.publish(channel=room, message=text)
        finally:
            forwarding.cancel()


@contextlib.asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with broadcast:
        yield


app = Starlette(routes=[WebSocketRoute("/rooms", chat)], lifespan=lifespan)
