"""Hubbub's side: an ordinary FastAPI application, served by `hubbub serve`, with a hub at its defaults.

One thing is not at its default: a client here sends more than the 100 messages a second that a hub allows, because
measuring that is the point, so `rate` is raised. It is still counted for every message.

With BENCH_MIDDLEWARE it has a middleware of its own, for which the ASGI call lasts as long as the socket.
"""

import os
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub import Hub, JWTAuth, Rate
from hubbub.integrations.operations import operations
from hubbub.ports.metrics import Tally

hub = Hub(auth=JWTAuth(), rate=Rate(messages=1_000_000, burst=1_000_000, bytes=1e12, bytes_burst=1 << 40))
app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())


class Middleware:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


if os.environ.get("BENCH_MIDDLEWARE"):
    app.add_middleware(Middleware)


@app.get("/counts")
async def counts() -> dict[str, int]:
    """How often the hub found a reader too slow, and the like."""
    return (
        {} if not isinstance(hub.metrics, Tally) else {str(what): times for what, times in hub.metrics.counts.items()}
    )


class RoomMessage(BaseModel):
    type: Literal["room_message"] = "room_message"
    room: str
    content: str


class Everyone(BaseModel):
    type: Literal["everyone"] = "everyone"
    content: str


class Request(BaseModel):
    type: Literal["request"] = "request"
    content: str


@hub.rooms("room:{name}")
async def open_room(name: str) -> bool:
    return True


@hub.rooms("present:{name}", presence=True)
async def room_with_presence(name: str) -> bool:
    return True


@hub.on(RoomMessage)
async def room_message(message: RoomMessage) -> None:
    await hub.room(message.room).send({"type": "room_message", "content": message.content})


@hub.on(Everyone)
async def everyone(message: Everyone) -> None:
    await hub.broadcast({"type": "everyone", "content": message.content})


@hub.on(Request)
async def request(message: Request) -> Any:
    # Any: no peer looks at what it answers either.
    return {"content": message.content}
