"""Each example: what it did before, it does after; and what it lost with two workers, it loses no more."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.kit.client import Tab
from tests.kit.serving import Address
from tests.kit.waiting import SOON

Two = Callable[[str], Awaitable[list[Address]]]


class Plain:
    """A tutorial's client: it knows text frames alone."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def say(self, text: str) -> None:
        await self._socket.send(text)

    async def hear(self) -> str:
        async with asyncio.timeout(SOON):
            return str(await self._socket.recv())

    async def nothing_before(self, mark: Callable[[], Awaitable[Any]]) -> str:
        """What comes first after the mark was made: nothing else had come."""
        await mark()
        return await self.hear()


@asynccontextmanager
async def plain(url: str) -> AsyncIterator[Plain]:
    async with connect(url, compression=None) as socket:
        yield Plain(socket)


async def post(address: Address, path: str) -> Any:
    async with httpx.AsyncClient(base_url=address.url, trust_env=False) as http:
        answer = await http.post(path)
    assert answer.status_code == 200
    return answer.json()


class TestClientId:
    async def test_before_on_one_worker(self, two: Two) -> None:
        one, _ = await two("client_id/before")
        async with plain(f"{one.ws}/ws/1") as ann:
            async with plain(f"{one.ws}/ws/2") as bob:
                await bob.say("hello")
                assert [await bob.hear() for _ in range(2)] == ["You: hello", "Client 2: hello"]
                assert await ann.hear() == "Client 2: hello"
            assert await ann.hear() == "Client 2 is gone"

    async def test_before_on_two_they_do_not_hear_each_other(self, two: Two) -> None:
        one, other = await two("client_id/before")
        async with plain(f"{one.ws}/ws/1") as ann:
            async with plain(f"{other.ws}/ws/2") as bob:
                await bob.say("hello")
                assert [await bob.hear() for _ in range(2)] == ["You: hello", "Client 2: hello"]
            assert await ann.nothing_before(lambda: ann.say("anybody?")) == "You: anybody?"

    async def test_after_on_two_they_do(self, two: Two) -> None:
        one, other = await two("client_id/after")
        async with Tab(one.ws, "/ws/1") as ann:
            async with Tab(other.ws, "/ws/2") as bob:
                await ann.receive("user_joined_room", user="2")
                await bob.send({"type": "say", "text": "hello"})
                assert await bob.receive("mine") == {"type": "mine", "text": "hello"}
                for tab in (ann, bob):
                    assert await tab.receive("said") == {"type": "said", "by": 2, "text": "hello", "room": "chat"}
            assert (await ann.receive("user_left_room"))["user"] == "2"


class TestNotifications:
    async def test_before_on_one_worker(self, two: Two) -> None:
        one, _ = await two("notifications/before")
        token = await post(one, "/login/alice")
        assert await post(one, "/reports/alice") == {"online": False}
        async with plain(f"{one.ws}/ws/{token}") as first, plain(f"{one.ws}/ws/{token}") as second:
            assert await post(one, "/reports/alice") == {"online": True}
            for tab in (first, second):
                assert json.loads(await tab.hear()) == {"type": "report_ready", "report": 7}
        with pytest.raises(InvalidStatus):
            await connect(f"{one.ws}/ws/forged")

    async def test_before_on_two_the_other_worker_knows_nobody(self, two: Two) -> None:
        one, other = await two("notifications/before")
        async with plain(f"{one.ws}/ws/{await post(one, '/login/alice')}") as alice:
            # It has looked among its own sockets, and sent nothing.
            assert await post(other, "/reports/alice") == {"online": False}
            assert await post(one, "/reports/alice") == {"online": True}
            assert json.loads(await alice.hear())["report"] == 7

    async def test_after_on_two_every_worker_reaches_every_tab_and_who_is_away_finds_it(self, two: Two) -> None:
        one, other = await two("notifications/after")
        token = await post(other, "/login/alice")
        report = {"type": "report_ready", "report": 7, "room": "@me"}
        assert await post(one, "/reports/alice") == {"online": False}
        async with Tab(one.ws, token=token) as first, Tab(other.ws, token=token) as second:
            await first.join("@me", since={"offset": 0})
            assert await first.receive("report_ready") == report | {"offset": 1}
            assert await post(other, "/reports/alice") == {"online": True}
            for tab in (first, second):
                assert await tab.receive("report_ready") == report | {"offset": 2}
        forged = await Tab(one.ws, token="forged", origin=one.url).connect()
        assert await forged.closed() == 4001


class TestRedisPubSub:
    async def test_before_on_two_they_hear_each_other_and_who_is_away_misses_it(self, two: Two) -> None:
        one, other = await two("redis_pubsub/before")
        async with plain(f"{one.ws}/ws/tea/ann") as ann:
            assert json.loads(await ann.hear()) == {"type": "came", "name": "ann"}
            async with plain(f"{other.ws}/ws/tea/bob") as bob:
                assert json.loads(await ann.hear()) == json.loads(await bob.hear()) == {"type": "came", "name": "bob"}
                await ann.say("hello")
                said = {"type": "said", "name": "ann", "text": "hello"}
                assert json.loads(await ann.hear()) == json.loads(await bob.hear()) == said
            assert json.loads(await ann.hear()) == {"type": "went", "name": "bob"}
            await ann.say("while bob was away")
            await ann.hear()
            async with plain(f"{other.ws}/ws/tea/bob") as bob:
                assert json.loads(await bob.hear()) == {"type": "came", "name": "bob"}

    async def test_after_on_two_who_is_away_gets_it_when_they_are_back(self, two: Two) -> None:
        one, other = await two("redis_pubsub/after")
        async with Tab(one.ws, "/ws/ann") as ann:
            await ann.join("tea")
            async with Tab(other.ws, "/ws/bob") as bob:
                assert (await bob.join("tea"))["members"] == ["ann", "bob"]
                assert (await ann.receive("user_joined_room"))["user"] == "bob"
                await ann.send({"type": "say", "room": "tea", "text": "hello"})
                said = {"type": "said", "name": "ann", "room": "tea"}
                for tab in (ann, bob):
                    assert await tab.receive("said") == said | {"text": "hello", "offset": 1}
                since = {"epoch": bob.log[1]["epoch"], "offset": 1}
            assert (await ann.receive("user_left_room"))["user"] == "bob"
            await ann.send({"type": "say", "room": "tea", "text": "while bob was away"})
            await ann.receive("said")
            async with Tab(one.ws, "/ws/bob") as bob:
                assert (await bob.join("tea", since=since))["recovered"] is True
                assert await bob.receive("said") == said | {"text": "while bob was away", "offset": 2}
