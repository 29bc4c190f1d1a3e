"""`send(keep=False)`: what is good for this moment alone, in rooms and inboxes that keep the rest."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from hubbub import Connection, Hub, Position, Unavailable
from tests.integration.hub.conftest import Mortal
from tests.integration.hub.histories import KEEP, heard, keeping, say, since
from tests.kit.client import Tab
from tests.kit.serving import Address, Names, serving
from tests.kit.waiting import until

TYPING = {"type": "typing", "by": "ann"}


class Typing(BaseModel):
    type: Literal["typing"] = "typing"
    room: str


class Cursor(BaseModel):
    type: Literal["cursor"] = "cursor"
    room: str


def talking(hub: Hub) -> Any:
    @hub.on(Typing)
    async def typing(message: Typing, connection: Connection) -> Position | None:
        return await connection.room(message.room).send(TYPING, keep=False)

    @hub.on(Cursor)
    def cursor(message: Cursor, connection: Connection) -> Position | None:
        return connection.room(message.room).send_sync({"type": "moved"}, keep=False)

    return keeping(hub)


@pytest.fixture
async def two(valkey: str) -> AsyncIterator[list[tuple[Hub, Address]]]:
    hubs = [Hub(valkey, auth=Names(), inbox=KEEP) for _ in range(2)]
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(talking(hub))) for hub in hubs]
        for hub in hubs:
            await until(lambda hub=hub: hub.ready, "the broker is there")  # type: ignore[misc]
        yield [*zip(hubs, servers, strict=True)]


def seen(tab: Tab) -> list[tuple[Any, Any]]:
    return [(each["n"], each.get("offset")) for each in tab.log if each["type"] in ("m", "e")]


async def test_it_comes_in_order_with_what_is_kept_on_every_worker(two: list[tuple[Hub, Address]]) -> None:
    (left, here), (right, there) = two
    async with Tab(here.ws, token="ann") as ann, Tab(there.ws, token="bob") as bob:
        joined = await ann.join("kept:a")
        await bob.join("kept:a")
        sending = [
            hub.room("kept:a").send({"type": "e" if n % 3 else "m", "n": n}, keep=not n % 3)
            for n, hub in zip(range(40), [left, right] * 20, strict=True)
        ]
        positions = await asyncio.gather(*sending)
        await left.room("kept:a").send({"type": "end"})
        for tab in (ann, bob):
            await tab.receive("end", offset=15)
        assert seen(ann) == seen(bob)
        for hub in range(2):
            # What one worker sent, in the order in which it did.
            assert [n for n, _ in seen(ann) if n % 2 == hub] == [*range(hub, 40, 2)]
        assert [offset for _, offset in seen(ann) if offset] == [*range(1, 15)]
        assert [position is None for position in positions] == [bool(n % 3) for n in range(40)]
        page = await right.room("kept:a").history()
        assert [each["type"] for each in page.messages] == ["m"] * 14 + ["end"]
        assert page.position == Position(joined["epoch"], 15)


@pytest.mark.parametrize("on", ["memory", "valkey"])
async def test_who_comes_back_gets_what_was_kept_and_the_stream_goes_on(valkey: str, on: str) -> None:
    hub = Hub(valkey if on == "valkey" else None, auth=Names())
    async with serving(talking(hub)) as server:
        await until(lambda: hub.ready, "the broker is there")
        async with Tab(server.ws, token="ann") as ann:
            joined = await ann.join("kept:a")
            await say(hub, 1, 2)
            assert await hub.room("kept:a").send(TYPING, keep=False) is None
            assert await heard(ann, 2) == [(1, 1), (2, 2)]
            assert await ann.receive("typing") == {**TYPING, "room": "kept:a"}
        await hub.room("kept:a").send(TYPING, keep=False)
        await say(hub, 3)
        await hub.room("kept:a").send(TYPING, keep=False)
        async with Tab(server.ws, token="ann") as ann, Tab(server.ws, token="bob") as bob:
            again = await ann.join("kept:a", since=since(joined, 1))
            assert (again["epoch"], again["offset"], again["recovered"]) == (joined["epoch"], 3, True)
            assert await heard(ann, 2) == [(2, 2), (3, 3)]
            await bob.join("kept:a")
            for asked, answer in (("typing", TYPING), ("cursor", {"type": "moved"})):
                await bob.send({"type": asked, "room": "kept:a"})
                for tab in (ann, bob):
                    assert await tab.receive(answer["type"]) == {**answer, "room": "kept:a"}
            await say(hub, 4)
            for tab in (ann, bob):
                assert await heard(tab, 1) == [(4, 4)]
            assert not ann.received("gap")


async def test_of_a_users_inbox(two: list[tuple[Hub, Address]]) -> None:
    (left, here), (right, _) = two
    async with Tab(here.ws, token="ann") as ann:
        joined = await ann.join("@me", since={"offset": 0})
        await right.user("ann").send({"type": "m", "n": 1})
        assert await right.user("ann").send(TYPING, keep=False) is None
        await asyncio.to_thread(right.user("ann").send_sync, TYPING, keep=False)
        await right.user("ann").send({"type": "m", "n": 2})
        assert await heard(ann, 1) == [(1, 1)]
        assert [await ann.receive("typing") for _ in range(2)] == [{**TYPING, "room": "@me"}] * 2
        assert await heard(ann, 1) == [(2, 2)]
        page = await left.user("ann").history()
        assert [each["n"] for each in page.messages] == [1, 2]
        assert page.position == Position(joined["epoch"], 2)


async def test_where_nothing_is_kept_it_is_a_message_like_others() -> None:
    hub = Hub(auth=Names())
    async with serving(talking(hub)) as server, Tab(server.ws, token="ann") as ann:
        await ann.join("open:a")
        await hub.room("open:a").send(TYPING, keep=False)
        await hub.user("ann").send(TYPING, keep=False)
        assert [await ann.receive("typing") for _ in range(2)] == [{**TYPING, "room": "open:a"}, TYPING]


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"keep": False, "idempotency_key": "k"}, ValueError, "idempotency_key"),
        ({"keep": None}, TypeError, "keep is True or False, not NoneType"),
        ({"keep": 0}, TypeError, "not int"),
        ({"keep": KEEP}, TypeError, "not History"),
    ],
)
async def test_what_cannot_be_meant_is_refused_and_nothing_is_sent(
    options: dict[str, Any], error: type[Exception], word: str
) -> None:
    hub = Hub(auth=Names())
    async with serving(talking(hub)) as server, Tab(server.ws, token="ann") as ann:
        await ann.join("kept:a")
        for to in (hub.room("kept:a"), hub.user("ann"), hub.each_room(["kept:a"])):
            for patience in (0.0, 1.0):
                with pytest.raises(error, match=word):
                    await to.send(TYPING, patience=patience, **options)
            with pytest.raises(error, match=word):
                await asyncio.to_thread(to.send_sync, TYPING, **options)
        await say(hub, 1)
        assert await heard(ann, 1) == [(1, 1)]
        assert not ann.received("typing")


async def test_it_waits_for_a_broker_that_is_away_and_is_then_sent_at_most_once(
    mortal: Mortal, keys: Callable[[], list[str]]
) -> None:
    hub = Hub(mortal.url, auth=Names())
    async with serving(talking(hub)) as server:
        await until(lambda: hub.ready, "the broker is there")
        async with Tab(server.ws, token="ann") as ann:
            await ann.join("kept:a")
            mortal.kill()
            await until(lambda: not hub.ready, "the broker is known to be away")
            with pytest.raises(Unavailable):
                await hub.room("kept:a").send(TYPING, keep=False)
            waiting = asyncio.ensure_future(hub.room("kept:a").send(TYPING, keep=False, patience=20))
            mortal.start()
            assert await waiting is None
            await ann.receive("typing", within=20)
            assert await hub.room("kept:a").send({"type": "end"}) is not None
            await ann.receive("end")
            assert len(ann.received("typing")) == 1
