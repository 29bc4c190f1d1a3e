"""Heartbeat, expiry of credentials, and handlers that hold the event loop."""

import asyncio
import logging
import time
from typing import Annotated, Literal

import pytest
from fastapi import Depends
from pydantic import BaseModel

from hubbub import Connection, Heartbeat, Hub, Limits
from hubbub.ports.metrics import Count, Tally
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import GatedMemory, Names, at_rest, connection_of, serving, simple
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until

FAST = Heartbeat(interval=0.15, timeout=0.3)


async def test_a_ping_at_each_interval() -> None:
    hub = Hub(auth=Names(), heartbeat=FAST)
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        assert tab.welcome["heartbeat"] == {"interval": 150, "timeout": 300}
        began = time.time()
        await until(lambda: len(tab.received("ping")) >= 4, "pings")
        for each in tab.received("ping"):
            assert type(each["ts"]) is int
            assert abs(each["ts"] / 1000 - began) < 30
            assert set(each) == {"type", "ts"}
        stamps = [each["ts"] for each in tab.received("ping")]
        assert stamps == sorted(stamps)
        assert stamps[3] - stamps[0] >= 3 * 150 - 60


async def test_any_frame_is_an_answer() -> None:
    hub = Hub(auth=Names(), heartbeat=Heartbeat(interval=0.15, timeout=1.0))
    frames = ['{"type": "pong"}', "{", '{"type": "ping"}', '{"type": "no_such"}', '{"type": "leave_room", "room": "x"}']
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann", pongs=False) as tab:
        for number in range(20):
            await tab.say(frames[number % len(frames)])
            await asyncio.sleep(0.1)
        assert len(tab.received("ping")) >= 3
        assert len(inside(hub).registry) == 1


async def test_a_silent_peer_is_given_up() -> None:
    hub = Hub(auth=Names(), heartbeat=FAST, limits=Limits(closing=0.3))
    async with serving(simple(hub)) as server, Tab(server.ws, token="bob") as bob:
        async with Tab(server.ws, token="ann", pongs=False) as ann:
            await bob.join("open:a")
            await ann.join("open:a")
            watch = Stopwatch()
            assert await ann.closed() == 4007
            assert watch.own < 3
        assert (await bob.receive("user_left_room"))["user"] == "ann"
        assert await hub.room("open:a").members() == ["bob"]
        assert [each.user.id for each in inside(hub).registry.everyone()] == ["bob"]
        assert isinstance(hub.metrics, Tally)
        assert hub.metrics.counts[Count.DEAD] == 1


async def test_no_ping_and_no_death_before_welcome() -> None:
    """Neither one who has not said who it is, nor one who waits until that is found out, is asked to be alive."""
    heartbeat = Heartbeat(interval=0.05, timeout=0.05)
    async with serving(simple(Hub(auth=Names(), heartbeat=heartbeat, limits=Limits(authenticate=0.4)))) as server:
        tab = await Tab(server.ws).connect()
        assert await tab.closed() == 4002
        assert tab.log == []
        await tab.close()
    broker = GatedMemory()
    hub = Hub(broker, auth=Names(), heartbeat=heartbeat)
    async with serving(simple(hub)) as server:
        broker.shut.add("enter")
        tab = await Tab(server.ws, token="ann").connect()
        await until(lambda: broker.waiting, "waits")
        await asyncio.sleep(0.3)
        await broker.open()
        assert (await tab.receive())["type"] == "welcome"
        await until(lambda: tab.received("ping"), "pinged")
        await tab.close()
        await at_rest(hub)


async def test_a_text_route_has_no_ping() -> None:
    hub = Hub(auth=Names(), heartbeat=Heartbeat(interval=0.05, timeout=5.0))
    app = simple(hub)

    @app.websocket("/text")
    async def text(connection: Annotated[Connection, Depends(hub.accept_text)]) -> None:
        await asyncio.sleep(0.3)
        await connection.send('{"type": "end"}')

    async with serving(app) as server:
        tab = await Tab(server.ws, "/text", token="ann").connect()
        await tab.receive("end")
        assert tab.log == [{"type": "end"}]
        await tab.close()


async def test_a_credential_ends() -> None:
    hub = Hub(auth=Names())
    async with serving(simple(hub)) as server:
        watch = Stopwatch()
        async with Tab(server.ws, token="ann~1.5") as tab:
            assert await tab.closed() == 4005
            assert watch.wall > 1.4
            assert watch.own < 3
        await at_rest(hub)


@pytest.mark.complains("a request of connection .* failed")
async def test_a_credential_is_renewed() -> None:
    hub = Hub(auth=Names())
    async with serving(simple(hub)) as server:
        watch = Stopwatch()
        async with Tab(server.ws, token="ann~3") as tab:
            answer = await tab.request("auth", token="ann~2")
            assert answer["type"] == "ack"
            for bad in ("bob", "nobody", "", "old"):
                answer = await tab.request("auth", token=bad)
                assert (answer["type"], answer["code"], answer["field"]) == ("error", "unauthorized", "token"), bad
            answer = await tab.request("auth", token=7)
            assert (answer["code"], answer["field"]) == ("invalid_message", "token")
            assert (await tab.request("auth", token="fail"))["code"] == "internal"
            assert connection_of(hub, tab).user.id == "ann"
            assert await tab.closed() == 4005
            assert watch.wall > 1.9
        async with Tab(server.ws, token="ann~1.5") as tab:
            assert (await tab.request("auth", token="ann"))["type"] == "ack"
            await asyncio.sleep(1.7)
            assert (await tab.request("ping"))["type"] == "pong"


class Work(BaseModel):
    type: Literal["block", "await", "thread"]


@pytest.mark.watched
async def test_a_handler_that_holds_the_loop_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Names(), limits=Limits(blocking=0.1))
    assert isinstance(hub.metrics, Tally)

    @hub.on(Work)
    async def work(message: Work) -> None:
        if message.type == "block":
            await asyncio.sleep(0)
            time.sleep(0.5)  # noqa: ASYNC251 - the fault that is to be found
        else:
            await asyncio.sleep(0.15)

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.request("await")
        assert hub.metrics.counts[Count.HANDLER_BLOCKED] == 0
        for _ in range(3):
            await tab.request("block")
        assert hub.metrics.counts[Count.HANDLER_BLOCKED] == 3
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    name = f"{__name__}.test_a_handler_that_holds_the_loop_is_named_once.<locals>.work"
    [warning] = [each for each in warnings if name in each]
    milliseconds = int(warning.partition(" ms")[0].rpartition(" ")[2])
    assert 400 <= milliseconds < 1000 or " s by " in warning


async def test_a_thread_holds_nobody() -> None:
    hub = Hub(auth=Names(), limits=Limits(blocking=0.1))
    assert isinstance(hub.metrics, Tally)

    @hub.on(Work)
    def work(message: Work) -> None:
        time.sleep(0.15)

    @hub.rooms("r")
    def check() -> bool:
        time.sleep(0.15)
        return True

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.request("thread")
        await tab.join("r")
        assert hub.metrics.counts[Count.HANDLER_BLOCKED] == 0
