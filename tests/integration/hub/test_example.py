"""Section "What using it feels like" of the design, as an application would write it."""

import logging
from collections.abc import AsyncIterator
from typing import Annotated, Literal

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Path
from pydantic import BaseModel, Field

from hubbub import ConfigurationError, Connection, Hub, HubDep, JWTAuth, Limits, NotJoined, User
from tests.kit.client import Tab
from tests.kit.serving import Names, serving

KEY = "k" * 32
AUTH = JWTAuth(key=KEY, audience="shop")


class Session:
    async def is_member(self, user: str, team: int) -> bool:
        return user != "mallory" and isinstance(team, int)


async def get_db() -> AsyncIterator[Session]:
    yield Session()


class RoomMessage(BaseModel):
    type: Literal["room_message"] = "room_message"
    room: str
    content: str


def example() -> FastAPI:
    hub = Hub(auth=JWTAuth(key=KEY, audience="shop"))
    app = FastAPI()
    app.include_router(hub.router)

    @hub.rooms("team:{team_id}", presence=True)
    async def may_join(team_id: int, user: User, db: Annotated[Session, Depends(get_db)]) -> bool:
        return await db.is_member(user.id, team_id)

    @hub.on(RoomMessage)
    async def room_message(message: RoomMessage, connection: Connection) -> None:
        await connection.room(message.room).send(
            {"type": "room_message", "from": connection.user.id, "content": message.content}
        )

    @app.post("/orders/{order_id}/ship")
    async def ship(order_id: int, hub: HubDep) -> None:
        await hub.user("alice").send({"type": "order_shipped", "order": order_id})

    return app


async def test_the_example_does_what_it_says() -> None:
    async with (
        serving(example()) as server,
        Tab(server.ws, token=AUTH.sign("alice")) as alice,
        Tab(server.ws, token=AUTH.sign("bob")) as bob,
        Tab(server.ws, token=AUTH.sign("mallory")) as mallory,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        assert await alice.join("team:7") == {
            "type": "room_joined",
            "room": "team:7",
            "members": ["alice"],
            "id": "q1",
        }
        assert (await bob.join("team:7"))["members"] == ["alice", "bob"]
        assert await alice.receive() == {"type": "user_joined_room", "room": "team:7", "user": "bob"}
        refused = await mallory.request("join_room", room="team:7")
        assert (refused["type"], refused["code"], refused["field"]) == ("error", "forbidden", "room")
        refused = await mallory.request("room_message", room="team:7", content="hello")
        assert (refused["type"], refused["code"]) == ("error", "not_joined")
        await alice.send({"type": "room_message", "room": "team:7", "content": "hello"})
        for tab in (alice, bob):
            assert await tab.receive() == {
                "type": "room_message",
                "from": "alice",
                "content": "hello",
                "room": "team:7",
            }
        assert (await http.post("/orders/42/ship")).status_code == 200
        assert await alice.receive() == {"type": "order_shipped", "order": 42}
        await bob.nothing()
        await mallory.nothing()


async def test_what_is_no_name_of_a_room_is_unknown() -> None:
    async with serving(example()) as server, Tab(server.ws, token=AUTH.sign("alice")) as tab:
        for room in ("team:7.0", "team:+7", "team:07", "team:x", "team:", "team:7:8", "team: 7", "team:\u0667", "club"):
            refused = await tab.request("join_room", room=room)
            assert (refused["code"], refused["field"]) == ("unknown_room", "room"), room


async def test_a_constraint_of_a_parameter_is_part_of_the_pattern() -> None:
    hub = Hub(auth=Names())
    app = FastAPI()
    app.include_router(hub.router)

    @hub.rooms("field:{number}")
    async def by_pydantic(number: Annotated[int, Field(gt=0)]) -> bool:
        return number > 0

    @hub.rooms("path:{number}")
    async def by_fastapi(number: Annotated[int, Path(gt=0)]) -> bool:
        return number > 0

    async with serving(app) as server, Tab(server.ws, token="ann") as ann:
        for kind in ("field", "path"):
            await ann.join(f"{kind}:5")
            refused = await ann.request("join_room", room=f"{kind}:-5")
            assert (refused["code"], refused["field"]) == ("unknown_room", "room")


async def test_patterns_are_tried_in_order_and_the_default_is_no() -> None:
    hub = Hub(auth=Names())
    asked: list[tuple[str, object]] = []

    @hub.rooms("a:{name}")
    async def first(name: str) -> bool:
        asked.append(("first", name))
        return True

    @hub.rooms("a:{rest:path}")
    def second(rest: str) -> bool:  # in a thread
        asked.append(("second", rest))
        return rest != "no/way"

    @hub.rooms("n:{number}")
    async def third(number: int, connection: Connection) -> bool:
        asked.append(("third", number))
        return connection.user.id == "ann"

    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        for room in ("a:x", "a:x/y:z", "n:7"):
            await tab.join(room)
        assert (await tab.request("join_room", room="a:no/way"))["code"] == "forbidden"
        for room in ("b:x", "a", "@you", "A:x"):
            assert (await tab.request("join_room", room=room))["code"] == "unknown_room"
        assert (await tab.join("@me")).keys() == {"type", "room", "id"}  # the hub's own, which nobody is asked about
        assert asked == [("first", "x"), ("second", "x/y:z"), ("third", 7), ("second", "no/way")]
        for bad in ("", "x\n", "x" * 129, 7, None):
            refused = await tab.request("join_room", room=bad)
            assert (refused["code"], refused["field"]) == ("invalid_message", "room")


@pytest.mark.complains("failed for connection")
async def test_what_a_check_raises_becomes_an_error(caplog: pytest.LogCaptureFixture) -> None:
    # A machine that stands still is no handler that holds the loop.
    hub = Hub(auth=Names(), limits=Limits(blocking=60))

    def door(name: str) -> None:
        if name.isdecimal():
            raise HTTPException(int(name), "because", {"retry-after": "3"})

    @hub.rooms("in:{name}")
    async def inside(name: str, _: Annotated[None, Depends(door)]) -> bool:
        if name == "broken":
            raise ZeroDivisionError("the secret of the check")
        return True

    app = FastAPI()
    app.include_router(hub.router)
    codes = {
        400: "invalid_message",
        401: "unauthorized",
        402: "refused",
        403: "forbidden",
        404: "not_found",
        409: "conflict",
        422: "invalid_message",
        429: "rate_limited",
        499: "refused",
        503: "unavailable",
    }
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        for status, code in codes.items():
            answer = await tab.request("join_room", room=f"in:{status}")
            assert (answer["code"], answer["message"], answer["retry_after"]) == (code, "because", 3000)
        caplog.clear()
        for room in ("in:500", "in:broken"):
            answer = await tab.request("join_room", room=room)
            assert answer == {"type": "error", "code": "internal", "message": "internal error", "id": answer["id"]}
        logged = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert [record.name for record in logged] == ["hubbub.dispatch"] * 2
        assert all(tab.welcome["connection"] in record.getMessage() for record in logged)
        assert all("inside failed" in record.getMessage() and record.exc_info for record in logged)
        await tab.join("in:order")


@pytest.mark.parametrize("pattern", ["", "{", "a}", "{a}{a}", "{1}", "{a:int}", "{}"])
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError):
        Hub().rooms(pattern)(lambda: True)


