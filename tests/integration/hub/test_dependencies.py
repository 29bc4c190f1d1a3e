"""FastAPI's dependencies in handlers and checks: resolved and closed per message, before the answer."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

import pytest
from fastapi import Cookie, Depends, Header, HTTPException, Path, Query, WebSocket
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from hubbub import Connection, Hub, User
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple


class Say(BaseModel):
    type: Literal["say"] = "say"
    what: Any = None


async def test_a_pool_of_one_connection_serves_many_tabs() -> None:
    """Were a dependency held for the life of a socket, or past its message, the second tab would wait for ever."""
    pool = asyncio.Semaphore(1)
    most = 0

    async def database() -> AsyncIterator[int]:
        nonlocal most
        async with asyncio.timeout(5), pool:
            most += 1
            yield most

    hub = Hub(auth=Names())

    @hub.on(Say)
    async def say(message: Say, number: Annotated[int, Depends(database)]) -> int:
        await asyncio.sleep(0)
        return number

    @hub.rooms("r:{name}")
    async def check(name: str, number: Annotated[int, Depends(database)]) -> bool:
        return number > 0

    async with serving(simple(hub)) as server:
        tabs = [Tab(server.ws, token=f"u{number}") for number in range(8)]
        for tab in tabs:
            await tab.__aenter__()
        try:
            await asyncio.gather(*(tab.join("r:x") for tab in tabs))
            answers = await asyncio.gather(*(tab.request("say") for _ in range(3) for tab in tabs[:1]))
            answers += await asyncio.gather(*(tab.request("say") for tab in tabs))
            assert {each["type"] for each in answers} == {"ack"}
            assert most == 8 + 3 + 8
        finally:
            for tab in tabs:
                await tab.close()


async def test_it_is_closed_before_the_answer_leaves() -> None:
    """The connection's own sends during the handler come first, then the teardown, then the answer."""
    hub = Hub(auth=Names())
    slow = asyncio.Event()
    events: list[str] = []

    async def outer() -> AsyncIterator[str]:
        events.append("outer in")
        yield "outer"
        await slow.wait()
        events.append("outer out")

    def inner(value: Annotated[str, Depends(outer)]) -> Iterator[str]:
        events.append("inner in")
        yield f"inner of {value}"
        events.append("inner out")

    @hub.on(Say)
    async def say(message: Say, value: Annotated[str, Depends(inner)]) -> str:
        events.append("handler")
        return value

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.send({"type": "say", "id": 1})
        await tab.nothing("ack")
        assert events == ["outer in", "inner in", "handler", "inner out"]
        slow.set()
        assert (await tab.receive("ack"))["result"] == "inner of outer"
        assert events[-1] == "outer out"
        await tab.request("say")
        assert events == ["outer in", "inner in", "handler", "inner out", "outer out"] * 2


@pytest.mark.complains("failed for connection")
async def test_a_rollback_sees_the_exception() -> None:
    hub = Hub(auth=Names())
    seen: list[str] = []

    async def transaction() -> AsyncIterator[None]:
        try:
            yield
        except Exception as error:
            seen.append(type(error).__name__)
            raise
        else:
            seen.append("commit")

    async def swallowing() -> AsyncIterator[None]:
        try:
            yield
        except LookupError:
            pass

    @hub.on(Say)
    async def say(message: Say, _: Annotated[None, Depends(transaction)]) -> None:
        match message.what:
            case "http":
                raise HTTPException(403, "not you")
            case "broken":
                raise ZeroDivisionError

    class Swallow(BaseModel):
        type: Literal["swallow"]

    @hub.on(Swallow)
    async def swallow(message: Swallow, _: Annotated[None, Depends(swallowing)]) -> None:
        raise LookupError

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say", what="http"))["code"] == "forbidden"
        assert (await tab.request("say", what="broken"))["code"] == "internal"
        assert (await tab.request("say"))["type"] == "ack"
        assert seen == ["HTTPException", "ZeroDivisionError", "commit"]
        assert (await tab.request("swallow"))["code"] == "internal"


