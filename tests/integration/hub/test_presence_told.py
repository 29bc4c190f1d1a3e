"""What others hear of who comes and goes: not of a page that is reloaded, at once of a goodbye, together if asked."""

import asyncio
import contextlib

from tests.integration.hub.leased import joined, left, nodes
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import at_rest
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until


async def test_a_page_that_is_reloaded_is_no_news(valkey: str) -> None:
    """On the same worker or on another: within the grace nobody was ever gone."""
    async with nodes(valkey, 2, grace=1.0) as (one, two), Tab(two.ws, token="bob") as bob:
        await bob.join("open:a")
        for node in (one, one, two, one):
            async with Tab(node.ws, token="ann") as ann:
                await ann.join("open:a")
                watch = Stopwatch()
        await until(lambda: left(bob) and bob.received("user_disconnected"), "she is gone")
        assert watch.wall > 0.9
        await bob.nothing()
        assert joined(bob) == left(bob) == ["ann"]
        await at_rest(one.hub)


async def test_who_says_goodbye_is_gone_at_once(valkey: str) -> None:
    async with (
        nodes(valkey, 1, grace=60.0) as (node,),
        Tab(node.ws, token="ann") as ann,
        Tab(node.ws, token="bob") as bob,
    ):
        await ann.join("open:a")
        await bob.join("open:a")
        await ann.request("leave_room", room="open:a")
        await bob.receive("user_left_room", user="ann")


async def test_who_is_waited_for_is_gone_when_the_hub_stops(valkey: str) -> None:
    async with nodes(valkey, 1) as (watch,), Tab(watch.ws, token="bob") as bob:
        await bob.join("open:a")
        async with nodes(valkey, 1, grace=60.0) as (node,):
            async with Tab(node.ws, token="ann") as ann:
                await ann.join("open:a")
            await until(lambda: len(inside(node.hub).registry) == 0, "gone")
            await bob.nothing("user_left_room")
        await bob.receive("user_left_room", user="ann")


async def test_a_room_that_collects(valkey: str) -> None:
    async with nodes(valkey, 2) as (one, two), Tab(one.ws, token="ann") as ann, Tab(two.ws, token="bob") as bob:
        assert (await ann.join("many:b"))["members"] == ["ann"]
        assert (await bob.join("many:b"))["members"] == ["ann", "bob"]
        assert await ann.receive("presence_diff", room="many:b") == {
            "type": "presence_diff",
            "room": "many:b",
            "joined": ["bob"],
            "left": [],
        }
        async with contextlib.AsyncExitStack() as stack:
            crowd = [await stack.enter_async_context(Tab(one.ws, token=f"u{number}")) for number in range(20)]
            await asyncio.gather(*(tab.join("many:b") for tab in crowd))

            def told() -> list[str]:
                return sorted(
                    user for each in bob.received("presence_diff") for user in each["joined"] if user != "ann"
                )

            await until(lambda: len(told()) >= 20, "all twenty")
            assert told() == sorted(f"u{number}" for number in range(20))
            assert len(bob.received("presence_diff")) <= 4
            for tab, name in zip(crowd, (f"u{number}" for number in range(20)), strict=True):
                assert not [each for each in tab.received("presence_diff") if name in each["joined"]]
        gone: list[str] = []
        while len(gone) < 20:
            gone += (await bob.receive("presence_diff", joined=[]))["left"]
        assert sorted(gone) == sorted(f"u{number}" for number in range(20))
        assert not ann.received("user_joined_room")
        assert not bob.received("user_left_room")
