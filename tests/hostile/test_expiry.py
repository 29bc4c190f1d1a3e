"""A credential that ends: nothing is delivered behind its end, whatever the client does, or the clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hubbub import Connection, Heartbeat, Hub, User
from hubbub.testing import ManualClock, Node, Tab, settle


class Clock(ManualClock):
    """Whose wall may jump, and which may stand still, with the process, and go on later."""

    jumped = 0.0

    def leap(self, seconds: float) -> None:
        self._now += seconds

    def wall(self) -> float:
        return super().wall() + self.jumped


class Names:
    """The token is the user's name and for how many seconds it is good, `ann~100`."""

    cookie, bearer = None, True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def authenticate(self, credential: Any) -> User:
        name, _, seconds = credential.value.partition("~")
        return User(name, expires=self._clock.wall() + float(seconds))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def running(clock: Clock, **options: Any) -> AsyncIterator[Node]:
    async with Node(Hub("memory", auth=Names(clock), clock=clock, **options)) as node:
        yield node


def expiring(tab: Tab) -> list[int]:
    return [each["expires_in"] for each in tab.received("expiring")]


async def test_nothing_is_delivered_behind_the_end_though_the_close_stalls(clock: Clock) -> None:
    async with running(clock) as node, Tab(node, token="ann~10") as tab:
        tab.stall()
        for number in range(15):
            await node.hub.user("ann").send({"type": "news", "number": number})
            await clock.advance(1.0)
        tab.go_on()
        assert await tab.closed() == 4005
        assert [each["number"] for each in tab.received("news")] == [*range(10)]


async def test_a_wall_that_jumps_throws_nobody_out_and_keeps_nobody(clock: Clock) -> None:
    async with running(clock) as node, Tab(node, token="ann~100") as ann, Tab(node, token="bob~200") as bob:
        for jump in (3600.0, -7200.0):
            clock.jumped += jump
            await clock.advance(40.0)
            assert ann.open
            assert bob.open
        await clock.advance(20.5)
        assert await ann.closed() == 4005
        assert bob.open
        await clock.advance(100.0)
        assert await bob.closed() == 4005


async def test_a_loop_that_was_held_up_makes_no_storm_of_pings(clock: Clock) -> None:
    async with running(clock, heartbeat=Heartbeat(interval=5, timeout=100)) as node, Tab(node, token="ann~1000") as tab:
        clock.leap(60.0)
        await clock.advance(0.0)
        assert len(tab.received("ping")) <= 1
        assert tab.open


async def test_who_asked_for_it_is_told_a_minute_ahead_and_may_renew(clock: Clock) -> None:
    async with running(clock) as node:
        features = {"features": ["expiring"]}
        async with Tab(node, token="ann~100", **features) as told, Tab(node, token="ann~100") as silent:
            assert told.welcome["features"] == ["expiring"]
            await clock.advance(39.0)
            assert expiring(told) == []
            await clock.advance(1.1)
            [left] = expiring(told)
            assert 59_000 <= left <= 60_000
            assert (await told.ask({"type": "auth", "token": "ann~300", "id": 1}))["type"] == "ack"
            await clock.advance(60.0)
            assert await silent.closed() == 4005
            assert silent.received("expiring") == []
            assert told.open
            assert len(expiring(told)) == 1
            await clock.advance(180.1)
            assert len(expiring(told)) == 2
            assert (await told.ask({"type": "auth", "token": "ann~20", "id": 2}))["type"] == "ack"
            await clock.advance(0.1)
            assert len(expiring(told)) == 3
            await clock.advance(20.0)
            assert await told.closed() == 4005


async def test_of_less_than_a_minute_it_is_told_at_once_behind_welcome(clock: Clock) -> None:
    async with running(clock) as node, Tab(node, token="ann~30", features=["expiring"]) as tab:
        await clock.advance(0.1)
        assert [each["type"] for each in tab.log[:2]] == ["welcome", "expiring"]
        assert 29_000 <= expiring(tab)[0] <= 30_000


async def test_one_that_has_ended_lets_nobody_in(clock: Clock) -> None:
    async with running(clock) as node:
        tab = Tab(node, token="bob~-1")
        await tab.connect()
        assert await tab.closed() == 4005
        assert tab.log == []


async def test_one_that_ends_while_a_hook_runs_lets_nobody_in(clock: Clock) -> None:
    hub, gate = Hub("memory", auth=Names(clock), clock=clock), asyncio.Event()

    @hub.on_connect
    async def wait(connection: Connection) -> None:
        await gate.wait()

    async with Node(hub) as node:
        tab = Tab(node, token="ann~2")
        await tab.connect()
        await settle()
        clock.leap(2.01)  # no alarm has rung yet
        gate.set()
        assert await tab.closed() == 4005
        assert tab.log == []