async def test_overrides_of_the_application_hold() -> None:
    hub = Hub(auth=Names())

    async def real() -> str:
        raise AssertionError("the real one was asked")

    async def deep(value: Annotated[str, Depends(real)]) -> str:
        return value

    @hub.on(Say)
    async def say(message: Say, value: Annotated[str, Depends(deep)]) -> str:
        return value

    @hub.rooms("r")
    async def check(value: Annotated[str, Depends(real)]) -> bool:
        return value == "fake"

    app = simple(hub)
    app.dependency_overrides[real] = lambda: "fake"
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say"))["result"] == "fake"
        await tab.join("r")


async def test_a_check_and_its_dependencies_share_the_rooms_parameters() -> None:
    hub = Hub(auth=Names())
    seen: list[Any] = []

    async def team(team_id: int, part: Annotated[str, Path(max_length=3)]) -> str:
        return f"{team_id + 1}/{part}"

    async def nested(value: Annotated[str, Depends(team)]) -> str:
        return f"<{value}>"

    @hub.rooms("team:{team_id}:{part}")
    async def check(team_id: int, part: str, value: Annotated[str, Depends(nested)], user: User) -> bool:
        seen.append((team_id, part, value, user.id))
        return True

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        await tab.join("team:7:abc")
        assert seen == [(7, "abc", "<8/abc>", "ann")]
        refused = await tab.request("join_room", room="team:7:abcd")
        assert (refused["code"], len(seen)) == ("invalid_message", 1)


async def test_the_handshake_is_at_hand() -> None:
    hub = Hub(auth=Names())

    async def about(
        connection: HTTPConnection,
        websocket: WebSocket,
        x_colour: Annotated[str, Header()],
        taste: Annotated[str, Cookie()],
        page: Annotated[int, Query()] = 0,
    ) -> list[Any]:
        return [
            connection.headers["x-colour"],
            connection.cookies["taste"],
            connection.app.state.secret,
            websocket.url.path,
            x_colour,
            taste,
            page,
        ]

    @hub.on(Say)
    async def say(message: Say, value: Annotated[list[Any], Depends(about)], connection: Connection) -> list[Any]:
        return [*value, connection.user.id]

    app = simple(hub)
    app.state.secret = "s3"
    headers = {"X-Colour": "red", "Cookie": "taste=sweet; session=ann"}
    async with (
        serving(app) as server,
        Tab(server.ws, "/ws?page=4", additional_headers=headers, origin=server.url) as tab,
    ):
        answer = await tab.request("say")
        assert answer["result"] == ["red", "sweet", "s3", "/ws", "red", "sweet", 4, "ann"]
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        refused = await tab.request("say")
        assert (refused["code"], refused["field"]) == ("invalid_message", "header.x-colour")


@pytest.mark.complains("failed for connection")
async def test_a_dependency_cannot_take_the_socket() -> None:
    hub = Hub(auth=Names())

    async def greedy(websocket: WebSocket) -> None:
        await websocket.receive_text()

    async def loud(websocket: WebSocket) -> None:
        await websocket.send_text("hello")

    class Loud(BaseModel):
        type: Literal["loud"]

    @hub.on(Say)
    async def say(message: Say, _: Annotated[None, Depends(greedy)]) -> None: ...

    @hub.on(Loud)
    async def shout(message: Loud, _: Annotated[None, Depends(loud)]) -> None: ...

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say"))["code"] == "internal"
        assert (await tab.request("loud"))["code"] == "internal"
        assert [each["type"] for each in tab.log] == ["welcome", "error", "error"]


async def test_a_dependency_is_asked_once_a_message() -> None:
    hub = Hub(auth=Names())
    asked = 0

    async def shared() -> int:
        nonlocal asked
        asked += 1
        return asked

    async def one(value: Annotated[int, Depends(shared)]) -> int:
        return value

    async def two(value: Annotated[int, Depends(shared)]) -> int:
        return value

    @hub.on(Say)
    async def say(
        message: Say,
        a: Annotated[int, Depends(one)],
        b: Annotated[int, Depends(two)],
        c: Annotated[int, Depends(shared, use_cache=False)],
        d: int = Depends(shared),
    ) -> list[int]:
        return [a, b, c, d]

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("say"))["result"] == [1, 1, 2, 1]
        assert (await tab.request("say"))["result"] == [3, 3, 4, 3]
