"""A route that speaks its own language hears none of ours, however it is used; and how a route ends that iterates."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import pytest
import websockets
from fastapi import Depends, FastAPI

from hubbub import Connection, Hub, Limits, NotJoined, Rate
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Address, Names, at_rest, serving, simple
from tests.kit.waiting import until

Work = Callable[[Connection], Coroutine[Any, Any, None]]


def served(hub: Hub, work: Work) -> FastAPI:
    """The same work on a route that speaks text and on one that speaks `hubbub.v1`."""
    app = simple(hub)

    @app.websocket("/text")
    async def text(connection: Annotated[Connection, Depends(hub.accept_text)]) -> None:
        await work(connection)

    @app.websocket("/messages")
    async def messages(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        await work(connection)

    return app


def dial(server: Address) -> Any:
    return websockets.connect(
        f"{server.ws}/text",
        subprotocols=["hubbub.v1", "hubbub.bearer.ann"],
        compression=None,  # type: ignore[list-item]
    )


async def everything(socket: Any) -> list[str]:
    """All it is sent until it is closed."""
    texts: list[str] = []
    with contextlib.suppress(websockets.ConnectionClosed):
        async with asyncio.timeout(10):
            while True:
                texts.append(await socket.recv())
    return texts


async def test_joining_and_leaving_say_nothing_there() -> None:
    hub = Hub(auth=Names())

    async def work(connection: Connection) -> None:
        for _ in range(2):
            await connection.join("open:a")
        async with Tab(address[0].ws, token="bob") as bob:
            assert (await bob.join("open:a"))["members"] == ["ann", "bob"]
            await hub.room("open:a").send({"type": "news"})
            await bob.receive("news")
        await until(lambda: not [each for each in hub_connections() if each == "bob"], "bob has left")
        await connection.leave("open:a")
        with pytest.raises(NotJoined):
            await connection.leave("open:a")
        await connection.join("open:b")
        await hub.room("open:b").remove("ann")
        await connection.send("end")

    def hub_connections() -> list[str]:
        return [each.user.id for each in inside(hub).registry.everyone()]

    address: list[Address] = []
    async with serving(served(hub, work)) as server:
        address.append(server)
        async with dial(server) as socket:
            assert await everything(socket) == ['{"type":"news","room":"open:a"}', "end"]
            assert socket.close_code == 1000
        await at_rest(hub)


async def test_a_flood_there_is_ended_and_not_answered() -> None:
    hub = Hub(auth=Names(), rate=Rate(messages=0.001, burst=3, refusals=4))

    async def work(connection: Connection) -> None:
        async for text in connection:
            await connection.send(f"got {text}")

    async with serving(served(hub, work)) as server:
        async with dial(server) as socket:
            for number in range(3):
                await socket.send(str(number))
                assert await socket.recv() == f"got {number}"
            await socket.send("3")
            assert await everything(socket) == []
            assert socket.close_code == 1008
        await at_rest(hub)


async def test_more_than_may_wait_there_ends_it_and_loses_nothing_in_silence() -> None:
    hub = Hub(auth=Names(), limits=Limits(waiting=4))
    gate = asyncio.Event()
    read: list[str] = []

    async def work(connection: Connection) -> None:
        async for text in connection:
            read.append(text)
            await gate.wait()

    async with serving(served(hub, work)) as server:
        async with dial(server) as socket:
            await socket.send("first")
            await until(lambda: read, "it is being worked on")
            for number in range(4):
                await socket.send(f"waits {number}")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.2)
            await socket.send("too much")
            assert await everything(socket) == []
            assert socket.close_code == 1008
        gate.set()
        await at_rest(hub)
    assert read == ["first"]


async def test_a_route_that_returns_has_handled_its_last_message() -> None:
    hub = Hub(auth=Names())

    async def work(connection: Connection) -> None:
        async for message in connection:
            if message["type"] == "last":
                return

    async with serving(served(hub, work)) as server, Tab(server.ws, "/messages", token="ann") as tab:
        await tab.send({"type": "first", "id": 1})
        assert await tab.receive() == {"type": "ack", "id": 1}
        await tab.send({"type": "last", "id": 2})
        await tab.send({"type": "never", "id": 3})
        assert await tab.closed() == 1000
        assert await tab.receive() == {"type": "ack", "id": 2}
        assert [each.get("id") for each in tab.received("ack")] == [1, 2]
        await at_rest(hub)


@pytest.mark.complains("Exception in ASGI application")
async def test_a_route_that_raises_has_not() -> None:
    hub = Hub(auth=Names())

    async def work(connection: Connection) -> None:
        async for _ in connection:
            raise ZeroDivisionError

    async with serving(served(hub, work)) as server, Tab(server.ws, "/messages", token="ann") as tab:
        await tab.send({"type": "last", "id": 1})
        assert await tab.closed() == 1011
        assert not tab.received("ack")
        await at_rest(hub)


async def test_two_tasks_do_not_read_one_connection(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Names())
    second: list[BaseException | None] = []

    async def work(connection: Connection) -> None:
        async def read() -> Any:
            return await anext(connection)

        one, other = asyncio.create_task(read()), asyncio.create_task(read())
        await asyncio.wait([other])
        second.append(other.exception())
        await connection.send({"type": "got", "what": (await one)["what"]})

    async with serving(served(hub, work)) as server, Tab(server.ws, "/messages", token="ann") as tab:
        await until(lambda: second, "the second is told")
        assert isinstance(second[0], RuntimeError)
        assert "two tasks" in str(second[0])
        await tab.send({"type": "order", "what": 7})
        assert (await tab.receive())["what"] == 7
        assert await tab.closed() == 1000
        await at_rest(hub)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
