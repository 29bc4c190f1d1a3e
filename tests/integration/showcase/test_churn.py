"""Two hundred connections on three workers join, talk, leave and vanish at random; then nothing may be left.

What makes "the members of that moment" exact: all members of a room see one order. Observers who are there throughout
have the whole of it. A tab marks both ends of each of its stays with a message of its own, so what it received in
between must be one unbroken slice of that order, which reaches at least from its first mark to its last.
"""

import asyncio
import itertools
import os
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.testing.ledger import Got, Stint
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.waiting import tries, wait_for

SECONDS = float(os.environ.get("CHURN_SECONDS", "30"))
TABS = 200
#: Fewer stays would prove nothing: on a machine that has other things to do it takes longer to see as many.
ENOUGH = TABS * SECONDS / 20
ROOMS = [f"room-{number}" for number in range(12)]

APP = """
import asyncio, os
from hubbub.hub.current import HubDep
from hubbub.showcase.app import create_app

app = create_app()

@app.get("/internals")
async def internals(hub: HubDep) -> dict:
    running = hub._life.runtime
    return {
        "node": hub.node,
        "tasks": len(asyncio.all_tasks()) - 1,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "registry": len(running.registry),
        "presence": len(running.parts.presence),
        "subscriptions": len(running.parts.subscriptions),
        "timers": len(running.parts.waker),
        "paused": len(running.parts.fanout),
    }
"""


@dataclass
class Stay:
    """A stint of one tab, and how much of the order it must at least span."""

    stint: Stint
    first_mark: str
    last_mark: str | None = None
    """None where the tab vanished."""

    @property
    def received(self) -> list[str]:
        return contents(line.message for line in self.stint.lines if isinstance(line, Got))


