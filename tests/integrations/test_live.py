"""Who watches the admin page hears of what fails: nobody waits for an overview that does not come."""

import pytest
from fastapi import FastAPI
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hubbub import Hub
from hubbub.integrations.admin import admin
from tests.kit.serving import serving

KEY = "k" * 40


@pytest.mark.complains("Exception in ASGI application")
async def test_an_answer_in_words_of_another_version_ends_the_watch() -> None:
    hub, app = Hub("memory"), FastAPI()
    app.include_router(hub.router)
    app.include_router(admin(key=KEY))
    async with serving(app) as server:
        known = hub.workers.known["operators.overview"]
        hub.workers.known["operators.overview"] = lambda: {"refusals": "none"}
        for _ in range(2):
            async with connect(f"{server.ws}/api/live") as socket:
                await socket.send(f'{{"type": "auth", "key": "{KEY}"}}')
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
        hub.workers.known["operators.overview"] = known
        async with connect(f"{server.ws}/api/live") as socket:
            await socket.send(f'{{"type": "auth", "key": "{KEY}"}}')
            assert '"overview"' in str(await socket.recv())
