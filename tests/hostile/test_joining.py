"""A few bytes that are answered with much, again and again: joins, ways in and out, and what is shown.

How often it may be done depends on how long that takes, so each bound has the time beside it.
"""

import time
from collections.abc import AsyncIterator

import pytest

from hubbub import History, Hub, Limits
from hubbub.ports.metrics import Count, Tally
from hubbub.rooms import handing
from tests.kit.client import Tab
from tests.kit.raw_peers import OURS
from tests.kit.serving import Address, Names, serving, simple

LIMITS = Limits(rooms=6, replay=50, replay_rate=20)
KEPT = History(size=LIMITS.replay, ttl=600)
#: Joins that are each handed all that is kept, which the allowance has at once.
AT_ONCE = LIMITS.rooms + 1
TRIES = 60


@pytest.fixture
def hub() -> Hub:
    hub = Hub("memory", auth=Names(), limits=LIMITS, metrics=Tally(), inbox=KEPT)

    @hub.rooms("kept:{name}", history=KEPT)
    @hub.rooms("shown", presence=True, presence_data=True)
    async def anybody() -> bool:
        return True

    return hub


@pytest.fixture
async def address(hub: Hub) -> AsyncIterator[Address]:
    async with serving(simple(hub), **OURS) as address:
        for room in range(LIMITS.rooms):
            for number in range(LIMITS.replay):
                await hub.room(f"kept:{room}").send({"type": "said", "number": number})
        for number in range(LIMITS.replay):
            await hub.user("ann").send({"type": "said", "number": number})
        yield address


async def test_who_joins_again_and_again_is_handed_no_more_than_its_allowance(hub: Hub, address: Address) -> None:
    async with Tab(address.ws, token="mallory") as mallory:
        began = time.monotonic()
        answers = [await mallory.request("join_room", room="kept:0", since={"offset": 0}) for _ in range(TRIES)]
        took = time.monotonic() - began
        refused = [answer for answer in answers if answer["type"] == "error"]
        assert {answer["code"] for answer in refused} == {"rate_limited"}
        assert all(answer["retry_after"] > 0 for answer in refused)
        assert hub.metrics.counts[Count.JOINS_LIMITED] == len(refused)
        handed = len(mallory.received("said"))
        assert handed == (TRIES - len(refused)) * LIMITS.replay
        cost = LIMITS.replay + handing.EACH
        assert handed + handing.EACH * (TRIES - len(refused)) <= (AT_ONCE + 1) * cost + LIMITS.replay_rate * took


async def test_who_comes_back_to_all_its_rooms_at_once_is_handed_all_in_every_tab(address: Address) -> None:
    rooms = [{"room": f"kept:{room}", "since": {"offset": 0}} for room in range(LIMITS.rooms)]
    for _ in range(handing.TABS):
        async with Tab(address.ws, token="ann") as ann:
            await ann.send({"type": "join_room", "rooms": [{"room": "@me", "since": {"offset": 0}}, *rooms]})
            for room in ["@me", *(each["room"] for each in rooms)]:
                await ann.receive("said", room=room, number=LIMITS.replay - 1)
            assert not ann.received("error")
            assert len(ann.received("said")) == AT_ONCE * LIMITS.replay


async def test_another_connection_of_the_same_user_does_not_begin_anew(address: Address) -> None:
    began, handed = time.monotonic(), 0
    for _ in range(handing.TABS + 3):
        async with Tab(address.ws, token="mallory") as mallory:
            for _ in range(AT_ONCE):
                await mallory.request("join_room", room="kept:0", since={"offset": 0})
            handed += len(mallory.received("said"))
    took = time.monotonic() - began
    cost = LIMITS.replay + handing.EACH
    assert handed / LIMITS.replay * cost <= handing.TABS * (AT_ONCE * cost + LIMITS.replay_rate * took) + cost


async def test_who_goes_in_and_out_or_shows_ever_another_thing_is_slowed(address: Address) -> None:
    async with (
        Tab(address.ws, token="bob", features=["presence"]) as bob,
        Tab(address.ws, token="mallory", features=["presence"]) as mallory,
    ):
        await bob.ask({"type": "join_room", "room": "shown"})
        began = time.monotonic()
        tries = 30
        for number in range(tries):
            await mallory.request("join_room", room="shown")
            await mallory.request("set_presence", room="shown", presence={"n": number})
            await mallory.request("leave_room", room="shown")
        took = time.monotonic() - began
        await mallory.close()
        told = [each for each in bob.log if each["type"].startswith("user_")]
        # What was said of each way in, and of each thing shown, was paid for; of the way out it was as well.
        most = AT_ONCE * (LIMITS.replay + handing.EACH) + LIMITS.replay_rate * took
        paid = [each for each in told if each["type"] != "user_left_room"]
        assert len(paid) * handing.EACH <= most + handing.EACH
        assert len(paid) < 2 * tries
