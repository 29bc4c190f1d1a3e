"""A broker that forgets: of a room's stream, its position, both or everything. Whoever lost something is told."""

import asyncio
from collections.abc import Callable

import pytest
from redis import Redis

from hubbub.brokers.redis import RedisBroker
from hubbub.testing import checks
from tests.integration.faults.hubs import ROOM, Worker, back, lines_of, nothing_was_lost, talking, two_members, workers
from tests.kit.waiting import until

Harm = Callable[[Redis], object]


def forget(*endings: str) -> Harm:
    def harm(admin: Redis) -> None:
        for ending in endings:
            found = admin.keys(f"*:{ROOM}}}:{ending}")
            assert len(found) == 1
            admin.delete(*found)

    return harm


HARMS: dict[str, Harm] = {
    "stream": forget("stream"),
    "meta": forget("meta"),
    "both": forget("stream", "meta"),
    "everything": lambda admin: admin.flushall(),
}


async def say(one: Worker, *numbers: int) -> None:
    for number in numbers:
        await one.hub.room(ROOM).send({"type": "m", "n": number})


@pytest.mark.parametrize("what", HARMS)
async def test_what_is_forgotten_while_somebody_is_away_is_told(url: str, admin: Redis, what: str) -> None:
    """Two of four messages were missed and are gone: `recovered: false`, nothing handed over, and then what is new."""
    async with (
        workers(RedisBroker(url), RedisBroker(url)) as (left, right),
        left.client("ann") as ann,
    ):
        await ann.join(ROOM)
        await say(right, 1, 2)
        await ann.receive("m", n=2)
        ann.go_offline()
        await say(right, 3, 4)
        HARMS[what](admin)
        ann.go_online()
        await ann.back()
        assert ann.received("room_joined")[-1]["recovered"] is False
        await say(left, 5)
        await ann.receive("m", n=5)
        assert [message["n"] for message in ann.received("m")] == [1, 2, 5]
        assert checks.in_order([ann.ledger]) + checks.whole([ann.ledger]) == []


@pytest.mark.parametrize("what", HARMS)
async def test_what_is_forgotten_while_a_worker_does_not_hear_is_told_to_its_members(
    url: str, admin: Redis, what: str
) -> None:
    """It loses its subscription ten times under load, and each time something is forgotten: 0 holes without a `gap`."""
    async with two_members(url) as (left, right, ann, bob):
        async with talking(left.hub, right.hub) as said:
            for _ in range(10):
                had = len(said)
                await until(lambda had=had: len(said) > had + 10, "something was said")  # type: ignore[misc]
                before = lines_of(left, right)
                await asyncio.to_thread(admin.client_kill_filter, _type="pubsub")
                HARMS[what](admin)
                await until(lambda before=before: back(left, right, since=before), "they are back")  # type: ignore[misc]
        await nothing_was_lost(left.hub, [ann, bob], said)


async def test_a_stream_that_goes_back_to_what_an_older_replica_had_is_told(url: str, admin: Redis) -> None:
    """Two of four acknowledged messages are unsaid. A member has a `gap` from 0, who was away `recovered: false`."""
    async with two_members(url) as (left, right, ann, bob):
        await say(left, 1, 2)
        kept = {key: admin.dump(key) for key in admin.keys(f"*:{ROOM}}}:*") if key.endswith((b":stream", b":meta"))}
        assert len(kept) == 2
        await say(left, 3, 4)
        for member in (ann, bob):
            await member.receive("m", n=4)
        bob.go_offline()
        for key, value in kept.items():
            admin.restore(key, 0, value, replace=True)
        admin.client_kill_filter(_type="pubsub")
        gap = await ann.receive("gap", room=ROOM, after=0, upto=2)
        assert gap["epoch"] != ann.received("room_joined")[0]["epoch"]
        await until(lambda: left.hub.ready and right.hub.ready, "they are back")
        bob.go_online()
        await bob.back()
        assert bob.received("room_joined")[-1]["recovered"] is False
        await say(right, 5)
        for member in (ann, bob):
            assert (await member.receive("m", n=5))["offset"] == 3
            assert checks.in_order([member.ledger]) + checks.whole([member.ledger]) == []
