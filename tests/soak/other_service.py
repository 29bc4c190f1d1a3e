"""A second service on the ledger's broker, under the same name: it has the same rooms, and keeps nothing of its own."""

from fastapi import FastAPI

from hubbub import Hub
from hubbub.integrations.publishing import publishing

hub = Hub()


@hub.rooms("kept:{name}")
async def kept(name: str) -> bool:
    return True


app = FastAPI()
app.include_router(hub.router)
app.include_router(publishing(keys=[], anyone=True))
