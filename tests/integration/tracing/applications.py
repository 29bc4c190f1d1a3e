"""What is traced in these tests: handlers that say, fail and refuse, in rooms with history and without."""

import asyncio
import secrets
from typing import Annotated, Literal

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from hubbub import Connection, Forbidden, History, Hub
from tests.kit.serving import Names
from tests.kit.traces import Traces


class Say(BaseModel):
    type: Literal["say"] = "say"
    room: str
    content: str = ""
    way: Literal["plain", "thread", "spawned", "direct"] = "plain"


class Fail(BaseModel):
    type: Literal["fail"] = "fail"
    text: str = ""
    refused: bool = False


class Threaded(BaseModel):
    type: Literal["threaded"] = "threaded"
    room: str


def traced(broker: str, traces: Traces | None, *, name: str = "", telemetry: bool = True) -> tuple[Hub, FastAPI]:
    """A worker. `traces` None: it does not trace; nor does FastAPI without `telemetry`."""
    hub = Hub(
        broker,
        name=name or secrets.token_hex(4),
        auth=Names(),
        tracing=False if traces is None else traces.provider,
        inbox=History(size=10, ttl=60),
    )

    @hub.rooms("team:{team}")
    async def may(team: str) -> bool:
        return team != "closed"

    @hub.rooms("shown:{name}", presence=True, presence_data=True)
    async def may_be_seen(name: str) -> bool:
        return True

    @hub.rooms("kept:{name}", history=History(size=10, ttl=60))
    async def may_here(name: str) -> bool:
        return True

    @hub.on_join("shown:{name}")
    async def arrived(name: str) -> None:
        await hub.room("team:a").send({"type": "arrived"})
        if name == "broken":
            raise LookupError(name)

    @hub.on(Say)
    async def say(message: Say, connection: Connection) -> None:
        said = {"type": "said", "content": message.content}
        if message.way == "spawned":
            connection.spawn(later(message.room, said))
        else:
            await connection.room(message.room).send(said)

    async def later(room: str, said: dict[str, str]) -> None:
        await asyncio.sleep(0.01)
        await hub.room(room).send(said)

    @hub.on(Threaded)
    def threaded(message: Threaded) -> None:
        hub.room(message.room).send_sync({"type": "said"})

    @hub.on(Fail)
    async def fail(message: Fail) -> None:
        if message.refused:
            raise Forbidden("not you")
        raise LookupError(message.text)

    app = FastAPI(telemetry={"tracer_provider": traces.provider} if traces and telemetry else {"tracing": False})
    app.include_router(hub.router)

    @app.post("/say")
    async def publish(room: str, keep: bool = True) -> None:
        await hub.room(room).send({"type": "said"}, keep=keep)

    @app.post("/say-sync")
    def publish_sync(room: str) -> None:
        hub.room(room).send_sync({"type": "said"})

    @app.post("/to/{user}")
    async def to(user: str) -> None:
        await hub.user(user).send({"type": "said"})

    @app.post("/each")
    async def each(rooms: list[str]) -> None:
        await hub.each_room(rooms).send({"type": "said"})

    @app.post("/all")
    async def everyone() -> None:
        await hub.broadcast({"type": "said"})

    @app.websocket("/plain")
    async def plain(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        async for message in connection:
            if message["type"] == "break":
                raise LookupError("broken")
            await hub.room("team:a").send({"type": "said"})

    return hub, app
