"""A tab in the test's own process, on real hubs and applications."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, FastAPI, Header
from pydantic import BaseModel

from hubbub import ConfigurationError, Connection, Heartbeat, Hub, HubDep, InvalidCredential, Limits, Rate, User
from hubbub.ports.auth import Credential
from hubbub.testing import ManualClock, Node, Refusal, Tab
from hubbub.types import UserId
from tests.kit.inside import inside


class Say(BaseModel):
    type: Literal["say"] = "say"
    room: str
    text: str


class Stock(BaseModel):
    type: Literal["stock"] = "stock"


class Names:
    """The token is the user's name; `no` is nobody's."""

    cookie: str | None = None
    bearer = True

    async def authenticate(self, credential: Credential) -> User:
        if credential.value == "no":
            raise InvalidCredential("nobody's")
        return User(UserId(credential.value))


async def stock() -> int:
    raise RuntimeError("asks the warehouse")


async def language(accept_language: Annotated[str, Header()] = "none") -> str:
    return accept_language


def make_hub(**options: Any) -> Hub:
    hub = Hub(auth=Names(), **options)

    @hub.rooms("open:{name}", presence=True)
    async def anybody(name: str) -> bool:
        return name != "no"

    @hub.rooms("speaks:{name}")
    async def speaks(name: str, language: Annotated[str, Depends(language)]) -> bool:
        return language == name

    @hub.on(Say)
    async def say(message: Say, connection: Connection) -> str:
        await connection.room(message.room).send({"type": "said", "text": message.text})
        return "done"

    @hub.on(Stock)
    async def how_many(message: Stock, hub: HubDep, stock: Annotated[int, Depends(stock)]) -> list[Any]:
        return [stock, hub.node]

    return hub


def make_app(hub: Hub) -> FastAPI:
    app = FastAPI()
    app.include_router(hub.router)
    app.dependency_overrides[stock] = lambda: 3

    @app.websocket("/plain")
    async def plain(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        async for message in connection:
            await connection.send({"type": "echo", "of": message["type"]})

    @app.websocket("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    return app


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Node(made := make_hub(limits=Limits(outbox=4000, payload=2000, closing=0.05))):
        yield made


async def test_two_talk(hub: Hub) -> None:
    async with Tab(hub, "alice") as alice, Tab(hub, "bob") as bob:
        assert (await alice.join("open:tea"))["members"] == ["alice"]
        await bob.join("open:tea")
        assert (await alice.receive("user_joined_room"))["user"] == "bob"
        answer = await alice.ask({"type": "say", "room": "open:tea", "text": "hello"})
        assert answer["result"] == "done"
        assert (await bob.receive())["text"] == "hello"
        assert (await alice.receive("said", text="hello"))["room"] == "open:tea"
        assert await bob.leave("open:tea")
        await alice.receive("user_left_room", user="bob")
        assert [message["text"] for message in bob.ledger.seen("open:tea")] == ["hello"]
        assert alice.welcome["user"] == "alice"
    assert (alice.close_code, bob.open) == (1000, False)


async def test_a_refusal_says_why(hub: Hub) -> None:
    async with Tab(hub, "alice") as alice:
        for room, code in (("open:no", "forbidden"), ("elsewhere", "unknown_room")):
            with pytest.raises(Refusal, match=code) as refused:
                await alice.join(room)
            assert refused.value.code == code


async def test_a_wait_ends_and_says_what_came(hub: Hub) -> None:
    async with Tab(hub, "alice") as alice:
        await alice.join("open:tea")
        await hub.room("open:tea").send({"type": "said", "text": "else"})
        with pytest.raises(AssertionError, match=r"alice waited 0.05 s for .*nothing.* after .*else"):
            await alice.receive("nothing", within=0.05)
        await alice.drop()
        with pytest.raises(AssertionError, match="1006"):
            await alice.receive("nothing")
        with pytest.raises(AssertionError, match="not connected"):
            await alice.send({"type": "say"})


async def test_headers_reach_dependencies(hub: Hub) -> None:
    async with Tab(hub, "alice", headers={"Accept-Language": "de"}) as alice:
        assert await alice.join("speaks:de")
        with pytest.raises(Refusal, match="forbidden"):
            await alice.join("speaks:fr")


async def test_an_application_with_its_overrides_and_its_hub() -> None:
    hub = make_hub()
    async with Node(make_app(hub)) as node, Tab(node, "alice") as alice, Tab(node, token="bob") as bob:
        for tab in (alice, bob):
            assert (await tab.ask({"type": "stock"}))["result"] == [3, hub.node]
        assert bob.welcome["user"] == "bob"
        assert node.hub is hub


async def test_a_hub_alone_finds_itself() -> None:
    hub = make_hub()

    class Which(BaseModel):
        type: Literal["which"] = "which"

    @hub.on(Which)
    async def which(message: Which, other: HubDep) -> bool:
        return other is hub

    await hub.start()
    async with Tab(hub, "alice") as alice:
        assert (await alice.ask({"type": "which"}))["result"] is True
    await hub.stop()


async def test_a_route_of_the_applications_own() -> None:
    async with Node(make_app(make_hub())) as node:
        async with Tab(node, token="alice", path="/plain") as alice:
            await alice.send({"type": "anything"})
            assert (await alice.receive("echo"))["of"] == "anything"
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            async with Tab(node, token="alice", path="/broken"):
                pass


async def test_a_refused_handshake_says_its_status() -> None:
    async with Node(make_app(make_hub())) as node:
        tab = Tab(node, token="no")
        with pytest.raises(AssertionError, match="refused with 401"):
            await tab.__aenter__()
        assert tab.status == 401
        page = Tab(node, token="no", headers={"Origin": "http://testserver"})
        with pytest.raises(AssertionError, match="closed with 4001"):
            await page.__aenter__()
        assert (page.status, page.close_code) == (None, 4001)


async def test_a_hub_that_does_not_run_says_so() -> None:
    with pytest.raises(AssertionError, match="not running"):
        await Tab(make_hub(), "alice").__aenter__()


async def test_the_server_closes() -> None:
    async with Node(make_hub()) as node, Tab(node, "alice") as alice:
        await node.hub.user("alice").disconnect()
        assert await alice.closed() == 4003
        assert alice.ledger.closes == [4003]
        assert (await alice.reconnect())["user"] == "alice"
        await alice.join("open:tea")


async def test_who_stalls_is_too_slow_and_nobody_else(hub: Hub) -> None:
    async with Tab(hub, "alice") as alice, Tab(hub, "bob") as bob:
        for tab in (alice, bob):
            await tab.join("open:tea")
        bob.stall()
        for number in range(5):
            await hub.room("open:tea").send({"type": "said", "text": "x" * 1000, "n": number})
            await alice.receive("said", n=number)
        assert await bob.closed() == 1006
        await alice.until(lambda: alice.received("user_left_room"), "bob to have left")
        assert bob.received("said") == []


async def test_who_reads_slowly_gets_all_in_order(hub: Hub) -> None:
    async with Tab(hub, "alice") as alice:
        await alice.join("open:tea")
        alice.stall()
        for number in range(6):
            await hub.room("open:tea").send({"type": "said", "n": number})
        await asyncio.sleep(0.05)
        assert alice.received("said") == []
        for read, seen in ((lambda: alice.read(2), [0, 1]), (alice.go_on, [0, 1, 2, 3, 4, 5])):
            read()
            assert [message["n"] for message in alice.received("said")] == seen
        await hub.room("open:tea").send({"type": "said", "n": 6})
        await alice.receive("said", n=6)


async def test_who_vanishes_is_found_out_by_the_heartbeat() -> None:
    clock = ManualClock()
    async with (
        Node(make_hub(clock=clock, heartbeat=Heartbeat(interval=25, timeout=10))) as node,
        Tab(node, "alice") as alice,
        Tab(node, "bob") as bob,
        Tab(node, "carol", pongs=False) as carol,
    ):
        for tab in (alice, bob, carol):
            await tab.join("open:tea")
        bob.vanish()
        await clock.advance(70)
        assert alice.open
        assert len(alice.received("ping")) == 2
        assert await carol.closed() == 4007
        await alice.until(lambda: len(alice.received("user_left_room")) == 2, "both to have left")


async def test_who_sends_too_much_is_held_and_answered() -> None:
    hub = make_hub(limits=Limits(waiting=1), rate=Rate(messages=1000, burst=1000))
    gate = asyncio.Event()

    class Wait(BaseModel):
        type: Literal["wait"] = "wait"

    @hub.on(Wait)
    async def wait(message: Wait) -> None:
        await gate.wait()

    async with Node(hub) as node, Tab(node, "alice") as alice:
        for number in range(4):
            await alice.send({"type": "wait", "id": number})
        await alice.receive("error", code="rate_limited", id=2)
        await alice.send({"type": "ping", "id": "late"})
        gate.set()
        await alice.receive("pong", id="late")


async def test_what_is_not_json_is_answered(hub: Hub) -> None:
    async with Tab(hub, "alice") as alice:
        await alice.say("{")
        await alice.receive("error", code="invalid_message")
        await alice.send({"type": "say", "room": "open:tea", "text": "x" * 70_000})
        assert await alice.closed() == 1009


async def test_nothing_is_left_of_a_tab_that_is_gone(hub: Hub) -> None:
    tabs = [Tab(hub, f"user{number}") for number in range(20)]
    for tab in tabs:
        await tab.__aenter__()
        await tab.join("open:tea")
    for way in range(20):
        await (tabs[way].close() if way % 2 else tabs[way].drop())
    assert len(inside(hub).registry) == 0
    assert not inside(hub).endpoint.connections
    assert not [task for task in asyncio.all_tasks() if "_serve" in repr(task.get_coro())]


async def test_a_hub_with_two_hubs_has_to_be_told() -> None:
    app = make_app(make_hub())
    app.include_router(make_hub(name="other", path="/other").router)
    async with Node(app) as node:
        with pytest.raises(AssertionError, match="2 running hubs"):
            await Tab(node, "alice").__aenter__()
        async with Tab(node, token="alice", path="/other") as alice:
            assert alice.welcome["user"] == "alice"


async def test_a_node_of_no_network_has_no_faults() -> None:
    async with Node(make_hub()) as node:
        with pytest.raises(ConfigurationError, match="Network"):
            await node.kill()
        with pytest.raises(AssertionError, match="path="):
            await Tab(node, token="alice", path="/x").__aenter__()
