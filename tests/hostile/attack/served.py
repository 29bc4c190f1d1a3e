"""What is attacked: an ordinary application, its hub at the defaults of production."""

import os
from typing import Any, Literal

from fastapi import FastAPI, Response
from pydantic import BaseModel

from hubbub import History, Hub, JWTAuth
from hubbub.integrations.operations import operations
from hubbub.integrations.publishing import publishing

hub = Hub(auth=JWTAuth(), announce_users=os.environ.get("ATTACK_ANNOUNCE") == "1")
app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())
app.include_router(publishing(keys=["whoever knows this may publish 0123456789"]))

_LARGE = b"x" * 1_000_000


class Say(BaseModel):
    type: Literal["say"] = "say"
    room: str
    text: str = ""


class Fill(BaseModel):
    """Puts 300 kB into a room that keeps them."""

    type: Literal["fill"] = "fill"
    room: str


@hub.rooms("talk:{number}", presence=True)
async def talk(number: str) -> bool:
    return True


@hub.rooms("kept:{number}", history=History(size=300, ttl=3600))
async def kept(number: str) -> bool:
    return True


@hub.on(Say)
async def say(message: Say) -> None:
    await hub.room(message.room).send({"type": "said", "text": message.text})


@hub.on(Fill)
async def fill(message: Fill) -> bool:
    for _ in range(300):
        await hub.room(message.room).send({"type": "said", "text": "x" * 1000})
    return True


@app.post("/body")
async def body(body: dict[str, Any]) -> int:
    return len(body)


@app.get("/large")
async def large() -> Response:
    return Response(_LARGE, media_type="application/octet-stream")
