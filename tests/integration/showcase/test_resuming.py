"""Coming back to a room: what was missed comes once and in order, on whichever worker."""

import os
import signal
from typing import Any

from tests.integration.showcase.people import fresh, http, one_tab_on_each_worker, stats
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.waiting import until


async def _said(tab: Tab, count: int) -> list[str]:
    return [str((await tab.receive("room_message"))["content"]) for _ in range(count)]


async def _say(tab: Tab, room: str, *contents: str) -> None:
    for content in contents:
        assert (await tab.request("room_message", room=room, content=content))["type"] == "ack"


def _position(message: dict[str, Any]) -> dict[str, Any]:
    return {"epoch": message["epoch"], "offset": message["offset"]}


async def test_whoever_was_away_gets_what_was_missed_on_every_worker(showcase: Served) -> None:
    room = fresh("tea")
    async with Tab(showcase.ws, user=fresh("ann")) as ann:
        position = _position(await ann.join(room))
        await _say(ann, room, "one", "two", "three")
        async with one_tab_on_each_worker(showcase) as tabs:
            for tab in tabs:
                joined = await tab.join(room, since=position)
                assert (joined["epoch"], joined["offset"], joined["recovered"]) == (position["epoch"], 3, True)
                assert await _said(tab, 3) == ["one", "two", "three"]
            await _say(ann, room, "four")
            for tab in tabs:
                assert await tab.receive("room_message") == {
                    "type": "room_message",
                    "room": room,
                    "from": ann.welcome["user"],
                    "content": "four",
                    "offset": 4,
                }
                await tab.nothing("room_message")


async def test_a_hundred_messages_are_kept_and_whoever_missed_more_is_told(showcase: Served) -> None:
    room = fresh("tea")
    async with Tab(showcase.ws, user=fresh("ann")) as ann, Tab(showcase.ws, user=fresh("bob")) as bob:
        position = _position(await ann.join(room))
        await _say(ann, room, *map(str, range(1, 102)))
        joined = await bob.join(room, since={"offset": 0})
        assert (joined["offset"], joined["recovered"]) == (101, False)
        assert await _said(bob, 100) == [str(number) for number in range(2, 102)]
        joined = await bob.join(room, since={**position, "offset": 1})
        assert joined["recovered"] is True
        assert await _said(bob, 100) == [str(number) for number in range(2, 102)]
        joined = await bob.join(room, since=position)
        assert (joined["offset"], joined["recovered"]) == (101, False)
        await bob.nothing("room_message")


async def test_an_unknown_epoch_and_an_offset_beyond_the_top_are_not_recovered(showcase: Served) -> None:
    room = fresh("tea")
    async with Tab(showcase.ws, user=fresh("ann")) as ann, Tab(showcase.ws, user=fresh("bob")) as bob:
        position = _position(await ann.join(room))
        await _say(ann, room, "one")
        for since in ({"epoch": "another", "offset": 0}, {**position, "offset": 2}):
            joined = await bob.join(room, since=since)
            assert (joined["recovered"], joined["epoch"], joined["offset"]) == (False, position["epoch"], 1)
        await bob.nothing("room_message")


async def test_a_direct_message_waits_for_whoever_is_away(showcase: Served) -> None:
    ann, bob = fresh("ann"), fresh("bob")
    async with Tab(showcase.ws, user=ann) as hers:
        answer = await hers.request("direct_message", to=bob, content="call me")
        assert answer["result"] == {"online": False}
        async with Tab(showcase.ws, user=bob) as his:
            await his.join("@me", since={"offset": 0})
            expected = {"type": "direct_message", "from": ann, "content": "call me", "room": "@me", "offset": 1}
            assert await his.receive("direct_message") == expected


async def test_nothing_is_kept_of_the_dashboard(showcase: Served) -> None:
    async with Tab(showcase.ws, user=fresh("ann")) as ann, http(showcase) as client:
        joined = await ann.join("dashboard", since={"offset": 0})
        assert joined["recovered"] is False
        assert {"epoch", "offset"}.isdisjoint(joined)
        assert "offset" not in await ann.receive("metrics")
        response = await client.post("/api/rooms/dashboard/messages", json={"type": "note"})
        assert response.json() == {"position": None}


async def test_nothing_is_lost_and_nothing_comes_twice_where_a_worker_is_killed() -> None:
    with Served("--dev", "--workers", "2") as server:
        ann = Tab(server.ws, user="ann")
        async with Tab(server.ws, user="bob") as bob:
            while True:
                async with ann:
                    if ann.node != bob.node:
                        position = _position(await ann.join("tea"))
                        await bob.join("tea")
                        await _say(bob, "tea", "before")
                        position["offset"] = (await ann.receive("room_message"))["offset"]
                        worker = next(each for each in (await stats(server))["workers"] if each["node"] == ann.node)
                        os.kill(worker["pid"], signal.SIGKILL)
                        await ann.closed()
                        break
                ann = Tab(server.ws, user="ann")
            await _say(bob, "tea", "meanwhile", "and more")
            async with Tab(server.ws, user="ann") as back:
                joined = await back.join("tea", since=position)
                assert (joined["recovered"], joined["offset"]) == (True, 3)
                await _say(bob, "tea", "after")
                assert await _said(back, 3) == ["meanwhile", "and more", "after"]

                async def two() -> bool:
                    return len((await stats(server))["workers"]) == 2

                await until(two, "another worker in place of the one that was killed", within=30)
                await back.nothing("room_message")
