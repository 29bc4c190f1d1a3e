"""`hub.room`, `hub.user` and `hub.broadcast`, from routes and services, on one node and on two that share a Valkey."""

import contextlib
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends
from pydantic import BaseModel, RootModel

from hubbub import Hub, HubDep, InvalidMessage, Limits, User
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Address, Names, at_rest, connection_of, serving, simple
from tests.kit.waiting import until


@dataclass
class Two:
    """Two nodes of one hub. `left` and `right` are their hubs."""

    left: Hub
    right: Hub
    servers: list[Address]

    def tab(self, node: int, user: str) -> Tab:
        return Tab(self.servers[node].ws, token=user)


@pytest.fixture
async def two(valkey: str) -> AsyncIterator[Two]:
    hubs = [Hub(valkey, auth=Names()) for _ in range(2)]
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(simple(hub))) for hub in hubs]
        for hub in hubs:
            await until(lambda hub=hub: hub.ready, "the broker is there")  # type: ignore[misc]
            inside(hub)
        yield Two(hubs[0], hubs[1], servers)


class Mailer:
    """A service of the application's, which has never heard of a request."""

    def __init__(self, hub: HubDep) -> None:
        self.hub = hub

    async def tell(self, who: str) -> None:
        await self.hub.user(who).send({"type": "mail"})


