"""What the application's functions raise costs one answer: not the connection, not what waits behind it, no silence."""

import asyncio
import logging
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, FastAPI, WebSocket
from pydantic import BaseModel, field_validator

from hubbub import Connection, Hub, Leaving, Limits
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.types import Topic
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Names, at_rest, serving, simple
from tests.kit.waiting import until

_NAMES = {"tea": 1}


class Order(BaseModel):
    type: Literal["order"]
    name: str

    @field_validator("name")
    @classmethod
    def known(cls, name: str) -> str:
        _NAMES[name]  # the application's mistake: a ValueError would be the client's
        return name


class Wait(BaseModel):
    type: Literal["wait"]


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.complains("failed for connection")
async def test_a_validator_that_fails_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Names())

    @hub.on(Order)
    async def order(message: Order) -> int:
        return _NAMES[message.name]

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.send({"type": "order", "id": 1, "name": "secret-coffee"})
        await tab.send({"type": "order", "id": 2, "name": "tea"})
        refused = await tab.receive()
        assert (refused["type"], refused["code"], refused["id"]) == ("error", "internal", 1)
        assert await tab.receive() == {"type": "ack", "id": 2, "result": 1}
        [record] = errors(caplog)
        assert tab.welcome["connection"] in record.getMessage()
        assert "<locals>.order" in record.getMessage()
        assert record.exc_info is not None
        assert record.exc_info[0] is KeyError


@pytest.mark.complains("failed for connection")
async def test_a_handler_that_awaited_what_was_cancelled_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Names())

    @hub.on(Wait)
    async def wait(message: Wait) -> None:
        somebody_elses = asyncio.create_task(asyncio.sleep(1000))
        asyncio.get_running_loop().call_soon(somebody_elses.cancel)
        await somebody_elses

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.send({"type": "wait", "id": 1})
        await tab.send({"type": "ping", "id": 2})
        await tab.send({"type": "wait", "id": 3})
        for id in (1, 3):
            refused = await tab.receive("error", id=id)
            assert refused["code"] == "internal"
        first, second = errors(caplog)
        for record in (first, second):
            assert tab.welcome["connection"] in record.getMessage()
            assert "<locals>.wait" in record.getMessage()
        await tab.close()
        await at_rest(hub)


@pytest.mark.complains("a request of connection .* failed")
async def test_a_broker_that_fails_strangely_costs_one_answer(caplog: pytest.LogCaptureFixture) -> None:
    class Strange(MemoryBroker):
        async def members(self, topic: Topic) -> list[str]:
            if topic == "room:open:bad":
                raise ZeroDivisionError(f"{topic} is a secret")
            return await super().members(topic)

    hub = Hub(Strange(), auth=Names())
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.send({"type": "join_room", "room": "open:bad", "id": 1})
        await tab.send({"type": "join_room", "room": "open:a", "id": 2})
        refused = await tab.receive()
        assert (refused["type"], refused["code"], refused["id"]) == ("error", "internal", 1)
        assert (await tab.receive())["members"] == ["ann"]
        [record] = errors(caplog)
        assert tab.welcome["connection"] in record.getMessage()
        assert "ZeroDivisionError" in record.getMessage()
        assert "in members" in record.getMessage()
        assert "secret" not in caplog.text
        await tab.close()
        await at_rest(hub)


def leaving(hub: Hub, gate: asyncio.Event, ended: list[Any]) -> FastAPI:
    """Routes and a handler that send once the gate is open."""
    app = simple(hub)

    async def work(connection: Connection) -> None:
        await connection.send({"type": "begun"})
        await gate.wait()
        try:
            await connection.send({"type": "too late"})
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    @app.websocket("/accept")
    async def accept(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        await work(connection)

    @app.websocket("/connect")
    async def connect(websocket: WebSocket) -> None:
        async with hub.connect(websocket) as connection:
            await work(connection)

    @hub.on(Wait)
    async def wait(message: Wait, connection: Connection) -> None:
        await work(connection)

    return app


@pytest.mark.parametrize("path", ["/accept", "/connect", "/ws"])
async def test_sending_to_one_who_has_left_is_nobodys_fault(path: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    # A machine that stands still is no handler that holds the loop.
    hub, gate, ended = Hub(auth=Names(), limits=Limits(blocking=60)), asyncio.Event(), list[Any]()
    async with serving(leaving(hub, gate, ended)) as server:
        tab = await Tab(server.ws, path, token="ann").__aenter__()
        if path == "/ws":
            await tab.send({"type": "wait", "id": 1})
        await tab.receive("begun")
        await tab.drop()
        await until(lambda: not inside(hub).registry, "seen")
        gate.set()
        await until(lambda: ended, "sent")
        await at_rest(hub)
        await until(lambda: not server.server.server_state.tasks, "the route has ended")
    assert ended == ["ConnectionClosed"]
    loud = [record for record in caplog.records if record.levelno >= logging.WARNING or record.exc_info]
    assert not loud, [record.getMessage() for record in loud]


@pytest.mark.complains("failed for connection")
async def test_what_somebody_elses_connection_raises_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Only a connection's own end excuses what it runs into."""
    hub = Hub(auth=Names())
    others: list[Connection] = []

    @hub.on(Wait)
    async def wait(message: Wait, connection: Connection) -> None:
        if connection.user.id == "ann":
            others.append(connection)
        else:
            await others[0].send({"type": "too late"})

    async with serving(simple(hub)) as server, Tab(server.ws, token="bob") as bob:
        async with Tab(server.ws, token="ann") as ann:
            await ann.request("wait")
        await until(lambda: others[0].closed, "gone")
        assert (await bob.request("wait"))["code"] == "internal"
        [record] = errors(caplog)
        assert bob.welcome["connection"] in record.getMessage()


async def test_what_is_still_handled_when_the_worker_ends_is_given_up_and_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = Hub(auth=Names(), limits=Limits(closing=0.2), leaving=Leaving(window=0))

    @hub.rooms("slow")
    async def slow() -> bool:
        await asyncio.Event().wait()
        return True

    async with serving(simple(hub), timeout_graceful_shutdown=1) as server:
        tab = await Tab(server.ws, token="ann").connect()
        await tab.send({"type": "join_room", "room": "slow", "id": 1})
        await tab.request("ping")
    await tab.close()
    lines = [(each.levelname, each.getMessage()) for each in caplog.records if each.name == "hubbub.requests"]
    assert [(level, "given up" in text) for level, text in lines] == [("WARNING", True)]
