"""Rooms without number, of the same name, and full of people who come and go."""

import asyncio
import contextlib
import gc
import itertools
import random
from collections.abc import Callable, Collection

import pytest

from hubbub import Hub, Limits, Rate
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.ports.metrics import Count, Tally
from hubbub.rooms import declared, handles
from hubbub.testing import Node, Refusal, Tab
from tests.kit.inside import inside
from tests.kit.serving import Names, at_rest
from tests.kit.waiting import until

#: So fast nobody is; the rate has its own tests.
UNHURRIED = Rate(messages=1e6, burst=10**6)


def hub_of(make: Callable[..., Hub] = Hub, **options: object) -> Hub:
    hub = make(auth=Names(), rate=UNHURRIED, **options)

    @hub.rooms("open:{name}", presence=True)
    async def anybody(name: str) -> bool:
        return True

    return hub


def rooms_of(hub: Hub) -> Collection[str]:
    return inside(hub).registry.entries[2]


# Row 33.


async def test_of_two_tenants_with_the_same_rooms_none_hears_the_other() -> None:
    """Names that would meet where keys are put together by hand: a part of the one is the beginning of the other."""
    rooms = ["open:a", "open:a}", "open:{a}", "open:*"]
    tenants = ["acme", "acme:room", "acme}", "*"]
    with EmbeddedValkey() as valkey:
        async with contextlib.AsyncExitStack() as stack:
            hubs = [hub_of(lambda name=name, **said: Hub(valkey.url, name=name, **said)) for name in tenants]
            tabs = []
            for hub in hubs:
                node = await stack.enter_async_context(Node(hub))
                await until(lambda hub=hub: hub.ready, "in touch")  # type: ignore[misc]
                tab = await stack.enter_async_context(Tab(node, "ann"))
                for room in rooms:
                    await tab.join(room)
                tabs.append(tab)
            for number in range(100):
                await asyncio.gather(
                    *(
                        hub.room(room).send({"type": "said", "tenant": name, "number": number})
                        for hub, name in zip(hubs, tenants, strict=True)
                        for room in rooms
                    ),
                    *(
                        hub.user("ann").send({"type": "said", "tenant": n})
                        for hub, n in zip(hubs, tenants, strict=True)
                    ),
                )
            for tab, name in zip(tabs, tenants, strict=True):
                await until(lambda tab=tab: len(tab.received("said")) >= 500, "all has come")  # type: ignore[misc]
                assert {said["tenant"] for said in tab.received("said")} == {name}
                assert len(tab.received("said")) == 500


# Row 34.


async def test_ten_thousand_joins_of_one_connection() -> None:
    hub = hub_of(limits=Limits(rooms=128))
    async with Node(hub) as node, Tab(node, "ann") as ann:
        for number in range(128):
            await ann.join(f"open:{number}")
        for number in range(128, 10_000):
            with pytest.raises(Refusal, match=r"too_many_rooms|rate_limited"):
                await ann.join(f"open:{number}")
        assert len(rooms_of(hub)) == 128
        await ann.close()
        await at_rest(hub)


# Row 35.


async def test_rooms_that_come_and_go_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (handles, declared):  # what is remembered of names is soon as much as may be
        monkeypatch.setattr(module, "KNOWN" if module is handles else "_KNOWN", 64)
    hub = hub_of()
    async with Node(hub) as node, Tab(node, "ann") as ann:
        alone = inside(hub).parts.left_over() | {"handing": 1}  # what she was handed, while she is there

        async def cycles(first: int, several: int) -> int:
            for number in range(first, first + several):
                await ann.join(f"open:{number}")
                await ann.leave(f"open:{number}")
            assert not rooms_of(hub)
            await until(lambda: inside(hub).parts.left_over() == alone, "the topics are given up")
            gc.collect()
            modules = [str(type(each).__module__) for each in gc.get_objects()]
            return sum(name.startswith("hubbub.") and not name.startswith("hubbub.testing") for name in modules)

        before = await cycles(0, 200)
        assert await cycles(1_000, 1_000) - before < 200
        await ann.close()
        await at_rest(hub)


# Rows 37 and 38.


async def test_a_storm_of_joins_in_the_midst_of_what_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    """Who stays gets everything in order, and nothing is changed under the hands of who counts the members."""
    chance = random.Random(7)
    hub = hub_of()
    over = False
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(Node(hub))
        ann = await stack.enter_async_context(Tab(node, "ann"))
        await ann.join("open:a")

        async def restless(number: int) -> None:
            while not over:
                async with Tab(node, f"u{number}") as tab:
                    for _ in range(chance.randrange(1, 5)):
                        await tab.join("open:a")
                        if chance.random() < 0.5:
                            await tab.leave("open:a")
                    if chance.random() < 0.3:
                        await tab.drop()

        storm = [asyncio.create_task(restless(number)) for number in range(20)]
        for number in range(200):
            await hub.room("open:a").send({"type": "said", "number": number})
            await hub.broadcast({"type": "all", "number": number})
            await hub.room("open:a").members()
            if number % 10 == 0:
                await asyncio.sleep(0)
        over = True
        await asyncio.gather(*storm)
        await ann.receive("all", number=199)
        for kind in ("said", "all"):
            assert [each["number"] for each in ann.received(kind)] == list(range(200))
        joined = [each["user"] for each in ann.received("user_joined_room")]
        left = [each["user"] for each in ann.received("user_left_room")]
        assert sorted(joined) == sorted(left)
        await ann.close()
        await at_rest(hub)
    assert not [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"} or record.exc_info]


async def test_one_that_takes_nothing_delays_nobody() -> None:
    """By turns and not by time: whoever sends never waits for a member, and the others have it before it returns."""
    hub = hub_of(limits=Limits(outbox=60_000, payload=20_000))
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(Node(hub))
        tabs = [await stack.enter_async_context(Tab(node, f"u{number}")) for number in range(100)]
        for tab in tabs:
            await tab.join("open:a")
        tabs[50].stall()
        sent = itertools.count()
        assert isinstance(hub.metrics, Tally)
        while not hub.metrics.counts[Count.SLOW]:
            number = next(sent)
            await hub.room("open:a").send({"type": "said", "number": number, "fill": "x" * 10_000})
            await tabs[0].receive("said", number=number)
            for tab in (*tabs[:50], *tabs[51:]):
                assert tab.received("said")[-1]["number"] == number
            assert number < 20
