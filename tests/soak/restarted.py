"""What is served where everything is stopped and started again: of all that a broker keeps, something.

`HUBBUB_EDGES` is the file in which hooks write, `HUBBUB_LEDGER_LEASE` the seconds of `Leaving`; `HUBBUB_SECRET` signs.
"""

import json
import os
from typing import Any

from fastapi import FastAPI, Header

from hubbub import Edge, History, Hub, HubDep, JWTAuth
from hubbub.integrations.operations import operations
from hubbub.integrations.publishing import publishing
from hubbub.options import Leaving

KEPT = History(size=5_000, ttl=3600)

hub = Hub(
    auth=JWTAuth(),
    inbox=History(size=100, ttl=3600),
    leaving=Leaving(lease=float(os.environ["HUBBUB_LEDGER_LEASE"]), window=0.5),
)


@hub.rooms("kept:{name}", presence=True, history=KEPT)
async def kept(name: str) -> bool:
    return True


def write(edge: Edge, *, here: bool) -> None:
    line = json.dumps({"of": edge.name, "here": here, "number": edge.number}) + "\n"
    descriptor = os.open(os.environ["HUBBUB_EDGES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


@hub.on_online
async def came(edge: Edge) -> None:
    write(edge, here=True)


@hub.on_offline
async def went(edge: Edge) -> None:
    write(edge, here=False)


app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())
app.include_router(publishing(keys=[], anyone=True))


@app.post("/inbox/{user}")
async def tell(user: str, message: dict[str, Any], hub: HubDep, idempotency_key: str = Header()) -> dict[str, Any]:
    position = await hub.user(user).send(message, idempotency_key=idempotency_key)
    assert position is not None
    return {"epoch": position.epoch, "offset": position.offset}


@app.post("/revoked/{user}")
async def revoke(user: str, hub: HubDep) -> None:
    await hub.revoke(user=user)


@app.post("/turn")
async def take_turn(hub: HubDep) -> int | None:
    lease = hub.lease("work")
    turn = await lease.turn()
    await lease.give_up()
    return turn


@app.get("/seen/{user}")
async def seen(user: str, hub: HubDep) -> str | None:
    when = await hub.user(user).last_seen()
    return None if when is None else when.isoformat()


@app.get("/rooms/{room}/members")
async def members(room: str, hub: HubDep) -> list[str]:
    return list(await hub.room(room).members())


@app.get("/rooms/{room}/history")
async def history(room: str, hub: HubDep) -> dict[str, Any]:
    page = await hub.room(room).history(limit=1)
    assert page.position is not None
    return {"epoch": page.position.epoch, "offset": page.position.offset}
