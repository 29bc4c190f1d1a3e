"""The broker goes away in the middle and comes back, with nothing in it."""

import contextlib
from typing import Literal

import pytest
import websockets
from pydantic import BaseModel

from hubbub import Hub, Unavailable
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.redis import RedisBroker
from tests.integration.hub.conftest import Mortal
from tests.kit.client import Tab
from tests.kit.serving import Names, at_rest, serving, simple
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until

DEADLINE = 0.5


class Say(BaseModel):
    type: Literal["say"]


def hub_on(mortal: Mortal) -> Hub:
    hub = Hub(RedisBroker(mortal.url, deadline=DEADLINE), auth=Names())

    @hub.on(Say)
    async def say(message: Say) -> None:
        await hub.room("open:a").send({"type": "said"})

    return hub


async def test_away_and_back(mortal: Mortal) -> None:
    hubs = [hub_on(mortal) for _ in range(2)]
    async with serving(simple(hubs[0])) as left, serving(simple(hubs[1])) as right:
        await until(lambda: all(hub.ready for hub in hubs), "there")
        async with (
            Tab(left.ws, token="ann") as ann,
            Tab(right.ws, token="bob") as bob,
            Tab(left.ws, token="cid") as cid,
        ):
            for tab in (ann, bob, cid):
                await tab.join("open:a")
            mortal.kill()
            await until(lambda: not any(hub.ready for hub in hubs), "it is seen that it is away")
            for ask in (lambda: ann.request("join_room", room="open:b"), lambda: ann.request("say")):
                watch = Stopwatch()
                answer = await ask()
                assert (answer["type"], answer["code"]) == ("error", "unavailable")
                assert watch.own < 4 * DEADLINE
            watch = Stopwatch()
            with pytest.raises(Unavailable):
                await hubs[1].broadcast({"type": "x"})
            assert watch.own < 2 * DEADLINE
            # Ping is answered while a join waits for the broker.
            await ann.send({"type": "join_room", "room": "open:c", "id": "j"})
            assert (await ann.request("ping"))["type"] == "pong"
            await until(lambda: any(each.get("id") == "j" for each in ann.log), "an answer to the join")
            [answer] = [each for each in ann.log if each.get("id") == "j"]
            assert answer["code"] == "unavailable"
            # No local shortcut, and leaving needs nobody.
            assert not [each for tab in (ann, bob, cid) for each in tab.received("said")]
            assert (await cid.request("leave_room", room="open:a"))["type"] == "room_left"

            mortal.start()
            await until(lambda: all(hub.ready for hub in hubs), "it is back")

            async def restored() -> bool:
                with contextlib.suppress(Unavailable):
                    online = [await hubs[1].user(who).is_online() for who in ("ann", "bob", "cid")]
                    members = await hubs[0].room("open:a").members()
                    return all(online) and members == ["ann", "bob"] and (await hubs[0].stats()).rooms == 1
                return False

            await until(restored, "all is known again")
            assert await hubs[1].user("ann").connections() == [ann.welcome["connection"]]
            assert (await ann.request("say"))["type"] == "ack"
            for tab in (ann, bob):
                await until(lambda tab=tab: tab.received("said"), "said")  # type: ignore[misc]
            assert not cid.received("said")
            assert (await cid.join("open:a"))["members"] == ["ann", "bob", "cid"]
            await ann.join("open:b")
        for hub in hubs:
            await at_rest(hub)
            assert await hub.room("open:a").members() == []
            assert not await hub.user("ann").is_online()


class Absent(MemoryBroker):
    """Does what it is asked, and says that it is away while `away` is set."""

    away = False

    @property
    def ready(self) -> bool:
        return super().ready and not self.away


async def test_a_room_that_was_heard_cannot_be_joined_while_the_broker_is_away() -> None:
    """The subscription does not stand any more, whatever this worker remembers: `room_joined` would be a lie."""
    broker = Absent()
    hub = Hub(broker, auth=Names())

    @hub.rooms("plain")
    async def anybody() -> bool:
        return True

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as ann, Tab(server.ws, token="bob") as bob:
        await ann.join("plain")
        broker.away = True
        watch = Stopwatch()
        answer = await bob.request("join_room", room="plain")
        assert (answer["type"], answer["code"]) == ("error", "unavailable")
        assert watch.own < 1
        broker.away = False
        await bob.join("plain")
        await hub.room("plain").send({"type": "news"})
        for tab in (ann, bob):
            await tab.receive("news")


async def test_nobody_is_announced_again_when_the_broker_is_back(mortal: Mortal) -> None:
    hubs = [hub_on(mortal) for _ in range(2)]
    async with contextlib.AsyncExitStack() as stack:
        left, right = [await stack.enter_async_context(serving(simple(hub))) for hub in hubs]
        await until(lambda: all(hub.ready for hub in hubs), "there")
        ann = await stack.enter_async_context(Tab(left.ws, token="ann"))
        bob = await stack.enter_async_context(Tab(right.ws, token="bob"))
        for tab in (ann, bob):
            await tab.join("open:a")
        await ann.receive("user_joined_room", user="bob")
        before = {tab: len(tab.log) for tab in (ann, bob)}
        mortal.kill()
        await until(lambda: not any(hub.ready for hub in hubs), "it is seen that it is away")
        mortal.start()
        await until(lambda: all(hub.ready for hub in hubs), "it is back")

        async def complete() -> bool:
            with contextlib.suppress(Unavailable):
                online = [await hubs[0].user(who).is_online() for who in ("ann", "bob")]
                return all(online) and await hubs[1].room("open:a").members() == ["ann", "bob"]
            return False

        await until(complete, "all is known again")
        await hubs[0].broadcast({"type": "end"})
        for tab, seen in before.items():
            await tab.receive("end")
            assert {each["type"] for each in tab.log[seen:]} <= {"end", "ping"}
        await bob.close()
        assert (await ann.receive("user_left_room"))["user"] == "bob"
        assert await hubs[0].room("open:a").members() == ["ann"]
        async with Tab(right.ws, token="bob") as again:
            await again.join("open:a")
            assert (await ann.receive("user_joined_room"))["user"] == "bob"


async def test_a_worker_without_a_broker_takes_nobody(mortal: Mortal) -> None:
    hub = hub_on(mortal)
    mortal.kill()
    async with serving(simple(hub)) as server:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await Tab(server.ws, token="ann").connect()
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"]
        mortal.start()
        await until(lambda: hub.ready, "it has come")
        async with Tab(server.ws, token="ann") as ann:
            await ann.join("open:a")
