"""What the workers serve whose hooks are counted: each writes down what it is told, and by which process.

`HUBBUB_EDGES` is the file, `HUBBUB_LEDGER_LEASE` the seconds of `Leaving`. Users are who they say in the path.
"""

import asyncio
import json
import os

from fastapi import FastAPI, WebSocket

from hubbub import Edge, Hub
from hubbub.integrations.operations import operations
from hubbub.options import Leaving

hub = Hub(leaving=Leaving(lease=float(os.environ["HUBBUB_LEDGER_LEASE"]), window=0.0))


@hub.rooms("team:{name}")
async def team(name: str) -> bool:
    return True


async def write(what: str, edge: Edge) -> None:
    line = json.dumps({"what": what, "of": edge.name, "number": edge.number, "pid": os.getpid()}) + "\n"
    descriptor = os.open(os.environ["HUBBUB_EDGES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
    await asyncio.sleep(0.005)  # in which it may be killed


@hub.on_online
async def came(edge: Edge) -> None:
    await write("online", edge)


@hub.on_offline
async def went(edge: Edge) -> None:
    await write("offline", edge)


@hub.on_occupied("team:{name}")
async def opened(edge: Edge) -> None:
    await write("occupied", edge)


@hub.on_vacated("team:{name}")
async def emptied(edge: Edge) -> None:
    await write("vacated", edge)


app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())


@app.websocket("/ws/as/{user}")
async def come(websocket: WebSocket, user: str) -> None:
    await hub.serve(websocket, user=user)
