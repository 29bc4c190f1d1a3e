"""Leaving in order: a signal to this process, a real server that hears of it last, and what its clients see of it."""

import asyncio
import contextlib
import signal
import socket
from typing import Literal

import pytest
import websockets
from fastapi import Depends
from pydantic import BaseModel

from hubbub import Connection
from hubbub.brokers.memory.broker import MemoryBroker
from tests.integration.hub.leaving import hub_that_leaves, operated, status, tabs, terminate, told_by_signals
from tests.kit.client import Tab
from tests.kit.inside import inside, runs
from tests.kit.serving import Names, serving, simple
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until


class Work(BaseModel):
    type: Literal["work"]


class Pour(BaseModel):
    type: Literal["pour"]
    size: int


async def test_each_is_told_and_closed_in_its_turn_and_the_server_hears_last() -> None:
    hub = hub_that_leaves(1.0)
    async with told_by_signals(operated(hub)) as (server, handlers), contextlib.AsyncExitStack() as stack:
        all_of_them = await tabs(server, 20, stack)
        watch = Stopwatch()
        ends: list[float] = []

        async def ended(tab: Tab) -> None:
            assert await tab.closed() == 1012
            ends.append(watch.wall)

        terminate()
        await asyncio.gather(*(ended(tab) for tab in all_of_them))
        assert max(ends) - min(ends) > 0.25
        told = [tab.received("closing") for tab in all_of_them]
        assert [len(each) for each in told] == [1] * 20
        assert {(each["code"], each["reason"]) for [each] in told} == {(1012, "restarting")}
        assert sorted(each["retry_after"] for [each] in told) == [25 + 50 * each for each in range(20)]
        assert {tab.socket.protocol.close_reason for tab in all_of_them} == {"restarting"}
        await until(lambda: handlers.heard, "the server heard of it")
        assert handlers.heard == [signal.SIGTERM]
        assert handlers.connections_then == 0


async def test_while_it_drains_nobody_is_let_in_and_requests_are_answered() -> None:
    hub = hub_that_leaves(60.0)
    async with told_by_signals(operated(hub)) as (server, handlers), contextlib.AsyncExitStack() as stack:
        await tabs(server, 10, stack)
        assert await status(server, "/health/ready") == 200
        terminate()
        await until(lambda: inside(hub).stopping, "it drains")
        assert await status(server, "/health/ready") == 503
        assert await status(server, "/health/live") == 200
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(server.ws, token="late").connect()
        assert refused.value.response.status_code == 503
        assert not handlers.heard
        terminate()


async def test_who_was_being_looked_at_is_not_let_in() -> None:
    names = Names()
    hub = hub_that_leaves(4.0, names=names)
    async with told_by_signals(operated(hub)) as (server, _), Tab(server.ws, token="ann"):
        names.gate = asyncio.Event()
        names.asked.clear()
        late = asyncio.create_task(Tab(server.ws, token="late").connect())
        await until(lambda: names.asked, "looked at")
        terminate()
        await until(lambda: inside(hub).stopping, "it drains")
        names.gate.set()
        with pytest.raises(websockets.InvalidStatus) as refused:
            await late
        assert refused.value.response.status_code == 503


async def test_a_handler_that_is_running_answers_before_its_connections_turn() -> None:
    hub = hub_that_leaves(2.0)
    gate, begun = asyncio.Event(), asyncio.Event()

    @hub.on(Work)
    async def work(message: Work) -> str:
        begun.set()
        await gate.wait()
        return "done"

    async with told_by_signals(operated(hub)) as (server, _), Tab(server.ws, token="ann") as tab:
        await tab.send({"type": "work", "id": 1})
        await begun.wait()
        terminate()
        await until(lambda: inside(hub).stopping, "it drains")
        gate.set()
        assert (await tab.receive("ack", id=1))["result"] == "done"
        await tab.receive("closing")
        assert await tab.closed() == 1012


