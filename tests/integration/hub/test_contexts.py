"""Context variables: what middleware sets at the handshake is there for the connection, and for nobody else.

The same on both transports, and on Starlette's TestClient, with which applications are tested.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from opentelemetry import context as otel
from pydantic import BaseModel

from hubbub import Connection, Hub, User
from hubbub.ports.auth import Credential
from hubbub.types import UserId
from tests.integration.hub.tenants import MARK, TENANT, Say, Tenants, belonging
from tests.kit.client import Tab
from tests.kit.serving import Names, serving
from tests.kit.waiting import until


class Plain(BaseModel):
    type: Literal["plain"] = "plain"


class Watching(Names):
    """An authenticator that notes for whom it was asked, and in whose name."""

    async def authenticate(self, credential: Credential) -> User:
        self.asked.append(f"{credential.value} of {TENANT.get()}")
        return User(UserId(credential.value))


def of(connection: Connection, what: str) -> str:
    return f"{connection.user.id}: {what} of {TENANT.get()}"


def watched(events: list[str], auth: Names) -> FastAPI:
    """Notes in whose name everything is called that an application may give a hub."""
    hub = Hub(auth=auth)

    async def session(connection: Annotated[str, Depends(lambda: TENANT.get())]) -> AsyncIterator[str]:
        events.append(f"entered of {TENANT.get()}, who is {connection}")
        yield TENANT.get()
        events.append(f"left of {TENANT.get()}")

    def threaded() -> str:
        return TENANT.get()

    @hub.on(Say)
    async def say(
        message: Say,
        connection: Connection,
        one: Annotated[str, Depends(session)],
        other: Annotated[str, Depends(threaded)],
    ) -> list[str]:
        events.append(of(connection, f"say {message.what}"))
        await asyncio.sleep(0)
        return [one, other, TENANT.get()]

    @hub.on(Plain)
    def plain(message: Plain, connection: Connection) -> str:
        events.append(of(connection, "plain"))
        return TENANT.get()

    @hub.rooms("r:{name}", presence=True)
    async def check(name: str, connection: Connection) -> bool:
        events.append(of(connection, "check"))
        await asyncio.sleep(0)
        return name == TENANT.get()

    app = FastAPI()

    @app.websocket("/own")
    async def own(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        async for message in connection:
            events.append(of(connection, f"own {message['what']}, {MARK.get()}"))
            MARK.set("a route is one piece of code")

    app.include_router(hub.router)
    app.add_middleware(Tenants)
    return app


ONE_SAY = ["entered of {0}, who is {0}", "{1}: say {2} of {0}", "left of {0}"]


def steps(tenant: str, user: str) -> list[str]:
    """What one connection that does everything comes to, in order."""
    saying = [line.format(tenant, user, "hello") for line in ONE_SAY]
    return [*saying, f"{user}: plain of {tenant}", f"{user}: check of {tenant}"]


async def everything(tab: Tab, tenant: str) -> None:
    assert (await tab.request("say", what="hello"))["result"] == [tenant] * 3
    assert (await tab.request("plain"))["result"] == tenant
    assert (await tab.join(f"r:{tenant}"))["room"] == f"r:{tenant}"


async def test_everything_of_a_connection_finds_what_middleware_has_set() -> None:
    events: list[str] = []
    auth = Watching()
    async with serving(watched(events, auth)) as server, Tab(server.ws, token="alice", **belonging("blue")) as alice:
        await everything(alice, "blue")
        # The credential as the first message, and a renewed one.
        bob = await Tab(server.ws, **belonging("red")).connect()
        await bob.send({"type": "auth", "token": "bob"})
        await bob.receive("welcome")
        assert (await bob.request("auth", token="bob"))["type"] == "ack"
        await everything(bob, "red")
        await bob.close()
        async with Tab(server.ws, token="nobody") as nobody:
            assert (await nobody.request("plain"))["result"] == "nobody's"
        assert auth.asked == ["alice of blue", "bob of red", "bob of red", "nobody of nobody's"]
        assert events == [*steps("blue", "alice"), *steps("red", "bob"), "nobody: plain of nobody's"]


def test_and_so_it_does_under_test_client() -> None:
    events: list[str] = []
    with (
        TestClient(watched(events, Watching())) as client,
        client.websocket_connect("/ws?token=alice", headers={"x-tenant": "blue"}) as alice,
    ):
        assert alice.receive_json()["type"] == "welcome"
        for number, message in enumerate(
            ({"type": "say", "what": "hello"}, {"type": "plain"}, {"type": "join_room", "room": "r:blue"})
        ):
            alice.send_json({**message, "id": number})
            assert alice.receive_json()["id"] == number
    assert events == steps("blue", "alice")


async def test_connections_whose_messages_come_in_turn_never_find_each_others() -> None:
    events: list[str] = []
    tenants = {"alice": "blue", "bob": "red", "carol": "green"}
    async with serving(watched(events, Names())) as server:
        tabs = {
            user: await Tab(server.ws, token=user, **belonging(tenant)).connect() for user, tenant in tenants.items()
        }
        for round_ in range(10):
            await asyncio.gather(*(tab.send({"type": "say", "what": str(round_)}) for tab in tabs.values()))
        await until(lambda: sum(": say" in event for event in events) == 30, "all were handled")
        for user, tenant in tenants.items():
            theirs = [event for event in events if event.startswith(user)]
            assert theirs == [f"{user}: say {round_} of {tenant}" for round_ in range(10)]
            await tabs[user].close()


async def test_a_route_of_ones_own_is_one_piece_of_code_and_its_join_checks_are_not() -> None:
    events: list[str] = []
    async with serving(watched(events, Names())) as server:
        async with Tab(server.ws, "/own", token="alice", **belonging("blue")) as alice:
            await alice.request("any", what="1")
            await alice.join("r:blue")
            await alice.request("any", what="2")
        assert events == [
            "alice: own 1, unset of blue",
            "alice: check of blue",
            "alice: own 2, a route is one piece of code of blue",
        ]


async def test_what_a_handler_sets_is_gone_with_its_message() -> None:
    hub = Hub(auth=Names())
    gate = asyncio.Event()

    @hub.on(Say)
    async def say(message: Say) -> list[str]:
        """Waits at the gate between the two, where it is to."""
        before = MARK.get()
        MARK.set(message.what)
        if message.what == "slow":
            await gate.wait()
        return [before, MARK.get()]

    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="alice") as alice, Tab(server.ws, token="bob") as bob:
        assert (await alice.request("say", what="first"))["result"] == ["unset", "first"]
        for number, what in enumerate(["slow", "second"]):
            await alice.send({"type": "say", "what": what, "id": number})
        assert (await bob.request("say", what="other"))["result"] == ["unset", "other"]
        gate.set()
        assert (await alice.receive("ack", id=0))["result"] == ["unset", "slow"]
        assert (await alice.receive("ack", id=1))["result"] == ["unset", "second"]


async def test_what_is_attached_can_be_detached_behind_any_wait(caplog: pytest.LogCaptureFixture) -> None:
    """A token of a context variable is good in its own context only; OpenTelemetry logs an error where it is not."""
    hub = Hub(auth=Names())

    async def traced() -> AsyncIterator[None]:
        token = otel.attach(otel.set_value("span", "the dependency's"))
        yield
        otel.detach(token)

    @hub.on(Say)
    async def say(_: Say, __: Annotated[None, Depends(traced)]) -> list[Any]:
        seen = [otel.get_value("span")]
        token, mark = otel.attach(otel.set_value("span", "the handler's")), MARK.set("set")
        for seconds in (0, 0.001):
            await asyncio.sleep(seconds)
            seen.append(otel.get_value("span"))
        async with asyncio.timeout(10):
            await asyncio.to_thread(lambda: seen.append(MARK.get()))
        MARK.reset(mark)
        otel.detach(token)
        return [*seen, otel.get_value("span"), MARK.get()]

    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="alice") as alice:
        for _ in range(2):
            seen = (await alice.request("say"))["result"]
            assert seen == ["the dependency's", *["the handler's"] * 2, "set", "the dependency's", "unset"]
    assert not [record for record in caplog.records if "detach" in record.getMessage()]
