"""What is declared `at_once` waits for no other handler of its connection."""

import asyncio
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from hubbub import Connection, Hub, Limits, Rate
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Names, at_rest, serving, simple
from tests.kit.waiting import until


class Work(BaseModel):
    type: Literal["work"] = "work"


class Stop(BaseModel):
    type: Literal["stop", "halt"] = "stop"
    number: int = 0
    names: list[str] = []


class Holding:
    """Handlers that wait: of `work` for its gate, of `stop` for the other."""

    def __init__(self, *, rate: Rate | None = None, limits: Limits | None = None, names: Names | None = None) -> None:
        self.hub = Hub(auth=names or Names(), rate=rate, limits=limits)
        self.working, self.stopping = asyncio.Event(), asyncio.Event()
        self.stopping.set()
        self.stops: list[int] = []

        @self.hub.on(Work)
        async def work(message: Work) -> None:
            await self.working.wait()

        @self.hub.on(Stop, at_once=True)
        async def stop(message: Stop, connection: Connection) -> int:
            self.stops.append(message.number)
            await self.stopping.wait()
            return message.number

        self.app: FastAPI = simple(self.hub)


async def test_it_passes_what_is_worked_on_and_what_waits() -> None:
    s = Holding()
    async with serving(s.app) as server, Tab(server.ws, token="ann") as tab:
        for number in range(33):  # one is handled, 32 wait
            await tab.send({"type": "work", "id": f"work {number}"})
        assert await tab.ask({"type": "stop", "number": 1}) == {"type": "ack", "result": 1, "id": "q1"}
        # Also what is read the long way, and by another name of the same model.
        assert (await tab.request("halt", number=2, names=["a", 'b"', "c\n"]))["result"] == 2
        assert not tab.received("error")
        s.working.set()
        await tab.receive("ack", id="work 32")
        await tab.close()
        await at_rest(s.hub)


async def test_it_is_no_hindrance_to_what_is_not() -> None:
    s = Holding()
    s.stopping.clear()
    s.working.set()
    async with serving(s.app) as server, Tab(server.ws, token="ann") as tab:
        await tab.send({"type": "stop", "number": 1, "id": "stop"})
        assert (await tab.request("work"))["type"] == "ack"
        await tab.join("open:a")
        s.stopping.set()
        assert (await tab.receive("ack"))["id"] == "stop"


async def test_several_run_in_order_among_themselves_and_are_bounded() -> None:
    s = Holding(limits=Limits(waiting=3))
    s.stopping.clear()
    async with serving(s.app) as server, Tab(server.ws, token="ann") as tab:
        for number in range(6):
            await tab.send({"type": "stop", "number": number, "id": number})
        refused = [await tab.receive("error") for _ in range(2)]
        assert [(each["code"], each["id"]) for each in refused] == [("rate_limited", 4), ("rate_limited", 5)]
        assert s.stops == [0]
        s.stopping.set()
        await tab.receive("ack", id=3)
        assert s.stops == [0, 1, 2, 3]
        assert [each["id"] for each in tab.received("ack")] == [0, 1, 2, 3]


async def test_it_counts_towards_the_rate() -> None:
    s = Holding(rate=Rate(messages=0.001, burst=2, refusals=10))
    async with serving(s.app) as server, Tab(server.ws, token="ann") as tab:
        answers = [await tab.request("stop") for _ in range(3)]
        assert [each.get("code", each["type"]) for each in answers] == ["ack", "ack", "rate_limited"]


async def test_before_welcome_it_waits_its_turn() -> None:
    names = Names(gate=asyncio.Event())
    s = Holding(names=names)
    async with serving(s.app) as server:
        tab = await Tab(server.ws).connect()
        await tab.send({"type": "auth", "token": "ann"})
        await tab.send({"type": "stop", "number": 7, "id": 1})
        await until(lambda: names.asked, "it is found out who this is")
        assert not s.stops
        assert names.gate is not None
        names.gate.set()
        await tab.receive("ack", id=1)
        assert [each["type"] for each in tab.log] == ["welcome", "ack"]
        await tab.close()


async def test_on_a_route_that_reads_its_messages_it_comes_in_its_turn() -> None:
    s = Holding()

    @s.app.websocket("/mine")
    async def mine(connection: Annotated[Connection, Depends(s.hub.accept)]) -> None:
        async for message in connection:
            await connection.send({"type": "read", "what": message["type"]})

    async with serving(s.app) as server, Tab(server.ws, "/mine", token="ann") as tab:
        assert (await tab.request("stop"))["type"] == "ack"
        assert [each["what"] for each in tab.received("read")] == ["stop"]
        assert not s.stops


async def test_what_was_not_begun_when_the_client_left_is_forgotten() -> None:
    s = Holding()
    s.stopping.clear()
    async with serving(s.app) as server:
        async with Tab(server.ws, token="ann") as tab:
            for number in range(3):
                await tab.send({"type": "stop", "number": number})
            await until(lambda: s.stops, "the first has begun")
            await tab.caught_up()
            await tab.drop()
            await until(lambda: not len(inside(s.hub).registry), "gone")
        s.stopping.set()
        await at_rest(s.hub)
        assert s.stops == [0]


async def test_it_may_be_declared_while_the_hub_runs() -> None:
    s = Holding()

    class Late(BaseModel):
        type: Literal["late"] = "late"

    async with serving(s.app) as server, Tab(server.ws, token="ann") as tab:

        @s.hub.on(Late, at_once=True)
        async def late(message: Late) -> str:
            return "at once"

        await tab.send({"type": "work", "id": 1})
        assert (await tab.request("late"))["result"] == "at once"
        s.working.set()
        await tab.receive("ack", id=1)


@pytest.mark.complains("failed for connection")
@pytest.mark.parametrize("raised", [RuntimeError("broken"), ValueError("broken")])
async def test_one_that_fails_is_answered(raised: Exception) -> None:
    hub = Hub(auth=Names())

    @hub.on(Stop, at_once=True)
    async def stop(message: Stop) -> Any:
        raise raised

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        assert [(await tab.request("stop"))["code"] for _ in range(2)] == ["internal", "internal"]
