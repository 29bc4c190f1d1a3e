"""From threads, `def` routes and handlers, and other event loops: it works, or it is refused and nothing is sent."""

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import httpx
import pytest
from pydantic import BaseModel

from hubbub import ConfigurationError, Connection, ConnectionClosed, History, Hub, HubDep, InvalidMessage, Unavailable
from hubbub.client.publisher import AsyncPublisher
from tests.integration.hub.histories import keeping
from tests.kit.client import Tab
from tests.kit.serving import Names, connection_of, serving
from tests.kit.waiting import until


class Say(BaseModel):
    type: Literal["say"]
    text: str


@pytest.fixture(params=["memory", "redis"])
def broker(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("valkey") if request.param == "redis" else "memory"
    return url


def in_another_loop(work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    asyncio.run(work())


#: Everything that is awaited.
CALLS: dict[str, Callable[[Hub, Connection], Coroutine[Any, Any, Any]]] = {
    "room.send": lambda hub, _: hub.room("kept:a").send({"type": "m"}),
    "room.send patiently": lambda hub, _: hub.room("kept:a").send({"type": "m"}, patience=1),
    "room.history": lambda hub, _: hub.room("kept:a").history(),
    "room.members": lambda hub, _: hub.room("kept:a").members(),
    "room.count": lambda hub, _: hub.room("kept:a").count(),
    "room.close": lambda hub, _: hub.room("kept:a").close(),
    "room.remove": lambda hub, _: hub.room("kept:a").remove("ann"),
    "user.send": lambda hub, _: hub.user("ann").send({"type": "m"}),
    "user.history": lambda hub, _: hub.user("ann").history(),
    "user.is_online": lambda hub, _: hub.user("ann").is_online(),
    "user.connections": lambda hub, _: hub.user("ann").connections(),
    "user.disconnect": lambda hub, _: hub.user("ann").disconnect(),
    "broadcast": lambda hub, _: hub.broadcast({"type": "m"}),
    "stats": lambda hub, _: hub.stats(),
    "lease.turn": lambda hub, _: hub.lease("numbers").turn(),
    "lease.give_up": lambda hub, _: hub.lease("numbers").give_up(),
    "connection.send": lambda _, connection: connection.send({"type": "m"}),
    "connection.room.send": lambda _, connection: connection.room("kept:a").send({"type": "m"}),
    "connection.join": lambda _, connection: connection.join("kept:b"),
    "connection.leave": lambda _, connection: connection.leave("kept:a"),
}


async def test_another_loop_is_refused_by_name_and_nothing_is_sent(broker: str) -> None:
    hub = Hub(broker, auth=Names(), inbox=History(size=10, ttl=60))
    async with serving(keeping(hub)) as server, Tab(server.ws, token="ann") as ann:
        await ann.join("kept:a")
        connection = connection_of(hub, ann)
        for name, call in CALLS.items():
            with pytest.raises(ConfigurationError, match=r"nothing was done.*send_sync.*hub\.run"):
                await asyncio.to_thread(in_another_loop, lambda call=call: call(hub, connection))  # type: ignore[misc]
            assert hub.ready, name
        # What was refused has not gone out, now or with what is sent next; and it has no position.
        position = await hub.room("kept:a").send({"type": "last"})
        assert position is not None
        assert position.offset == 1
        assert (await ann.receive())["type"] == "last"
        assert (await hub.user("ann").history()).messages == []


async def test_all_that_is_awaited_can_be_done_from_a_thread(broker: str) -> None:
    hub = Hub(broker, auth=Names(), inbox=History(size=10, ttl=60))
    async with serving(keeping(hub)) as server, Tab(server.ws, token="ann") as ann:
        await ann.join("kept:a")
        connection = connection_of(hub, ann)
        done: list[str] = []

        def work() -> None:
            for name, call in CALLS.items():
                if name not in ("user.disconnect", "room.close", "room.remove", "connection.leave"):
                    hub.run(call(hub, connection))
                    done.append(name)
            position = hub.room("kept:a").send_sync({"type": "last"}, exclude="bob", idempotency_key="k")
            assert position is not None
            assert position == hub.room("kept:a").send_sync({"type": "last"}, idempotency_key="k", patience=1)
            assert hub.user("ann").send_sync({"type": "letter"}) is not None
            hub.broadcast_sync({"type": "news"})
            connection.send_sync({"type": "for this tab"})
            done.append("last")

        thread = threading.Thread(target=work)
        thread.start()
        for type in ("last", "letter", "news", "for this tab"):
            # In whichever order: what is for a tab alone goes by no broker.
            await until(lambda type=type: ann.received(type), type)  # type: ignore[misc]
        await asyncio.to_thread(thread.join)
        assert done[-1] == "last"


async def test_plain_routes_and_handlers_send() -> None:
    hub = Hub(auth=Names())
    app = keeping(hub)

    @app.post("/plain")
    def plain(hub: HubDep) -> int:
        position = hub.room("kept:a").send_sync({"type": "from a route"})
        return 0 if position is None else position.offset

    @hub.on(Say)
    def say(message: Say, connection: Connection) -> None:
        connection.send_sync({"type": "heard", "text": message.text})
        connection.room("kept:a").send_sync({"type": "said", "text": message.text})
        if message.text == "bye":
            connection.close(reason="bye")

    async with serving(app) as server, Tab(server.ws, token="ann") as ann, httpx.AsyncClient() as http:
        await ann.join("kept:a")
        assert (await http.post(f"{server.url}/plain")).json() == 1
        assert (await ann.receive("from a route"))["offset"] == 1
        await ann.send({"type": "say", "text": "hello"})
        await ann.receive("heard", text="hello")
        await ann.receive("said", text="hello")
        await ann.send({"type": "say", "text": "bye"})
        await ann.receive("said", text="bye")
        await until(lambda: not ann.open, "it was closed")
        assert ann.close_code == 1000


async def test_what_send_raises_send_sync_raises(broker: str) -> None:
    hub = Hub(broker, auth=Names())
    async with serving(keeping(hub)) as server, Tab(server.ws, token="ann") as ann:
        await ann.join("kept:a")
        connection = connection_of(hub, ann)
        for bad, error in (({"no": "type"}, ValueError), ("text", TypeError)):
            for sends in (hub.room("kept:a").send_sync, hub.user("ann").send_sync, connection.send_sync):
                with pytest.raises(error):
                    await asyncio.to_thread(sends, bad)  # type: ignore[arg-type]
        with pytest.raises(InvalidMessage):
            await asyncio.to_thread(lambda: hub.room("\n").send_sync({"type": "m"}))
        connection.close()
        with pytest.raises(ConnectionClosed):
            await asyncio.to_thread(connection.send_sync, {"type": "m"})


async def test_in_the_loop_itself_it_would_wait_for_itself_and_says_so() -> None:
    hub = Hub(auth=Names())
    async with serving(keeping(hub)) as server, Tab(server.ws, token="ann") as ann:
        await ann.join("kept:a")
        with pytest.raises(ConfigurationError, match=r"await Room\.send"):
            hub.room("kept:a").send_sync({"type": "m"})
        with pytest.raises(ConfigurationError, match=r"await UserHandle\.send"):
            hub.user("ann").send_sync({"type": "m"})
        with pytest.raises(ConfigurationError, match=r"await Hub\.broadcast"):
            hub.broadcast_sync({"type": "m"})
        with pytest.raises(ConfigurationError, match=r"await Connection\.send"):
            connection_of(hub, ann).send_sync({"type": "m"})
        with pytest.raises(ConfigurationError, match=r"await Hub\.stats"):
            hub.run(hub.stats())
        await hub.broadcast({"type": "only this"})
        assert (await ann.receive())["type"] == "only this"


async def test_a_thread_waits_for_so_long_and_not_for_a_loop_that_is_gone() -> None:
    hub = Hub(auth=Names())
    await hub.start()
    room = hub.room("a")
    released = asyncio.Event()
    with pytest.raises(Unavailable, match=r"0\.05 s"):
        await asyncio.to_thread(lambda: hub.run(released.wait(), timeout=0.05))

    async def ends() -> None:
        raise asyncio.CancelledError

    async def too_late() -> None:
        raise TimeoutError("its own")

    with pytest.raises(Unavailable, match="ended meanwhile"):
        await asyncio.to_thread(lambda: hub.run(ends()))
    with pytest.raises(TimeoutError, match="its own"):
        await asyncio.to_thread(lambda: hub.run(too_late()))
    await hub.stop()
    with pytest.raises(Unavailable):
        await asyncio.to_thread(room.send_sync, {"type": "m"})
    with pytest.raises(ConfigurationError, match="not running"):
        await asyncio.to_thread(lambda: hub.run(released.wait()))


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, None, "1"])
async def test_what_is_no_time_to_wait_is_refused_before_anything_is_done(timeout: Any) -> None:
    hub = Hub(auth=Names())
    async with serving(keeping(hub)) as server, Tab(server.ws, token="ann") as ann:
        await ann.join("kept:a")
        connection, work = connection_of(hub, ann), hub.room("kept:a").send({"type": "m"})
        for call in (
            lambda: hub.room("kept:a").send_sync({"type": "m"}, timeout=timeout),
            lambda: hub.user("ann").send_sync({"type": "m"}, timeout=timeout),
            lambda: hub.broadcast_sync({"type": "m"}, timeout=timeout),
            lambda: connection.send_sync({"type": "m"}, timeout=timeout),
            lambda: hub.run(work, timeout=timeout),
            lambda: hub.room("kept:a").send_sync({"type": "m"}, patience=None),  # type: ignore[arg-type]
        ):
            with pytest.raises(ValueError, match="timeout"):
                await asyncio.to_thread(call)
        await asyncio.to_thread(lambda: hub.room("kept:a").send_sync({"type": "only this"}, patience=math.inf))
        assert (await ann.receive("only this"))["type"] == "only this"
        assert not ann.received("m")


def test_a_hub_whose_loop_has_ended_says_so() -> None:
    hub = Hub()

    async def begin() -> Any:
        await hub.start()
        room = hub.room("a")
        await hub.stop()
        return room

    room = asyncio.run(begin())
    with pytest.raises(ConfigurationError, match="does not run"):
        room.send_sync({"type": "m"})


async def test_an_async_publisher_belongs_to_its_loop(valkey: str) -> None:
    hub = Hub(valkey, auth=Names())
    async with (
        serving(keeping(hub)) as server,
        Tab(server.ws, token="ann") as ann,
        AsyncPublisher(valkey) as publisher,
    ):
        await ann.join("kept:a")
        with pytest.raises(ConfigurationError, match=r"nothing was done.*threads a Publisher"):
            await asyncio.to_thread(in_another_loop, lambda: publisher.room("kept:a").send({"type": "m"}))  # type: ignore[arg-type]
        await publisher.room("kept:a").send({"type": "last"})
        assert (await ann.receive())["offset"] == 1
