"""Names that mean something else than they say: each is refused, and by its field."""

import json

import httpx
import pytest
from fastapi import FastAPI

from hubbub import Hub, InvalidMessage
from hubbub.auth.jwt import JWTAuth
from hubbub.client.publisher import Publisher
from hubbub.integrations.publishing import publishing
from hubbub.showcase import login
from tests.kit.serving import Names, serving

OWN = "@me is each user's own"


async def test_a_users_own_room_is_no_room_to_others() -> None:
    app = FastAPI()
    hub = Hub(auth=Names())
    app.include_router(hub.router)
    app.include_router(publishing(keys=[], anyone=True))
    note = {"type": "note"}
    async with serving(app) as server, httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/api/rooms/@me/messages", json=note)
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["path", "room"])
        assert OWN in answer.json()["detail"][0]["msg"]
        answer = await client.post("/api/rooms/%40me/messages", json=note)
        assert answer.status_code == 422
        answer = await client.post("/api/messages", json={"messages": [{"room": "@me", "message": note}]})
        assert answer.json()["results"][0]["error"]["field"] == "room"
        with pytest.raises(InvalidMessage, match=OWN):
            hub.room("@me")
        with pytest.raises(InvalidMessage, match=OWN) as refused:
            hub.each_room(["tea", "@me"])
        assert refused.value.field == "rooms[1]"
    publisher = Publisher("redis://localhost")
    with pytest.raises(InvalidMessage, match=OWN):
        publisher.room("@me")
    with pytest.raises(InvalidMessage, match=OWN):
        publisher.each_room(["@me"])


@pytest.mark.parametrize("name", ["\ud800", "a\x00", "x" * 129, "", 9e999, None, ["ann"]])
async def test_a_name_that_is_none_is_refused_however_it_is_written(name: object) -> None:
    app = FastAPI()
    app.include_router(login.routes(JWTAuth("x" * 32, cookie="hubbub"), development=True))
    async with serving(app) as server, httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post(
            "/login", content=json.dumps({"name": name}), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (400, 422), answer.text