async def test_who_takes_nothing_is_dropped_in_time() -> None:
    hub = hub_that_leaves(1.0, closing=1.0)

    @hub.on(Pour)
    async def pour(message: Pour, connection: Connection) -> None:
        for _ in range(message.size // 10_000):
            await connection.send({"type": "drop", "content": "x" * 10_000})

    async with contextlib.AsyncExitStack() as stack:
        # No limit of uvicorn's own: it would wait for ever.
        server, handlers = await stack.enter_async_context(
            told_by_signals(operated(hub), timeout_graceful_shutdown=None)
        )
        readers = await tabs(server, 9, stack)
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.setblocking(False)
        port = int(server.url.rpartition(":")[2])
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", port))
        stalled = Tab(server.ws, token="stalled", sock=narrow, max_queue=1)
        await stack.enter_async_context(stalled)
        stalled.socket.transport.pause_reading()  # type: ignore[attr-defined]
        await stalled.send({"type": "pour", "size": 9_000_000})
        [connection] = [each for each in inside(hub).endpoint.connections if each.user.id == "stalled"]
        await until(lambda: connection.outbound.waiting, "it is stalled")
        watch = Stopwatch()
        terminate()
        for tab in readers:
            assert await tab.closed() == 1012
        await until(lambda: handlers.heard, "the server heard of it")
        await until(lambda: not server.server.server_state.connections, "it is dropped")
        await until(lambda: not runs(hub), "the hub has stopped")
        assert watch.wall > 1.0
        assert watch.own < 1.0 + 1.0 + 1.0
        stalled.socket.transport.abort()


async def test_who_was_not_let_in_yet_and_who_speaks_another_language_get_the_code_alone() -> None:
    hub = hub_that_leaves(0.5)
    app = operated(hub)

    @app.websocket("/echo")
    async def echo(connection: Connection = Depends(hub.accept_text)) -> None:  # noqa: B008 - FastAPI's way
        async for text in connection:
            await connection.send(text)

    bearer = ["hubbub.v1", "hubbub.bearer.ann"]
    async with (
        told_by_signals(app) as (server, _),
        websockets.connect(f"{server.ws}/ws") as waits,
        websockets.connect(f"{server.ws}/echo", subprotocols=bearer) as speaks,
    ):
        await speaks.send("x")
        assert await speaks.recv() == "x"
        terminate()
        for each in (waits, speaks):
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await each.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012


async def test_several_hubs_of_one_process_leave_together() -> None:
    here, there = hub_that_leaves(0.2), hub_that_leaves(1.0)
    app = operated(here)
    app.mount("/other", simple(there))
    async with told_by_signals(app) as (server, handlers):
        await there.start()
        async with Tab(server.ws, token="ann") as ann, Tab(server.ws, "/other/ws", token="bob") as bob:
            terminate()
            assert await ann.closed() == 1012
            assert not handlers.heard
            assert await bob.closed() == 1012
            await until(lambda: handlers.heard, "passed on")
            assert (len(ann.received("closing")), len(bob.received("closing"))) == (1, 1)
        await there.stop()


class Deaf(MemoryBroker):
    silence = 0.0

    @property
    def deaf_for(self) -> float:
        return self.silence

    @property
    def ready(self) -> bool:
        return self.silence == 0


async def test_a_worker_that_does_not_hear_the_others_sends_its_clients_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hubbub.hub.drain.LOOK", 0.1)
    monkeypatch.setattr("hubbub.hub.drain.DEAF_WINDOW", 0.5)
    broker = Deaf()
    hub = hub_that_leaves(1.0, broker=broker)
    async with serving(operated(hub)) as server, contextlib.AsyncExitStack() as stack:
        all_of_them = await tabs(server, 5, stack)
        broker.silence = 10.0
        assert [await tab.closed() for tab in all_of_them] == [1013] * 5
        for tab in all_of_them:
            [told] = tab.received("closing")
            assert told["code"] == 1013
            assert told["reason"] == tab.socket.protocol.close_reason
            assert 0 <= told["retry_after"] <= 1000
        assert await status(server, "/health/ready") == 503
        broker.silence = 0.0
        async with Tab(server.ws, token="ann") as tab:
            await tab.nothing(during=0.5)
