"""`connection.spawn`: work for one tab, which ends with it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from hubbub import ConfigurationError, Connection, ConnectionClosed, Hub, Leaving
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Names, at_rest, connection_of, serving, simple
from tests.kit.waiting import until


class Begin(BaseModel):
    type: Literal["begin"] = "begin"


class Watching:
    """A hub whose `begin` spawns what says how it ended."""

    def __init__(self) -> None:
        self.hub = Hub(auth=Names(), leaving=Leaving(window=0))
        self.said: list[str] = []
        self.connections: list[Connection] = []

        @self.hub.on(Begin)
        async def begin(message: Begin, connection: Connection) -> None:
            self.connections.append(connection)
            connection.spawn(self.watch())

        self.app: FastAPI = simple(self.hub)

    async def watch(self) -> None:
        self.said.append("begun")
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.said.append("cancelled")
            await asyncio.sleep(0)
            self.said.append("cleared up")
            raise


ENDS: dict[str, Callable[[Watching, Tab], Coroutine[Any, Any, Any]]] = {
    "the client closes": lambda _, tab: tab.close(),
    "the client is lost": lambda _, tab: tab.drop(),
    "the application closes": lambda s, _: _close(s.connections[0]),
    "the user is disconnected": lambda s, _: s.hub.user("ann").disconnect(),
    "the worker sends its clients away": lambda s, _: inside(s.hub).drain(at_once=True),
}


async def _close(connection: Connection) -> None:
    connection.close()


@pytest.mark.parametrize("end", ENDS)
async def test_it_is_cancelled_when_the_connection_ends(end: str) -> None:
    s = Watching()
    async with serving(s.app) as server, Tab(server.ws, token="ann") as tab:
        await tab.request("begin")
        await tab.request("begin")
        await until(lambda: s.said == ["begun"] * 2, "both have begun")
        await ENDS[end](s, tab)
        await until(lambda: s.said[2:] == ["cancelled"] * 2 + ["cleared up"] * 2, "both have ended")
        await at_rest(s.hub)


async def test_a_hub_that_stops_waits_for_what_is_ending() -> None:
    s = Watching()
    async with serving(s.app) as server:
        tab = await Tab(server.ws, token="ann").__aenter__()
        await tab.request("begin")
        await until(lambda: s.said, "it has begun")
    assert s.said == ["begun", "cancelled", "cleared up"]
    await tab.close()


async def test_it_is_a_task_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Names())

    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        connection = connection_of(hub, tab)
        assert await connection.spawn(double(21)) == 42
        stopped = connection.spawn(double(1))
        stopped.cancel()  # before its first step
        await asyncio.wait([stopped])
        assert stopped.cancelled()
        await tab.caught_up()
        assert not caplog.records
        await tab.close()
        await at_rest(hub)


@pytest.mark.complains("what was spawned for connection")
@pytest.mark.parametrize("raised", [RuntimeError("broken"), SystemExit(3), ConnectionClosed("another")])
async def test_what_it_raises_is_logged_with_the_connection(
    raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub(auth=Names())

    async def fails() -> None:
        raise raised

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        connection = connection_of(hub, tab)
        connection.spawn(fails())
        await until(lambda: caplog.records, "it is told")
        [record] = caplog.records
        assert (record.name, record.levelno) == ("hubbub.spawned", logging.ERROR)
        assert record.getMessage().startswith(f"what was spawned for connection {connection.id} failed: ")
        assert record.exc_info is not None
        assert raised in (record.exc_info[1], getattr(record.exc_info[1], "__cause__", None))
        assert (await tab.request("ping"))["type"] == "pong"


async def test_what_says_something_to_a_client_that_has_left_is_nobodys_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub = Hub(auth=Names())

    async def stubborn(connection: Connection) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await connection.send({"type": "goodbye"})

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        connection = connection_of(hub, tab)
        task = connection.spawn(stubborn(connection))
        await asyncio.sleep(0)
        await tab.drop()
        await asyncio.wait([task])
        assert isinstance(task.exception(), ConnectionClosed)
        await at_rest(hub)
        assert not caplog.records


async def test_where_it_cannot_begin_nothing_is_left(recwarn: pytest.WarningsRecorder) -> None:
    hub = Hub(auth=Names())

    async def never() -> None:
        raise AssertionError("it has begun")

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        connection = connection_of(hub, tab)
        with pytest.raises(TypeError, match="spawn takes a coroutine"):
            connection.spawn(never)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="outside of the event loop"):
            await asyncio.to_thread(lambda: connection.spawn(never()))
        connection.close()
        with pytest.raises(ConnectionClosed):
            connection.spawn(never())
        await tab.closed()
        await at_rest(hub)
    assert not recwarn.list
