"""The same notifications on a hub, with an inbox for who is not there."""

import os
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse

from hubbub import History, Hub, HubDep, JWTAuth

auth = JWTAuth(os.environ["SECRET"])
hub = Hub(auth=auth, inbox=History(size=50, ttl=24 * 3600))
app = FastAPI()
app.include_router(hub.router)


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("after.html"))


@app.post("/login/{user}")
async def login(user: str) -> str:
    return auth.sign(user)


@app.post("/reports/{user}")
async def report(user: str, hub: HubDep) -> dict[str, bool]:
    await hub.user(user).send({"type": "report_ready", "report": 7})
    return {"online": await hub.user(user).is_online()}
