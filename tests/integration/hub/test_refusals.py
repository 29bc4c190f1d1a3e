"""Every request is answered, whatever is raised and whatever it holds: of handlers, dependencies, joins, validators."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

import pytest
import websockets
from fastapi import Depends, FastAPI, WebSocket
from pydantic import BaseModel, field_validator

from hubbub import (
    Connection,
    Credential,
    Hub,
    InvalidCredential,
    User,
)
from tests.integration.hub.raised import RAISED, Silent, raising, told_in_ones_own_words
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Names, at_rest, serving
from tests.kit.waiting import until


class Say(BaseModel):
    type: Literal["say"] = "say"
    what: str
    how: str

    @field_validator("what")
    @classmethod
    def validated(cls, what: str, info: Any) -> str:
        if what.startswith("validator:"):
            raising(what.removeprefix("validator:"))
        return what


async def opened(what: str = "") -> AsyncIterator[str]:
    yield what


def closed() -> Iterator[list[str]]:
    late: list[str] = []
    yield late
    if late:
        raising(late[0])


def declared() -> Hub:
    hub = Hub(auth=Names(cookie=None))
    told_in_ones_own_words(hub)

    @hub.on(Say)
    async def say(message: Say) -> None:
        if message.how == "later":
            await asyncio.sleep(0)
        raising(message.what)

    class Threaded(Say):
        type: Literal["threaded"]  # type: ignore[assignment]

    @hub.on(Threaded)
    def threaded(message: Threaded) -> None:
        raising(message.what)

    class Depending(Say):
        type: Literal["depending"]  # type: ignore[assignment]

    @hub.on(Depending)
    async def depending(message: Depending, late: Annotated[list[str], Depends(closed)]) -> None:
        late.append(message.what)

    @hub.rooms("at-once:{what}")
    async def at_once(what: str) -> bool:
        raising(what)

    @hub.rooms("later:{what}")
    async def later(what: str) -> bool:
        await asyncio.sleep(0)
        raising(what)

    @hub.rooms("threaded:{what}")
    def in_a_thread(what: str) -> bool:
        raising(what)

    async def guard(what: str) -> None:
        raising(what)

    @hub.rooms("guarded:{what}")
    async def guarded(what: str, _: Annotated[None, Depends(guard)]) -> bool:
        return True

    return hub


@pytest.mark.complains("a request of connection .* failed", "failed for connection")
@pytest.mark.parametrize(
    "where", ["handler", "later", "threaded", "depending", "validator", "at-once:", "later:", "threaded:", "guarded:"]
)
async def test_whatever_is_raised_is_answered(where: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    hub, logged = declared(), 0
    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        for what, (_, expected) in RAISED.items():
            if (where, what) == ("depending", "generator-exit"):
                continue  # to Python's context managers it says that they are closed
            if where.endswith(":"):
                request = {"type": "join_room", "room": f"{where}{what}"}
            elif where == "validator":
                request = {"type": "say", "what": f"validator:{what}", "how": ""}
            else:
                kind = where if where in ("threaded", "depending") else "say"
                request = {"type": kind, "what": what, "how": where}
            answer = await tab.request(**request)
            if where == "validator" and answer["code"] == "invalid_message":
                continue  # a ValueError there is the client's
            assert {"type": "error", **expected}.items() <= answer.items(), (what, answer)
            if answer["code"] == "internal":
                logged += 1
                assert set(answer) == {"type", "id", "code", "message"}
        # Nothing of it was dear: the connection lives, and so does what waits behind.
        assert (await tab.request("ping"))["type"] == "pong"
        assert len(inside(hub).endpoint.connections) == 1
        await tab.close()
        await at_rest(hub)
    failures = [each for each in caplog.records if each.name == "hubbub.lifecycle"]
    assert not failures, [each.getMessage() for each in failures]
    # Only what was nobody's to be told is logged, once each, and what did not fit without its values.
    told = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert len(told) == logged
    assert not [each for each in told if "input_value" in (each.exc_text or each.getMessage())]


async def test_one_that_cancels_itself_is_answered() -> None:
    hub = Hub(auth=Names())

    @hub.on(Say)
    async def say(message: Say) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        for _ in range(2):
            assert (await tab.request("say", what="", how=""))["code"] == "internal"
        await tab.close()
        await at_rest(hub)


@pytest.mark.complains("failed for connection")
async def test_a_close_is_what_it_says_or_is_not_begun() -> None:
    hub = Hub(auth=Names())

    @hub.on(Say)
    async def say(message: Say, connection: Connection) -> None:
        if message.what == "text":
            connection.close("bye")  # type: ignore[arg-type]
        connection.close(reason=ValueError("bye"))  # type: ignore[arg-type]

    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say", what="text", how=""))["code"] == "internal"
        assert (await tab.request("ping"))["type"] == "pong"
        await tab.send({"type": "say", "what": "", "how": ""})
        assert await tab.closed() == 1000
        assert tab.socket.protocol.close_reason == "bye"
        await at_rest(hub)


@pytest.mark.complains("Exception in ASGI application")
@pytest.mark.parametrize("what", ["plain", "refused", "exit", "cancelled", "ending"])
async def test_a_route_that_raises_closes_its_connection_with_a_word(what: str) -> None:
    hub = Hub(auth=Names())
    app = FastAPI()
    app.include_router(hub.router)

    @app.websocket("/plain")
    async def plain(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        async for message in connection:
            raising(message["what"])

    async with serving(app) as server, Tab(server.ws, "/plain", token="ann") as tab:
        await tab.send({"type": "any", "what": what, "id": 1})
        assert await tab.closed() == 1011
        await at_rest(hub)


@pytest.mark.complains("Exception in ASGI application")
async def test_a_route_that_gives_no_user_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub()
    app = FastAPI()
    app.include_router(hub.router)

    @app.websocket("/of/{name}")
    async def of(websocket: WebSocket, name: str) -> None:
        await hub.serve(websocket, user=(name, "of somewhere"))  # type: ignore[arg-type]

    async with serving(app) as server:
        with pytest.raises(websockets.InvalidStatus) as refusal:
            await Tab(server.ws, "/of/ann").connect()
        assert refusal.value.response.status_code == 500
        assert "user is a User or a str, not tuple" in caplog.text


class Raises:
    cookie: str | None = None
    bearer = True

    async def authenticate(self, credential: Credential) -> User:
        raising(credential.value)


@pytest.mark.complains("a request of connection .* failed", "authenticating a handshake failed")
async def test_whatever_an_authenticator_raises_ends_the_connection_and_nothing_else() -> None:
    hub = Hub(auth=Raises())
    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server:
        for what in (
            "refused",
            "own",
            "403",
            "plain",
            "mute",
            "credential",
            "timeout",
            "exit",
            "generator-exit",
            "group",
        ):
            is_credential = what == "credential"
            with pytest.raises(websockets.InvalidStatus) as refusal:
                await Tab(server.ws, token=what).connect()
            status = refusal.value.response.status_code
            assert status == (401 if is_credential else 503 if what == "timeout" else 500), what
            tab = await Tab(server.ws).connect()
            await tab.send({"type": "auth", "token": what})
            assert await tab.closed() == (4001 if is_credential else 1011), what
            await tab.close()
        await until(lambda: not inside(hub).endpoint.connections, "gone")


@pytest.mark.parametrize("words", [["a", "list"], "\ud800" * 3, "x" * 2**20, Silent()])
async def test_a_credential_is_refused_whatever_words_it_is_refused_with(words: Any) -> None:
    class Wordy(Names):
        async def authenticate(self, credential: Credential) -> User:
            if credential.value == "ann":
                return await super().authenticate(credential)
            raise InvalidCredential(words)

    hub = Hub(auth=Wordy())
    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server:
        with pytest.raises(websockets.InvalidStatus) as refusal:
            await Tab(server.ws, token="bob").connect()
        assert refusal.value.response.status_code == 401
        assert len(refusal.value.response.body) < 4000
        async with Tab(server.ws, token="ann") as tab:
            answer = await tab.request("auth", token="bob")
            assert (answer["code"], answer["field"]) == ("unauthorized", "token")
