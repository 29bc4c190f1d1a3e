"""A client on a real socket: it comes back by what the close says, and goes on where it was."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import HTTPException
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from hubbub import Heartbeat, History, Hub, closes
from hubbub.closes import Close
from hubbub.protocol.messages import SUBPROTOCOL, prepare
from hubbub.testing import Client, Ledger, Lost, Refusal, checks
from tests.kit.inside import inside
from tests.kit.serving import Address, Names, serving, simple
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import SOON, until


@pytest.fixture
def hub() -> Hub:
    hub = Hub(auth=Names())

    @hub.rooms("kept:{name}", history=History(size=50, ttl=60))
    async def kept(name: str) -> bool:
        return name != "no"

    return hub


@pytest.fixture
async def server(hub: Hub) -> AsyncIterator[Address]:
    async with serving(simple(hub), ws="hubbub.transports.uvicorn:HubbubProtocol") as address:
        yield address


def client(server: Address, user: str = "alice", **options: Any) -> Client:
    return Client(f"{server.ws}/ws", token=user, name=user, chance=random.Random(1), **options)


async def close_with(hub: Hub, client: Client, close: Close) -> None:
    for connection in tuple(inside(hub).endpoint.connections):
        if connection.id == client.welcome["connection"]:
            connection.close(close)
    await client.closed()


async def test_it_talks(hub: Hub, server: Address) -> None:
    async with client(server) as alice:
        assert alice.welcome["user"] == "alice"
        await alice.join("open:tea")
        await hub.room("open:tea").send({"type": "said"})
        await alice.receive("said", room="open:tea")
        with pytest.raises(Refusal, match="forbidden"):
            await alice.join("kept:no")
        assert alice.rooms == {"open:tea"}
        await alice.leave("open:tea")
        assert alice.rooms == frozenset()
    assert (alice.open, alice.attempts, alice.close_code) == (False, 1, 1000)


async def test_what_it_missed_comes_when_it_is_back(hub: Hub, server: Address) -> None:
    async with client(server) as alice:
        await alice.join("kept:tea")
        await hub.room("kept:tea").send({"type": "said", "n": 1})
        await alice.receive("said", n=1)
        for n in (2, 3):
            alice.go_offline()
            await alice.closed()
            await hub.room("kept:tea").send({"type": "said", "n": n})
            alice.go_online()
            await alice.back()
            await alice.receive("said", n=n)
        alice.drop()
        await alice.back()
        assert [message["n"] for message in alice.ledger.seen("kept:tea")] == [1, 2, 3]
        assert checks.in_order([alice.ledger]) + checks.whole([alice.ledger]) == []
        assert [stint.recovered for stint in alice.ledger.stints["kept:tea"]] == [None, True, True, True]


@pytest.mark.parametrize(
    ("close", "returns"),
    [
        (closes.OUR_FAULT, True),
        (closes.OVERLOADED, True),
        (closes.NO_HEARTBEAT, True),
        (closes.POSITION_LOST, True),
        (closes.DISCONNECTED, False),
        (closes.FLOODING, False),
        (closes.CREDENTIAL_EXPIRED, False),
    ],
    ids=lambda value: str(getattr(value, "code", value)),
)
async def test_it_comes_back_where_the_code_says_so(hub: Hub, server: Address, close: Close, returns: bool) -> None:
    async with client(server) as alice:
        await alice.join("kept:tea")
        await close_with(hub, alice, close)
        assert alice.close_code == close.code
        if returns:
            await alice.back()
            assert (alice.attempts, len(alice.ledger.stints["kept:tea"])) == (2, 2)
        else:
            with pytest.raises(AssertionError, match=f"closed with {close.code}"):
                await alice.back()
            assert alice.attempts == 1


async def test_it_fetches_a_new_credential_where_it_can(hub: Hub, server: Address) -> None:
    tokens: Iterator[str] = iter(["alice~60", "alice~120"])
    async with Client(f"{server.ws}/ws", token=lambda: next(tokens), name="alice") as alice:
        await close_with(hub, alice, closes.CREDENTIAL_EXPIRED)
        await alice.back()
        assert next(tokens, None) is None


async def test_it_waits_for_as_long_as_it_is_told(hub: Hub, server: Address) -> None:
    async with client(server) as alice:
        await alice.join("kept:tea")
        await hub.room("kept:tea").send({"type": "said", "n": 1})
        await alice.receive("said", n=1)
        # What a drain would say; the application cannot send it, so the connection is asked to.
        [connection] = inside(hub).endpoint.connections
        connection.answer(prepare("closing", code=1012, reason="restarting", retry_after=400))
        connection.close(closes.RESTARTING)
        await alice.closed()
        watch = Stopwatch()
        await alice.back()
        assert watch.wall >= 0.35
        assert watch.own < 3.0


async def test_it_goes_on_trying_while_nobody_is_there(hub: Hub, server: Address) -> None:
    here = f"{server.ws}/ws"
    url = here
    async with Client(lambda: url, token="alice", name="alice", chance=random.Random(1), ceiling=0.02) as alice:
        url = "ws://127.0.0.1:1/ws"
        alice.drop()
        await until(lambda: alice.attempts >= 4, "three attempts")
        url = here
        await alice.back()


async def test_it_remembers_why_it_was_refused(server: Address) -> None:
    nobody = client(server, "no", within=2.0, ceiling=0.02)
    with pytest.raises(AssertionError, match="welcome"):
        await nobody.__aenter__()
    assert set(nobody.refusals) == {401}


async def test_a_room_it_was_put_out_of_is_not_joined_again(hub: Hub, server: Address) -> None:
    async with client(server) as alice:
        await alice.join("open:tea")
        await hub.room("open:tea").close("over")
        await alice.receive("room_left")
        alice.drop()
        await alice.back()
        assert alice.rooms == frozenset()
        assert [connection.rooms for connection in inside(hub).endpoint.connections] == [frozenset()]


async def test_a_join_that_is_refused_is_tried_again_where_that_may_help(hub: Hub, server: Address) -> None:
    refusing: list[int] = []

    @hub.rooms("moody:{name}")
    async def moody(name: str) -> bool:
        if refusing and name == "soon":
            refusing.pop()
            raise HTTPException(503)
        return name == "soon" or not closed

    closed: list[bool] = []
    async with client(server) as alice:
        await alice.join("moody:soon")
        await alice.join("moody:never")
        refusing[:] = [1, 1]
        closed.append(True)
        alice.drop()
        await alice.back()
        assert [error["code"] for error in alice.received("error")] == ["unavailable", "unavailable", "forbidden"]
        assert alice.rooms == {"moody:soon"}


async def test_who_does_not_answer_ping_is_found_out() -> None:
    quick = Hub(auth=Names(), heartbeat=Heartbeat(interval=0.1, timeout=1.0))
    async with serving(simple(quick)) as server, client(server, "bob") as bob, client(server, pongs=False) as alice:
        assert await alice.closed() == 4007
        await alice.back()
        assert bob.ledger.closes == []


async def test_who_loses_the_connection_before_the_answer_is_told_at_once(hub: Hub, server: Address) -> None:
    asked = asyncio.Event()

    @hub.rooms("slow:{name}")
    async def slow(name: str) -> bool:
        asked.set()
        await asyncio.Event().wait()
        return True

    async with client(server, within=60) as alice:
        joining = asyncio.create_task(alice.join("slow:tea"))
        await asked.wait()
        alice.drop()
        async with asyncio.timeout(SOON):
            with pytest.raises(Lost, match=r"the answer to .*slow:tea.* closed with 1006"):
                await joining
        assert alice.rooms == frozenset()
    with pytest.raises(Lost, match="alice is not connected"):
        await alice.join("open:tea")


async def test_who_is_told_that_it_is_lost_finds_it_closed(hub: Hub, server: Address) -> None:
    """Before the reader has noticed, too: who tries again as long as it is open would let nobody notice anything."""
    tries: list[asyncio.Task[bool]] = []

    async def open_though_lost() -> bool:
        with pytest.raises(Lost):
            await alice.say("{}")
        return alice.open

    class Telling(ClientConnection):
        def connection_lost(self, exc: Exception | None) -> None:
            tries.append(asyncio.create_task(open_though_lost()))
            super().connection_lost(exc)

    async with client(server, options={"create_connection": Telling}) as alice:
        await close_with(hub, alice, closes.DISCONNECTED)
        await until(lambda: tries, "the socket is gone")
        assert [await each for each in tries] == [False]


async def test_rooms_of_ones_own_are_joined_first_and_written_into_ones_own_ledger(server: Address) -> None:
    ledger = Ledger("the book")
    async with client(server, rooms=["open:tea", "kept:tea"], ledger=ledger) as alice:
        await alice.back()
        assert alice.rooms == {"open:tea", "kept:tea"} == ledger.stints.keys()


async def test_a_server_that_says_nothing_any_more_is_left() -> None:
    """As behind a box that has forgotten the connection: nothing comes, no end either."""

    async def mute(socket: ServerConnection) -> None:
        await socket.send(welcome(interval=100))
        await socket.wait_closed()

    async with scripted(mute) as url, Client(url, first=0.01, ceiling=0.01) as alice:
        await until(lambda: alice.attempts > 1, "another attempt")
        assert alice.ledger.closes[0] == 1006


async def test_a_join_again_that_nobody_answers_is_said() -> None:
    lives = itertools.count()

    async def forgetful(socket: ServerConnection) -> None:
        first = next(lives) == 0
        await socket.send(welcome(interval=60_000))
        async for text in socket:
            if first:
                await socket.send(json.dumps({**json.loads(text), "type": "room_joined"}))

    async with scripted(forgetful) as url, Client(url, name="alice", first=0.01, ceiling=0.01, patience=0.2) as alice:
        await alice.join("tea")
        alice.drop()
        with pytest.raises(AssertionError, match=r"it failed: .*alice waited 0\.2 s for the answer to .*tea"):
            await alice.back(within=SOON)


def welcome(*, interval: int) -> str:
    heartbeat = {"interval": interval, "timeout": 100}
    return json.dumps({"type": "welcome", "connection": "1", "user": "alice", "node": "n", "heartbeat": heartbeat})


@asynccontextmanager
async def scripted(behave: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that does what it is told here, and nothing else."""
    async with serve(behave, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
