"""`hub.accept`, `hub.accept_text`, `hub.connect` and `hub.serve` on routes of the application's own."""

import asyncio
import logging
from typing import Annotated, Any, Literal

import httpx
import pytest
import websockets
from fastapi import Depends, FastAPI, WebSocket
from pydantic import BaseModel

from hubbub import Connection, ConnectionClosed, HandshakeRefused, Hub, Limits
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Names, at_rest, connection_of, serving, simple
from tests.kit.waiting import until

# What uvicorn logs for every handshake that was answered by HTTP; the client has its answer.
UVICORN = "ASGI callable returned without completing handshake."


def quiet(caplog: pytest.LogCaptureFixture) -> None:
    records = [record for record in caplog.records if record.getMessage() != UVICORN]
    loud = [record for record in records if record.levelno >= logging.WARNING or record.exc_info]
    assert not loud, [record.getMessage() for record in loud]


async def test_a_route_reads_its_messages_one_by_one() -> None:
    hub = Hub(auth=Names())
    app = simple(hub)
    gate = asyncio.Event()
    ended: list[str] = []

    @app.websocket("/mine")
    async def mine(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        async for message in connection:
            await connection.send({"type": "got", "what": message})
            await gate.wait()
        ended.append(connection.user.id)

    async with serving(app) as server, Tab(server.ws, "/mine", token="ann") as tab:
        await tab.send({"type": "order", "what": 1, "id": "a"})
        await tab.send({"type": "order", "what": 2})
        assert (await tab.receive())["what"] == {"type": "order", "what": 1, "id": "a"}
        await tab.nothing()  # no ack, and not the second message, before the loop asks for the next
        gate.set()
        assert await tab.receive() == {"type": "ack", "id": "a"}
        assert (await tab.receive())["what"] == {"type": "order", "what": 2}
        # The protocol is spoken beside it.
        await tab.join("open:a")
        await hub.room("open:a").send({"type": "news"})
        await tab.receive("news")
        await tab.say("{")
        assert (await tab.receive())["code"] == "invalid_message"
        await tab.close()
        await until(lambda: ended, "the iteration ended")
        await at_rest(hub)


async def test_text_is_the_routes_own_language(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Names(), limits=Limits(payload=100, outbox=1000))
    app = FastAPI()
    app.include_router(hub.router)

    @app.websocket("/echo")
    async def echo(connection: Annotated[Connection, Depends(hub.accept_text)]) -> None:
        async for text in connection:
            await connection.send(f"Echo: {text}")
            if text == "long":
                with pytest.raises(ValueError, match="101 bytes"):
                    await connection.send("x" * 101)
            if text == "bye":
                return

    async with serving(app) as server:
        options: dict[str, Any] = {"subprotocols": ["hubbub.v1", "hubbub.bearer.ann"], "compression": None}
        async with websockets.connect(f"{server.ws}/echo", **options) as socket:
            for text in ("hello", "{", '{"type": "ping"}', "", "long"):
                await socket.send(text)
                assert await socket.recv() == f"Echo: {text}"
            await hub.user("ann").send({"type": "news"})
            assert await socket.recv() == '{"type":"news"}'
            await socket.send("bye")
            assert await socket.recv() == "Echo: bye"
            await socket.wait_closed()
            assert socket.close_code == 1000
        await at_rest(hub)
    quiet(caplog)


async def test_a_str_is_for_text_routes() -> None:
    hub = Hub(auth=Names())
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        connection = connection_of(hub, tab)
        with pytest.raises(TypeError, match="text=True"):
            await connection.send("hello")
        with pytest.raises(TypeError, match=r"@hub\.on"):
            await anext(connection)
        await tab.close()
        await at_rest(hub)
        assert connection.closed
        with pytest.raises(ConnectionClosed):
            await connection.send({"type": "x"})
        with pytest.raises(ConnectionClosed):
            await connection.join("open:a")
        connection.close()
        assert "closed" in repr(connection)


class Say(BaseModel):
    type: Literal["say"]


async def test_an_identity_from_elsewhere() -> None:
    hub = Hub()
    app = FastAPI()
    app.include_router(hub.router)

    @hub.on(Say)
    async def say(message: Say, connection: Connection) -> str:
        return connection.user.id

    @app.websocket("/serve/{name}")
    async def serve(websocket: WebSocket, name: str) -> None:
        await hub.serve(websocket, user=name)

    @app.websocket("/connect/{name}")
    async def connect(websocket: WebSocket, name: str) -> None:
        async with hub.connect(websocket, user=name) as connection:
            await connection.send({"type": "hello"})
            async for _ in connection:
                pass

    async with serving(app) as server:
        async with Tab(server.ws, "/serve/ann") as ann, Tab(server.ws, "/connect/bob") as bob:
            assert (ann.welcome["user"], bob.welcome["user"]) == ("ann", "bob")
            assert (await ann.request("say"))["result"] == "ann"
            assert await bob.receive() == {"type": "hello"}
            assert await hub.user("bob").is_online()
        for path in ("/serve/" + "x" * 129, "/connect/a%0Ab"):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await Tab(server.ws, path).connect()
            assert refused.value.response.status_code == 400
        async with Tab(server.ws, "/serve/ann", origin=server.url):
            pass
        for origin in ("http://evil.example", "null"):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await Tab(server.ws, "/serve/ann", origin=origin).connect()
            assert refused.value.response.status_code == 403
        await at_rest(hub)


@pytest.mark.complains("Exception in ASGI application")
async def test_the_route_returns_or_raises(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Names())
    app = simple(hub)

    @app.websocket("/returns")
    async def returns(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        await connection.send({"type": "last"})

    @app.websocket("/raises")
    async def raises(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        await connection.send({"type": "last"})
        raise ZeroDivisionError("mine")

    @app.websocket("/raises-inside")
    async def raises_inside(websocket: WebSocket) -> None:
        async with hub.connect(websocket) as connection:
            await connection.send({"type": "last"})
            raise ZeroDivisionError("mine")

    async with serving(app) as server:
        for path, code in (("/returns", 1000), ("/raises", 1011), ("/raises-inside", 1011)):
            async with Tab(server.ws, path, token="ann") as tab:
                await tab.receive("last")
                assert await tab.closed() == code
        await at_rest(hub)
    # The exception is the application's, and so is its traceback.
    assert len([record for record in caplog.records if record.exc_info]) == 2


@pytest.mark.parametrize("how", ["accept", "accept_text", "connect", "serve"])
async def test_a_refused_handshake_ends_the_route_in_silence(how: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    names = Names()
    hub = Hub(auth=names, limits=Limits(authenticate=1.0))
    app = simple(hub)
    reached: list[str] = []

    @app.websocket("/accept")
    async def accept(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        reached.append("accept")

    @app.websocket("/accept_text")
    async def accept_text(connection: Annotated[Connection, Depends(hub.accept_text)]) -> None:
        reached.append("accept_text")

    @app.websocket("/connect")
    async def connect(websocket: WebSocket) -> None:
        async with hub.connect(websocket) as connection:
            reached.append(connection.id)

    @app.websocket("/serve")
    async def serve(websocket: WebSocket) -> None:
        await hub.serve(websocket)

    path = f"/{how}"
    async with serving(app) as server:
        for token in ("nobody", "old"):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await Tab(server.ws, path, token=token).connect()
            assert refused.value.response.status_code == 401
        tab = await Tab(server.ws, path, token="nobody", origin=server.url).connect()
        assert await tab.closed() == 4001
        await tab.close()
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(
                server.ws, path, additional_headers={"Cookie": "session=ann"}, origin="http://evil.example"
            ).connect()
        assert refused.value.response.status_code == 403
        tab = await Tab(server.ws, path).connect()
        await tab.say("hello")
        assert await tab.closed() == 4001
        await tab.close()
        tab = await Tab(server.ws, path).connect()
        assert await tab.closed() == 4002
        await tab.close()
        # Gone in the middle of the wait for the first message, and while that is looked at.
        await (await Tab(server.ws, path).connect()).drop()
        await at_rest(hub)
        names.gate = asyncio.Event()
        tab = await Tab(server.ws, path).connect()
        await tab.send({"type": "auth", "token": "ann"})
        await until(lambda: "ann" in names.asked, "asked")
        await tab.drop()
        await until(lambda: not inside(hub).endpoint.connections, "gone")
        names.gate.set()
        await at_rest(hub)
        assert not reached
    quiet(caplog)


async def test_a_route_may_see_the_refusal() -> None:
    hub = Hub(auth=Names())
    app = simple(hub)
    seen: list[Exception] = []

    @app.websocket("/mine")
    async def mine(websocket: WebSocket) -> None:
        try:
            async with hub.connect(websocket):
                pass
        except HandshakeRefused as error:
            seen.append(error)

    async with serving(app) as server:
        with pytest.raises(websockets.InvalidStatus):
            await Tab(server.ws, "/mine", token="nobody").connect()
        await until(lambda: seen, "seen")


async def test_a_hub_without_auth_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub()
    async with serving(simple(hub)) as server:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(server.ws, token="ann").connect()
        assert refused.value.response.status_code == 403
        assert "auth=" in caplog.text
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"{server.url}/ws")).status_code == 426