def contents(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    return [each["content"] for each in messages if each["type"] == "room_message"]


async def say(tab: Tab, room: str, text: str) -> None:
    """Send, and wait until it has come back."""
    await tab.send({"type": "room_message", "room": room, "content": text})
    await tab.receive("room_message", room=room, content=text)


async def live(user: str, server: Served, stays: list[Stay], chance: random.Random, until: float) -> None:
    numbers = itertools.count(1)

    def mark() -> str:
        return f"{user}/{next(numbers)}"

    def over() -> bool:
        return time.monotonic() > until and len(stays) > ENOUGH

    while not over():
        async with Tab(server.ws, user=user) as tab:
            for _ in range(chance.randint(1, 4)):
                if over():
                    break
                room = chance.choice(ROOMS)
                await tab.join(room)
                stay = Stay(tab.ledger.stints[room][-1], mark())
                await say(tab, room, stay.first_mark)
                for _ in range(chance.randint(0, 3)):
                    await asyncio.sleep(chance.uniform(0.2, 1.5))
                    await tab.send({"type": "room_message", "room": room, "content": mark()})
                stays.append(stay)
                if chance.random() < 0.15:
                    await tab.drop()
                    break
                stay.last_mark = mark()
                await say(tab, room, stay.last_mark)
                left = await tab.request("leave_room", room=room)
                assert left["type"] == "room_left", left
                await tab.send({"type": "ping", "ts": stay.last_mark})
                await tab.receive("pong", ts=stay.last_mark)
                assert tab.ledger.strays == [], "after room_left"


async def observe(user: str, server: Served) -> Tab:
    tab = await Tab(server.ws, user=user).connect()
    await tab.receive("welcome")
    for room in ROOMS:
        await tab.join(room)
    return tab


def check_slice(stay: Stay, order: list[str], place: dict[str, int]) -> None:
    start = place[stay.received[0]] if stay.received else 0
    expected = order[start : start + len(stay.received)]
    assert stay.received == expected, f"{stay} is not a slice of {expected}"
    # A tab that vanished may have gone before its own words came back.
    if stay.received:
        assert start <= place[stay.first_mark]
    if stay.last_mark is not None:
        assert start + len(stay.received) > place[stay.last_mark], f"{stay} ends too early"


def check_notices(log: list[dict[str, Any]]) -> None:
    """Whoever joins was not there, whoever leaves was, and in the end nobody is left but the observers."""
    present: dict[str, set[str]] = defaultdict(set)
    for each in log:
        if each["type"] == "user_joined_room" and not each["user"].startswith("observer"):
            assert each["user"] not in present[each["room"]], each
            present[each["room"]].add(each["user"])
        if each["type"] == "user_left_room" and not each["user"].startswith("observer"):
            assert each["user"] in present[each["room"]], each
            present[each["room"]].remove(each["user"])
    assert not any(present.values()), present


@pytest.fixture(scope="module")
def valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 240)
async def test_every_message_reaches_exactly_the_members_of_its_moment_and_nothing_is_left(
    tmp_path: Path, valkey: EmbeddedValkey
) -> None:
    # The same one each time, but for who takes longer to look for what it does not find.
    seed = random.randrange(2**32) if "CHURN_SECONDS" in os.environ else 2175
    print(f"seed {seed}")  # noqa: T201 - pytest shows it where the test fails
    (tmp_path / "churn.py").write_text(APP)
    store = redis.Redis(unix_socket_path=valkey.url.removeprefix("unix://"))
    with Served("churn:app", "--dev", "--workers", "3", "--broker", valkey.url, cwd=tmp_path) as server:
        before = internals(server)
        observers = [await observe(f"observer-{number}", server) for number in range(3)]
        stays: list[Stay] = []
        chances = [random.Random(seed + number) for number in range(TABS)]
        until = time.monotonic() + SECONDS
        async with asyncio.TaskGroup() as tabs:
            for number, chance in enumerate(chances):
                tabs.create_task(live(f"user-{number}", server, stays, chance, until))

        for room in ROOMS:
            # The end of the order: what every observer has received up to here is all there was.
            await say(observers[0], room, f"end of {room}")
            for observer in observers[1:]:
                await observer.receive("room_message", room=room, content=f"end of {room}")
        orders = {room: contents(observers[0].ledger.seen(room)) for room in ROOMS}
        for room, order in orders.items():
            for observer in observers[1:]:
                assert contents(observer.ledger.seen(room)) == order
            assert len(set(order)) == len(order), "a message came twice"
            place = {content: index for index, content in enumerate(order)}
            for stay in stays:
                if stay.stint.room == room:
                    check_slice(stay, order, place)

        def only_observers() -> bool:
            return bool(httpx.get(f"{server.url}/stats").json()["users"] == len(observers))

        await asyncio.to_thread(wait_for, only_observers, what="everyone gone but the observers")
        for observer in observers:
            await observer.nothing("user_joined_room")
            check_notices(observer.log)
            await observer.close()

        def quiet() -> bool:
            stats = httpx.get(f"{server.url}/stats").json()
            return (stats["connections"], stats["users"], stats["rooms"]) == (0, 0, 0)

        await asyncio.to_thread(wait_for, quiet, what="all counts at zero")
        await asyncio.to_thread(
            wait_for, lambda: internals(server) == before, what=f"back to {before}: {internals(server)}"
        )
        # What stays is the rooms' history and when it began, when each user was here last, and the workers' own:
        # leases, reports, words, and the dashboard's lease. Of inboxes in which nothing was said, nothing.
        own = {f"hubbub:{{hubbub}}:{what}" for what in ("nodes", "leases", "words", "version", "left", "begun")}
        own |= {"hubbub:{hubbub:dashboard}:turn", "hubbub:{hubbub:dashboard}:turns"}
        history = {f"hubbub:{{hubbub:room:{room}}}:{what}" for room in ROOMS for what in ("stream", "meta")}
        kept = {key.decode() for key in store.keys("*")} - own
        assert kept == history
        assert all(store.ttl(key) > 0 for key in kept)
        # The workers' own: of the dashboard, of the probe, and what all of them are told.
        usual = re.compile(rb"dashboard|:probe:|:workers}")
        assert [name for name in store.pubsub_channels("*") if not usual.search(name)] == []
    store.close()


def internals(server: Served) -> dict[str, dict[str, int]]:
    """By node; asked until every worker has answered, over connections of their own."""
    found: dict[str, dict[str, int]] = {}
    for _ in tries("an answer of each of three workers", within=20):
        answer = httpx.get(f"{server.url}/internals", headers={"Connection": "close"}).json()
        found[answer.pop("node")] = answer
        if len(found) == 3:
            break
    return found
