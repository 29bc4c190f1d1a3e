"""What a client asks for by name, at the handshake or in its first message; what becomes of those who do not ask."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import pytest
import websockets
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from hubbub import Connection, Hub, User
from hubbub.types import UserId
from tests.kit.client import Tab
from tests.kit.serving import Address, Names, serving

SHOWS = {"type": "set_presence", "presence": {"name": "Ann"}}


class SetPresence(BaseModel):
    """An application's own, from before there was one of the protocol's."""

    type: Literal["set_presence"] = "set_presence"
    presence: Any


@pytest.fixture
async def server() -> AsyncIterator[Address]:
    hub = Hub(auth=Names())

    @hub.rooms("data:{name}", presence=True, presence_data=True)
    async def data(name: str) -> bool:
        return True

    @hub.rooms("bare:{name}", presence=True)
    async def bare(name: str) -> bool:
        return True

    @hub.on(SetPresence)
    async def own(message: SetPresence) -> Any:
        return {"own": message.presence}

    app = FastAPI()
    app.include_router(hub.router)

    @app.websocket("/plain")
    async def plain(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        await connection.join("data:plain")
        async for message in connection:
            await connection.send({"type": "echo", "was": message["type"]})

    async with serving(app) as address:
        yield address


def offer(*more: str) -> dict[str, Any]:
    return {"subprotocols": ["hubbub.v1", *more]}


@pytest.mark.parametrize(
    ("options", "features"),
    [
        (offer("hubbub.bearer.ann", "hubbub.features.presence"), ["presence"]),
        (offer("hubbub.features.later+presence", "hubbub.bearer.ann"), ["presence"]),
        (offer("hubbub.bearer.ann", "hubbub.features.later"), []),
        (offer("hubbub.bearer.ann"), None),
        ({}, None),
    ],
)
async def test_asked_for_at_the_handshake(server: Address, options: dict[str, Any], features: object) -> None:
    path = "/ws" if "subprotocols" in options else "/ws?token=ann"
    async with Tab(server.ws, path, **options) as tab:
        assert tab.welcome.get("features") == features
        assert tab.socket.subprotocol == ("hubbub.v1" if options else None)
        answer = await tab.ask(SHOWS)
        assert answer.get("result") == (None if features == ["presence"] else {"own": {"name": "Ann"}})


@pytest.mark.parametrize(
    ("subprotocols", "features", "used"),
    [
        ([], ["presence", "later"], ["presence"]),
        ([], [], []),
        (["hubbub.v1", "hubbub.features.presence"], [], ["presence"]),
        (["hubbub.v1", "hubbub.features.later"], ["presence"], ["presence"]),
    ],
)
async def test_asked_for_in_the_first_message(
    server: Address, subprotocols: list[str], features: list[str], used: list[str]
) -> None:
    tab = await Tab(server.ws, subprotocols=subprotocols or None).connect()
    try:
        await tab.send({"type": "auth", "token": "ann", "features": features})
        assert (await tab.receive("welcome"))["features"] == used
    finally:
        await tab.close()


async def test_a_renewal_changes_nothing_of_it_but_has_to_be_right(server: Address) -> None:
    async with Tab(server.ws, token="ann") as tab:
        await tab.ask({"type": "auth", "token": "ann", "features": ["presence"]})
        assert (await tab.ask(SHOWS))["result"] == {"own": {"name": "Ann"}}
        error = await tab.request("auth", token="ann", features="presence")
        assert (error["code"], error["field"]) == ("invalid_message", "features")


@pytest.mark.parametrize(
    ("subprotocols", "why"),
    [
        (["hubbub.v1", "hubbub.features."], "none of them is empty"),
        (["hubbub.v1", "hubbub.features.presence+", "hubbub.bearer.ann"], "none of them is empty"),
        (["hubbub.v1", "hubbub.features.a", "hubbub.features.b"], "more than once"),
        (["hubbub.features.presence"], "hubbub.v1, which was not offered"),
    ],
)
async def test_a_bad_form_at_the_handshake_is_refused(server: Address, subprotocols: list[str], why: str) -> None:
    for path in ("/ws", "/plain"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(server.ws, path, subprotocols=subprotocols).connect()
        response = refused.value.response
        # Where the server has no way to say so, 403.
        assert response.status_code in (400, 403)
        if response.status_code == 400:
            assert why in json.loads(response.body or b"")["detail"]


async def test_a_bad_form_in_the_first_message_ends_it_with_what_is_wrong(server: Address) -> None:
    tab = await Tab(server.ws).connect()
    await tab.send({"token": "ann", "features": "presence"})
    assert await tab.closed() == 4001
    assert tab.socket.protocol.close_reason == "features is an array of names"
    await tab.close()


async def test_who_did_not_ask_gets_every_byte_as_it_was(server: Address) -> None:
    """The same conversation in a room with presence data and in one without: but for the room's name it is the same."""
    said: dict[str, list[str]] = {}
    for room in ("data:a", "bare:a"):
        async with (
            websockets.connect(f"{server.ws}/ws?token=eve", compression=None) as old,
            Tab(server.ws, token="ann", features=["presence"]) as ann,
        ):
            frames = said[room] = [str(await old.recv())]
            await old.send(json.dumps({"type": "join_room", "room": room, "id": 1}))
            frames.append(str(await old.recv()))
            await ann.ask(SHOWS)
            await ann.join(room)
            await ann.ask(SHOWS | {"presence": {"name": "Anna"}})
            await ann.leave(room)
            await old.send('{"type":"ping","id":2}')
            while '"pong"' not in frames[-1]:
                frames.append(str(await old.recv()))
    welcome, *rest = said["data:a"]
    assert json.loads(welcome).keys() == {"type", "status", "connection", "user", "node", "heartbeat"}
    assert rest == [frame.replace("bare:a", "data:a") for frame in said["bare:a"][1:]]
    assert len(rest) == 4


async def test_a_route_of_the_applications_own_has_it_too(server: Address) -> None:
    async with (
        Tab(server.ws, "/plain", subprotocols=["hubbub.v1", "hubbub.bearer.ann", "hubbub.features.presence"]) as ann,
        Tab(server.ws, "/plain", token="bob") as bob,
    ):
        await ann.receive("room_joined")
        await ann.ask(SHOWS)
        await ann.until(lambda: ann.received("user_presence"), "what is shown")
        assert ann.received("user_presence")[0]["presence"] == {"ann": {"name": "Ann"}}
        await bob.send(SHOWS)
        assert (await bob.receive("echo"))["was"] == "set_presence"


async def test_an_authenticator_may_bring_what_is_shown() -> None:
    class Accounts(Names):
        async def authenticate(self, credential: Any) -> User:
            return User(UserId(credential.value), presence={"name": credential.value.title()})

    hub = Hub(auth=Accounts())

    @hub.rooms("r", presence=True, presence_data=True)
    async def r() -> bool:
        return True

    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="ann", features=["presence"]) as ann:
        await ann.join("r")
        async with Tab(server.ws, token="bob") as bob:
            await bob.join("r")
            joined = await ann.receive("user_joined_room")
            assert joined["presence"] == {"bob": {"name": "Bob"}}
        assert await hub.room("r").presence() == {"ann": {"name": "Ann"}}
