"""What an application hooks into of one connection: that it comes, joins, leaves, goes, each told once and in order.

The file is longer than others: one application with hooks, `Told`, is what all of it is asked of.
"""

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Query, WebSocket
from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub import ConfigurationError, Connection, Disconnect, Edge, Hub, Limits, Refused, Unavailable, User
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Names, at_rest, connection_of, left_behind, serving, simple
from tests.kit.waiting import until

TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


class Sets:
    """Middleware that knows the tenant."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        TENANT.set("acme")
        await self.app(scope, receive, send)


class Told:
    """A hub that notes what its hooks are told, in order."""

    def __init__(self, **options: Any) -> None:
        self.hub = hub = Hub(auth=Names(), **options)
        self.app = simple(hub)
        self.log: list[tuple[str, ...]] = []
        self.ends: list[Disconnect] = []

        @hub.on_connect
        async def came(user: User) -> None:
            self.log.append(("came", user.id))

        @hub.on_disconnect
        async def went(how: Disconnect, user: User) -> None:
            self.ends.append(how)
            self.log.append(("went", user.id))

        @hub.on_join("open:{name}")
        async def joined(name: str, user: User) -> None:
            await asyncio.sleep(0)  # what follows does not overtake it
            self.log.append(("joined", user.id, name))

        @hub.on_leave
        async def left(room: str, user: User) -> None:
            self.log.append(("left", user.id, room))

    async def over(self) -> Disconnect:
        """How the one connection ended, when all is told."""
        await until(lambda: self.ends, "it is told that it went")
        await at_rest(self.hub)
        assert not len(inside(self.hub).hooks or ())
        [end] = self.ends
        return end


async def test_who_comes_is_told_before_welcome_with_dependencies_and_the_variables_of_its_call() -> None:
    hub = Hub(auth=Names())
    log: list[Any] = []

    async def database(kind: Annotated[str, Query()] = "none") -> AsyncIterator[str]:
        log.append("opened")
        yield kind
        log.append("closed")

    @hub.on_connect
    async def first(connection: Connection, user: User, db: Annotated[str, Depends(database)]) -> None:
        log.append((user.id, db, TENANT.get()))
        await connection.send({"type": "hello"})
        await connection.join("open:lobby")
        connection.state.visits = 1

    @hub.on_connect
    def second(connection: Connection) -> bool:
        log.append((connection.state.visits, TENANT.get(), threading.current_thread() is threading.main_thread()))
        return True

    app = simple(hub)
    app.add_middleware(Sets)
    async with serving(app) as server, Tab(server.ws, "/ws?kind=sqlite", token="ann") as tab:
        assert log == ["opened", ("ann", "sqlite", "acme"), "closed", (1, "acme", False)]
        assert [each["type"] for each in tab.log][:1] == ["welcome"]
        await tab.receive("hello")
        await tab.receive("room_joined", room="open:lobby")
        assert connection_of(hub, tab).rooms == {"open:lobby"}


REFUSALS: dict[str, tuple[Any, int, str]] = {
    "refused": (Refused("not on Sundays"), 4003, "not on Sundays"),
    "http": (HTTPException(403, "banned"), 4003, "banned"),
    "http 402": (HTTPException(402, "pay first"), 4003, "pay first"),
    "false": (False, 4003, "you may not connect"),
    "away": (Unavailable("the accounts are away"), 1013, "the accounts are away"),
    "failed": (RuntimeError("a secret"), 1011, "internal error"),
    "http 500": (HTTPException(500, "a secret"), 1011, "internal error"),
    "odd": ("no", 1011, "internal error"),
}


@pytest.mark.complains("failed for connection")
@pytest.mark.parametrize("path", ["/ws", "/mine", "/text"])
async def test_who_is_refused_gets_nothing_but_the_close(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """On each kind of route, whatever the refusal; and nobody else hears of it, nor any other hook."""
    s = Told(announce_users=True)
    hub, now = s.hub, iter(REFUSALS.values())
    after: list[str] = []

    @hub.on_connect
    async def refuse(user: User, connection: Connection) -> Any:
        if user.id == "watches":
            return None
        await connection.send("secret" if connection.text else {"type": "secret"})
        what, _, _ = next(now)
        if isinstance(what, Exception):
            raise what
        return what

    @hub.on_connect
    async def last(user: User) -> None:
        after.append(user.id)

    @s.app.websocket("/mine")
    async def mine(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        after.append("the route")

    @s.app.websocket("/text")
    async def text(websocket: WebSocket) -> None:
        async with hub.connect(websocket, user="ann", text=True):
            after.append("the route")

    async with serving(s.app) as server, Tab(server.ws, token="watches") as watches:
        for _, code, reason in REFUSALS.values():
            tab = await Tab(server.ws, path, token="ann").connect()
            assert await tab.closed() == code
            assert tab.socket.protocol.close_reason == reason
            assert tab.log == []
            await tab.close()
        await watches.nothing("user_connected")
        assert after == ["watches"]
        assert s.ends == []
    failed = [record for record in caplog.records if "failed for connection" in record.getMessage()]
    assert len(failed) == 3


async def test_a_hook_that_does_not_end_lets_nobody_in_and_its_connection_is_told_as_gone_when_it_does() -> None:
    s = Told(limits=Limits(authenticate=0.2))
    gate = asyncio.Event()

    @s.hub.on_connect
    async def slow() -> None:
        await gate.wait()

    async with serving(s.app) as server:
        tab = await Tab(server.ws, token="ann").connect()
        assert await tab.closed() == 1013
        assert s.ends == []
        gate.set()
        assert await s.over() == Disconnect(1013, "overloaded, try again later", by_client=False)
        assert s.log == [("came", "ann"), ("went", "ann")]
        await tab.close()


async def test_every_way_of_going_is_told_once_with_code_and_reason() -> None:
    ways = {
        "client": Disconnect(4321, "bye", by_client=True),
        "no code": Disconnect(1005, "", by_client=True),
        "lost": Disconnect(1006, "", by_client=True),
        "server": Disconnect(1000, "that is all", by_client=False),
        "put out": Disconnect(4003, "banned", by_client=False),
    }
    for way, how in ways.items():
        s = Told()
        async with serving(s.app) as server, Tab(server.ws, token="ann") as tab:
            await tab.join("open:a")
            match way:
                case "client":
                    await tab.socket.close(4321, "bye")
                case "no code":
                    tab.socket.transport.write(b"\x88\x80\0\0\0\0")
                case "lost":
                    await tab.drop()
                case "server":
                    connection_of(s.hub, tab).close(reason="that is all")
                case "put out":
                    await s.hub.user("ann").disconnect("banned")
            end = await s.over()
            # Some servers say of a peer without a word what others say of one without a code.
            assert end == how or (way == "lost" and end == ways["no code"]), way
        assert s.log == [("came", "ann"), ("joined", "ann", "a"), ("left", "ann", "open:a"), ("went", "ann")]


async def test_every_way_into_a_room_and_out_is_told_once_and_in_order() -> None:
    s = Told()
    hub = s.hub
    async with serving(s.app) as server, Tab(server.ws, token="ann") as tab:
        connection, user, room = connection_of(hub, tab), hub.user("ann"), hub.room("open:a")

        async def asked_in() -> None:
            await tab.join("open:a")

        async def asked_out() -> None:
            await tab.leave("open:a")

        ways = [
            (asked_in(), asked_out()),
            (connection.join("open:a"), connection.leave("open:a")),
            (user.join("open:a"), user.leave("open:a")),
            (user.join("open:a"), room.remove("ann")),
            (user.join("open:a"), room.close()),
        ]
        for number, (into, out) in enumerate(ways, start=1):
            await into
            await until(lambda: connection.rooms, "it is in")
            await until(lambda n=number: s.log.count(("joined", "ann", "a")) == n, "that is told")
            await asked_in()  # again: it is in, and that is no news
            await out
            await until(lambda n=number: s.log.count(("left", "ann", "open:a")) == n, "that is told too")
        assert s.log[1:] == [("joined", "ann", "a"), ("left", "ann", "open:a")] * len(ways)


@pytest.mark.complains("failed for connection")
async def test_a_hook_that_fails_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    s = Told()

    @s.hub.on_join("open:{name}")
    async def fails(name: str) -> None:
        raise RuntimeError("out of order")

    @s.hub.on_join("open:{name}")
    async def refuses(name: str) -> None:
        raise HTTPException(404, "no such thing")

    @s.hub.on_join("open:{number}")
    def other(number: int) -> None:
        s.log.append(("number", str(number)))

    async with serving(s.app) as server, Tab(server.ws, token="ann") as tab:
        await tab.join("open:7")
        await tab.join("open:a")
        await tab.nothing("error")
        await tab.close()
        await s.over()
    assert ("number", "7") in s.log
    assert s.log[-1] == ("went", "ann")
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert all("fails failed for connection" in error for error in errors)
    warnings = [record.getMessage() for record in caplog.records if record.name == "hubbub.hooks"]
    assert len(warnings) == 2
    assert all("cannot be refused" in warning for warning in warnings)


async def test_a_client_moves_no_faster_than_its_hooks() -> None:
    hub = Hub(auth=Names())
    gate = asyncio.Event()

    @hub.on_join
    async def slow(room: str) -> None:
        await gate.wait()

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.send({"type": "join_room", "room": "open:a"})
        await tab.send({"type": "join_room", "room": "open:b"})
        await tab.receive("room_joined", room="open:a")
        await tab.nothing("room_joined")
        gate.set()
        await tab.receive("room_joined", room="open:b")


@pytest.mark.parametrize("patient", [True, False])
async def test_a_hub_that_stops_waits_for_its_hooks_and_says_where_it_gave_up(
    patient: bool, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub(auth=Names(), limits=Limits(closing=30.0 if patient else 0.2))
    begun, gate = asyncio.Event(), asyncio.Event()
    ended: list[int] = []

    @hub.on_disconnect
    async def slow(how: Disconnect) -> None:
        begun.set()
        await gate.wait()
        assert await hub.user("ann").is_online() is False  # the broker is still there
        ended.append(how.code)

    async with serving(simple(hub)) as server:
        async with Tab(server.ws, token="ann"):
            server.server.should_exit = True
            await begun.wait()
        running = inside(hub)
        await until(lambda: running.stopping, "the hub stops")
        if patient:
            gate.set()
    assert ended == ([1012] if patient else [])
    told = [record.getMessage() for record in caplog.records if record.name == "hubbub.hooks"]
    gave_up = ["the hooks of 1 connections were given up, as they had not ended within 0.2 s"]
    assert told == ([] if patient else gave_up)


@pytest.mark.parametrize("patient", [True, False])
async def test_who_is_through_on_connect_while_the_hub_stops_is_told_as_gone(
    patient: bool, caplog: pytest.LogCaptureFixture
) -> None:
    s = Told(limits=Limits(closing=30.0 if patient else 0.2))
    begun, gate = asyncio.Event(), asyncio.Event()

    @s.hub.on_connect
    async def slow() -> None:
        begun.set()
        await gate.wait()

    @s.hub.on_disconnect
    async def last(how: Disconnect) -> None:
        await asyncio.sleep(0.05)  # it is waited for
        s.log.append(("last", str(how.code)))

    async with serving(s.app) as server:
        tab = await Tab(server.ws, token="ann").connect()
        await begun.wait()
        server.server.should_exit = True
        running = inside(s.hub)
        await until(lambda: running.stopping, "the hub stops")
        if patient:
            assert await tab.closed() == 1012
        else:
            await until(lambda: caplog.records, "it is given up")
        gate.set()
        await tab.close()
    assert s.log == [("came", "ann"), *([("went", "ann"), ("last", "1012")] if patient else [])]
    told = [record.getMessage() for record in caplog.records if record.name == "hubbub.hooks"]
    gave_up = ["the hooks of 1 connections were given up, as they had not ended within 0.2 s"]
    assert told == ([] if patient else gave_up)
    assert len(running.hooks or ()) == 0


async def test_no_more_of_a_user_come_in_together_while_hooks_run_than_one_after_the_other() -> None:
    s = Told(limits=Limits(connections_per_user=1))
    gate = asyncio.Event()

    @s.hub.on_connect
    async def slow() -> None:
        await gate.wait()

    async with serving(s.app) as server:
        tabs = [await Tab(server.ws, token="ann").connect() for _ in range(3)]
        await until(lambda: len(s.log) == 3, "all are being looked at")
        gate.set()
        await until(lambda: len(s.ends) == 2, "two are too many")
        assert [how.code for how in s.ends] == [4004, 4004]
        assert len(inside(s.hub).registry) == 1
        assert len([tab for tab in tabs if tab.received("welcome")]) <= 1
        for tab in tabs:
            await tab.close()


async def test_a_hub_without_hooks_makes_nothing_of_them() -> None:
    hub = Hub(auth=Names())
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.join("open:a")
        assert inside(hub).hooks is None
        assert inside(hub).endpoint.context.hooks is None


async def test_who_is_put_in_while_it_comes_is_in_when_it_has_come(caplog: pytest.LogCaptureFixture) -> None:
    """And of two rooms more than it may be in, the log says so; the client need not know."""
    hub = Hub(auth=Names(), limits=Limits(rooms=1))

    @hub.on_connect
    async def enrol(connection: Connection) -> None:
        await connection.join("open:a")
        await connection.join("open:b")

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.receive("room_joined", room="open:a")
        await tab.nothing("error")
        [told] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert told.endswith("could not be put into room 'open:b': a connection may be in 1 rooms")


async def test_what_cannot_be_declared_is_refused_by_name() -> None:
    hub = Hub(auth=Names())

    async def wants_a_connection(connection: Connection) -> None: ...
    async def wants_a_user(user: User) -> None: ...
    async def takes(edge: Edge) -> None: ...

    for declare in (hub.on_online, hub.on_offline, hub.on_occupied, hub.on_vacated("open:{name}")):
        with pytest.raises(ConfigurationError, match=r"wants_a_connection: 'connection'"):
            declare(wants_a_connection)
    for declare in (hub.on_occupied, hub.on_vacated()):
        with pytest.raises(ConfigurationError, match=r"wants_a_user: 'user'"):
            declare(wants_a_user)
    with pytest.raises(ConfigurationError, match="a room pattern is not empty"):
        hub.on_join("")(takes)
    for declare in (hub.on_connect, hub.on_join):
        with pytest.raises(ConfigurationError, match="'edge'"):
            declare(takes)
    async with hub.running():
        with pytest.raises(ConfigurationError, match="before the hub starts"):
            hub.on_online(takes)
        assert inside(hub).hooks is inside(hub).edges is None


async def test_nothing_is_left_of_a_connection_that_hooks_ran_for() -> None:
    s = Told()
    app: FastAPI = s.app
    async with serving(app) as server:
        async with Tab(server.ws, token="ann") as tab:
            await tab.join("open:a")
        await s.over()
        assert left_behind(s.hub) == {}