async def test_presence_is_an_option_of_the_room() -> None:
    hub = Hub(auth=Names())
    for pattern, presence in (("loud", True), ("quiet", False)):

        @hub.rooms(pattern, presence=presence)
        async def anybody() -> bool:
            return True

    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="ann") as ann, Tab(server.ws, token="bob") as bob:
        assert "members" not in await ann.join("quiet")
        assert "members" not in await bob.join("quiet")
        await ann.nothing()
        assert (await ann.join("loud"))["members"] == ["ann"]
        assert (await bob.join("loud"))["members"] == ["ann", "bob"]
        assert (await ann.receive())["type"] == "user_joined_room"
        assert await hub.room("loud").members() == ["ann", "bob"]
        assert await hub.room("quiet").members() == []


async def test_joining_without_being_asked() -> None:
    """`connection.join` asks no check; `connection.room` is there for members only."""
    hub = Hub(auth=Names())

    class Go(BaseModel):
        type: Literal["go"]
        room: str

    @hub.on(Go)
    async def go(message: Go, connection: Connection) -> list[str]:
        await connection.join(message.room)
        joined = sorted(connection.rooms)
        await connection.leave(message.room)
        with pytest.raises(NotJoined):
            connection.room(message.room)
        with pytest.raises(NotJoined):
            await connection.leave(message.room)
        return joined

    app = FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server, Tab(server.ws, token="ann") as tab:
        assert (await tab.request("go", room="anything"))["result"] == ["anything"]
        assert [each["type"] for each in tab.log] == ["welcome", "room_joined", "room_left", "ack"]
        assert (await tab.request("go", room="@me"))["code"] == "unknown_room"
        assert (await tab.request("leave_room", room="anything"))["code"] == "not_joined"