async def test_from_routes_and_services() -> None:
    hub = Hub(auth=Names())
    app = simple(hub)

    @app.post("/room")
    async def room(hub: HubDep) -> dict[str, Any]:
        return {"position": await hub.room("open:a").send({"type": "in room"})}

    @app.post("/all")
    async def everyone(hub: HubDep) -> None:
        await hub.broadcast({"type": "to all"})

    @app.post("/mail/{who}")
    async def mail(who: str, mailer: Annotated[Mailer, Depends()]) -> None:
        await mailer.tell(who)

    async with (
        serving(app) as server,
        Tab(server.ws, token="ann") as ann,
        Tab(server.ws, token="bob") as bob,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        await ann.join("open:a")
        assert (await http.post("/room")).json() == {"position": None}
        assert await ann.receive() == {"type": "in room", "room": "open:a"}
        await http.post("/all")
        assert await ann.receive() == await bob.receive() == {"type": "to all"}
        await http.post("/mail/bob")
        assert await bob.receive() == {"type": "mail"}
        assert (await http.post("/mail/nobody")).status_code == 200
        await ann.nothing()


async def test_exclude_on_two_nodes(two: Two) -> None:
    async with (
        two.tab(0, "ann") as ann,
        two.tab(1, "ann") as second,
        two.tab(0, "bob") as bob,
        two.tab(1, "cid") as cid,
    ):
        tabs = {"ann": ann, "ann2": second, "bob": bob, "cid": cid}
        for tab in tabs.values():
            await tab.join("open:a")
        for tab in tabs.values():
            await tab.nothing("message", during=0.05)
        that = connection_of(two.left, ann)
        number = 0

        async def check(exclude: Any, receive: set[str]) -> None:
            nonlocal number
            for send in (two.left.room("open:a").send, two.right.room("open:a").send, two.left.broadcast):
                number += 1
                await send({"type": "message", "number": number}, exclude=exclude)
            last = number
            await two.left.broadcast({"type": "end", "number": last})
            for name, tab in tabs.items():
                await tab.receive("end", number=last)
                got = [each["number"] for each in tab.received("message") if each["number"] > last - 3]
                assert got == ([last - 2, last - 1, last] if name in receive else []), (name, exclude)

        await check(None, {"ann", "ann2", "bob", "cid"})
        await check((), {"ann", "ann2", "bob", "cid"})
        await check(that, {"ann2", "bob", "cid"})
        await check(that.user, {"bob", "cid"})
        await check("ann", {"bob", "cid"})
        await check([that, "cid"], {"ann2", "bob"})
        await check({that.user, User(that.user.id), "bob"}, {"cid"})
        await check("nobody", {"ann", "ann2", "bob", "cid"})
        await two.right.user("ann").send({"type": "own"}, exclude=that)
        await second.receive("own")
        await ann.nothing("own")
        with pytest.raises(TypeError, match="exclude"):
            await two.left.broadcast({"type": "x"}, exclude=[7])  # type: ignore[list-item]


async def test_the_whole_cluster_is_seen_from_each_node(two: Two) -> None:
    async with two.tab(0, "ann") as ann, two.tab(1, "ann") as second, two.tab(1, "bob") as bob:
        for tab in (ann, second, bob):
            await tab.join("open:a")
        ids = sorted(tab.welcome["connection"] for tab in (ann, second))
        assert {ann.node, second.node} == {two.left.node, two.right.node}
        for hub in (two.left, two.right):
            room = hub.room("open:a")
            assert await room.members() == ["ann", "bob"]
            assert await room.count() == 2
            assert await hub.user("ann").is_online()
            assert not await hub.user("cid").is_online()
            assert await hub.user("ann").connections() == ids
        await two.left.user("ann").disconnect("for a reason")
        for tab in (ann, second):
            assert await tab.closed() == 4003
            assert tab.socket.protocol.close_reason == "for a reason"
        assert (await bob.receive("user_left_room"))["user"] == "ann"
        assert await two.right.room("open:a").members() == ["bob"]
        await until(lambda: len(inside(two.left).registry) == 0, "gone")
        assert not await two.right.user("ann").is_online()
        assert await two.right.user("ann").connections() == []
        await bob.nothing()


async def test_a_room_is_closed_and_a_user_removed_everywhere(two: Two) -> None:
    async with two.tab(0, "ann") as ann, two.tab(1, "ann") as second, two.tab(1, "bob") as bob:
        for tab in (ann, second, bob):
            await tab.join("open:a")
            await tab.join("open:b")
        await two.left.room("open:a").remove("ann", "enough")
        for tab in (ann, second):
            assert await tab.receive("room_left") == {"type": "room_left", "room": "open:a", "reason": "enough"}
        assert (await bob.receive("user_left_room"))["user"] == "ann"
        assert await two.left.room("open:a").members() == ["bob"]
        assert (await ann.request("leave_room", room="open:a"))["code"] == "not_joined"
        assert (await ann.join("open:a"))["members"] == ["ann", "bob"]
        await two.right.room("open:a").close("closing time")
        for tab in (ann, bob):
            assert (await tab.receive("room_left"))["reason"] == "closing time"
        for hub in (two.left, two.right):
            await until(lambda hub=hub: not inside(hub).registry.members("open:a"), "empty")  # type: ignore[misc]
        await two.left.room("open:a").send({"type": "into the void"})
        for tab in (ann, second, bob):
            await tab.nothing("into the void", during=0.1)
        assert await two.left.room("open:a").members() == []
        assert await two.left.room("open:a").count() == 0
        assert await two.left.room("open:b").members() == ["ann", "bob"]
        assert not second.received("room_left")[1:]
    for hub in (two.left, two.right):
        await at_rest(hub)


async def test_one_order_for_all(two: Two) -> None:
    async with two.tab(0, "ann") as ann, two.tab(1, "bob") as bob:
        for tab in (ann, bob):
            await tab.join("open:a")
        for number in range(100):
            await (two.left, two.right)[number % 2].room("open:a").send({"type": "n", "number": number})
        for tab in (ann, bob):
            await tab.receive("n", number=99)
        assert ann.received("n") == bob.received("n")
        assert len(ann.received("n")) == 100


class Model(BaseModel):
    type: str = "model"
    ratio: float = 0.5


async def test_what_cannot_be_sent_fails_at_the_sender_and_nobody_loses_anything() -> None:
    hub = Hub(auth=Names(), limits=Limits(payload=1000, outbox=10_000))
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as ann, Tab(server.ws, token="bob") as bob:
        await ann.join("open:a")
        await bob.join("open:a")
        room, connection = hub.room("open:a"), connection_of(hub, ann)
        bad: list[Any] = [
            {"type": "ack"},
            {"type": "user_joined_room"},
            {"no": "type"},
            {"type": 7},
            {"type": "x", "n": math.nan},
            {"type": "x", "n": -math.inf},
            {"type": "x", "text": "\ud83d"},
            {"type": "x", "\udc00": 1},
            {"type": "x", "object": object()},
            {"type": "x", "big": "x" * 1000},
        ]
        for send in (room.send, hub.user("ann").send, hub.broadcast, connection.send):
            for message in bad:
                with pytest.raises(ValueError, match=r"."):
                    await send(message)
            with pytest.raises(TypeError):
                await send([1])  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                await send(RootModel[list[int]]([1]))
        for message in ({"type": "x", "room": "open:b"}, {"type": "x", "offset": 1}, {"type": "x", "room": None}):
            with pytest.raises(ValueError, match=r"`(room|offset)`"):
                await room.send(message)
        await room.send({"type": "x", "room": "open:a"})
        await room.send(Model())
        for tab in (ann, bob):
            messages = [await tab.receive(type) for type in ("x", "model")]
            assert messages[1] == {"type": "model", "ratio": 0.5, "room": "open:a"}
            assert not {"user_left_room"} & {each["type"] for each in tab.log}
            await tab.nothing(during=0.05)


async def test_a_bad_name_is_refused() -> None:
    hub = Hub(auth=Names())
    async with serving(simple(hub)):
        for name in ("", "x" * 129, "a\nb", "\ud800"):
            with pytest.raises(InvalidMessage):
                hub.room(name)
            with pytest.raises(InvalidMessage):
                hub.user(name)
        assert "open:a" in repr(hub.room("open:a"))
        assert "ann" in repr(hub.user("ann"))


@pytest.mark.parametrize("reason", ["a\ud800b" * 100, "\udfff", "é" * 2_000_000, "x" * 2_000_000])
async def test_a_reason_is_cut_to_what_can_be_told(reason: str) -> None:
    hub = Hub(auth=Names())
    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as ann, Tab(server.ws, token="bob") as bob:
        for tab in (ann, bob):
            await tab.join("open:a")
        room = hub.room("open:a")

        def is_cut(told: str) -> bool:
            wanted = reason.encode("utf-8", "replace").decode()
            return 0 < len(told.encode()) <= 123 and wanted.startswith(told) and len(told) >= min(61, len(wanted))

        await room.remove("ann", reason)
        assert is_cut((await ann.receive("room_left"))["reason"])
        await room.close(reason)
        assert is_cut((await bob.receive("room_left"))["reason"])
        await hub.user("ann").disconnect(reason)
        assert await ann.closed() == 4003
        assert is_cut(ann.socket.protocol.close_reason or "")
        assert (await bob.request("ping"))["type"] == "pong"
        connection_of(hub, bob).close(reason=reason)
        assert await bob.closed() == 1000
        assert is_cut(bob.socket.protocol.close_reason or "")
        await at_rest(hub)
