"""`ping` and `pong` both ways, and tabs that go without a word."""

import asyncio
import time
from typing import Any

import pytest

from hubbub import JWTAuth
from tests.integration.showcase.conftest import AUDIENCE, SECRET
from tests.integration.showcase.people import fresh, nobody_left, stats
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.waiting import until


@pytest.mark.parametrize(
    "ts",
    [0, -1, 1732174932123, 1.5, 2**53 + 1, 10**30, "", "now", "Zeit 🕐", True, None, {"a": [1, {"b": None}]}, [], {}],
    ids=repr,
)
async def test_ping_is_answered_by_pong_with_the_same_ts(showcase: Served, ts: Any) -> None:
    async with Tab(showcase.ws, user=fresh("ann")) as ann:
        await ann.send({"type": "ping", "ts": ts})
        pong = await ann.receive("pong")
        assert pong == {"type": "pong", "ts": ts}
        assert type(pong["ts"]) is type(ts)
        answer = await ann.request("ping", ts=ts)
        assert answer == {"type": "pong", "ts": ts, "id": answer["id"]}


async def test_ping_without_ts_is_answered_by_pong_without_ts(showcase: Served) -> None:
    async with Tab(showcase.ws, user=fresh("ann")) as ann:
        await ann.send({"type": "ping"})
        assert await ann.receive("pong") == {"type": "pong"}


async def test_pong_is_never_answered(showcase: Served) -> None:
    async with Tab(showcase.ws, user=fresh("ann")) as ann:
        await ann.send({"type": "pong", "id": "p", "ts": 1})
        await ann.send({"type": "pong"})
        await ann.send({"type": "ping", "ts": "after"})
        await ann.receive("pong", ts="after")
        assert ann.received("pong") == [{"type": "pong", "ts": "after"}]
        assert not ann.received("error")


def _token(user: str) -> str:
    return JWTAuth(SECRET, audience=AUDIENCE).sign(user)


async def test_the_server_pings_with_the_time_in_integer_milliseconds(shop: Served) -> None:
    async with Tab(shop.ws, token=_token(fresh("ann"))) as ann:
        assert ann.welcome["heartbeat"] == {"interval": 300, "timeout": 1500}
        for _ in range(3):
            ping = await ann.receive("ping")
            assert set(ping) == {"type", "ts"}
            assert type(ping["ts"]) is int
            assert abs(ping["ts"] - time.time() * 1000) < 5_000


async def test_a_tab_that_says_nothing_is_closed_with_4007_and_one_that_says_anything_is_not(shop: Served) -> None:
    silent = fresh("silent")
    async with (
        Tab(shop.ws, token=_token(fresh("ann"))) as ann,
        Tab(shop.ws, token=_token(fresh("bob")), pongs=False) as bob,
        Tab(shop.ws, token=_token(silent), pongs=False) as tab,
    ):
        closing = asyncio.create_task(tab.closed())
        # Any frame answers `ping`, be it nonsense.
        while not closing.done():
            await bob.say("nonsense")
            await bob.receive("error")
            await asyncio.sleep(0.2)
        assert await closing == 4007
        await ann.receive("user_disconnected", user=silent)
        assert len(bob.received("ping")) >= 3
        assert (await bob.request("ping"))["type"] == "pong"


async def test_a_tab_that_drops_is_counted_out_and_told_once(showcase: Served) -> None:
    await nobody_left(showcase)
    room, bob = fresh("tea"), fresh("bob")
    async with Tab(showcase.ws, user=fresh("ann")) as watcher:
        await watcher.join(room)
        first, second = Tab(showcase.ws, user=bob), Tab(showcase.ws, user=bob)
        async with first, second:
            await first.join(room)
            await second.join(room)
            await _counted(showcase, connections=3, users=2)
            await first.drop()
            await _counted(showcase, connections=2, users=2)
            await watcher.nothing("user_left_room")
            await second.drop()
            await watcher.receive("user_left_room", user=bob, room=room)
            await _counted(showcase, connections=1, users=1)
        await watcher.nothing()
        told = [said["type"] for said in watcher.log if said.get("user") == bob]
        assert sorted(told) == ["user_connected", "user_disconnected", "user_joined_room", "user_left_room"]
        assert (await watcher.join(room))["members"] == [watcher.welcome["user"]]


async def _counted(server: Served, *, connections: int, users: int) -> None:
    async def so() -> bool:
        said = await stats(server)
        return bool((said["connections"], said["users"]) == (connections, users))

    await until(so, f"{connections} connections of {users} users in /stats")
