"""Whatever an application's function raises for one client's sake, the worker serves the others on.

What handlers, checks and their dependencies raise is in `tests/integration/hub/test_refusals.py`; here is the rest.
"""

import logging
from typing import Any, Literal

import pytest
import websockets
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel

from hubbub import Credential, Edge, Hub, Refused, User
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple
from tests.kit.waiting import until


class Say(BaseModel):
    type: Literal["say"] = "say"
    what: str


class Odd(Exception):
    pass


class Leaving(Refused):
    """A refusal that ends the process when it is to be told."""

    def on_the_wire(self, id: Any = None) -> dict[str, Any]:
        raise SystemExit(9)


class Auth(Names):
    async def authenticate(self, credential: Credential) -> User:
        if credential.value == "exit":
            raise SystemExit(9)
        return await super().authenticate(credential)


def application(told: list[str]) -> FastAPI:
    hub = Hub(auth=Auth())
    app = simple(hub)

    def ends(what: str) -> None:
        told.append(what)
        raise SystemExit(9)

    @hub.on(Say)
    async def say(message: Say) -> str:
        match message.what:
            case "odd":
                raise Odd
            case "leaving":
                raise Leaving
        return "here"

    @hub.refuses(Odd)
    def refusal(error: Odd) -> Refused:
        raise SystemExit(9)

    @hub.on_connect
    async def came(user: User) -> None:
        if user.id == "came":
            ends("came")

    @hub.on_disconnect
    async def went() -> None:
        ends("went")

    @hub.on_join("open:{name}")
    async def joined(name: str) -> None:
        ends("joined")

    @hub.on_leave("open:{name}")
    async def left(name: str) -> None:
        ends("left")

    @hub.on_online
    async def online(edge: Edge) -> None:
        ends("online")

    @hub.facts
    def fact() -> dict[str, Any]:
        raise SystemExit(9)

    @app.websocket("/plain")
    async def plain(websocket: WebSocket) -> None:
        async with hub.connect(websocket) as connection:
            async for _ in connection:
                ends("plain")

    return app


@pytest.mark.filterwarnings("ignore")
@pytest.mark.complains("")
async def test_nothing_that_is_raised_ends_the_worker_for_others(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    caplog.set_level(logging.ERROR)
    async with serving(application(told)) as server, Tab(server.ws, token="ann") as tab:
        for what in ("odd", "leaving"):
            assert (await tab.request("say", what=what))["code"] == "internal", what
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(server.ws, token="exit").connect()
        assert refused.value.response.status_code == 500
        for token in ("exit", "came"):
            first = await Tab(server.ws).connect()
            await first.send({"type": "auth", "token": token})
            assert await first.closed() == 1011, token
            await first.close()
        assert (await tab.request("auth", token="exit"))["code"] == "internal"
        async with Tab(server.ws, "/plain", token="bob") as other:
            await other.send({"type": "any"})
            assert await other.closed() == 1011
        await tab.join("open:tea")
        await tab.request("leave_room", room="open:tea")
        await until(lambda: {"joined", "left", "plain", "went", "online"} <= set(told), "all have ended")
        assert (await tab.request("say", what="x"))["result"] == "here"
