"""A broker that was away may have forgotten, and others may have given us up: it is told again, and nobody twice."""

import asyncio

import pytest

from hubbub.scheduling.backoff import Backoff
from hubbub.testing import settle
from tests.kit.one_tracker import ROOM, OneTracker


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two tries."""
    monkeypatch.setattr(Backoff, "next", lambda _: 0.0)


async def test_reassert_says_everything_anew() -> None:
    s = OneTracker()
    await s.entered()
    online = await s.enter("online", "ann")
    await s.broker.only("enter online").ok()
    await online
    s.broker.log.clear()
    again = asyncio.create_task(s.presence.reassert())
    await settle()
    assert sorted(s.broker.log) == ["enter online", "enter room:r"]
    await s.leave()
    for call in list(s.broker.pending):
        await call.ok()
    await s.broker.only("leave room:r").ok()
    await again
    assert len(s.presence) == 1


async def test_what_is_said_again_is_not_announced_again() -> None:
    """The broker may have forgotten, but nobody has seen the member leave."""
    s = OneTracker(announce_users=True)
    for topic in ("room:r", "online"):
        entering = await s.enter(topic)
        assert s.broker.pending[0].rest[2] is not None
        await s.broker.only(f"enter {topic}").ok(value=True)
        await entering
    again = asyncio.create_task(s.presence.reassert())
    await settle()
    assert sorted(call.topic for call in s.broker.pending) == ["online", "room:r"]
    assert [call.rest[2] for call in s.broker.pending] == [None, None]
    # It is away once more: what is tried again is as quiet.
    for call in list(s.broker.pending):
        await call.fail()
    await asyncio.sleep(0.01)
    assert [call.rest[2] for call in s.broker.pending] == [None, None]
    for call in list(s.broker.pending):
        await call.ok(value=True)
    await again
    await s.leave()
    leaving = s.broker.only("leave room:r")
    assert b"user_left_room" in leaving.rest[2].data
    await leaving.ok()
    await s.enter()
    assert b"user_joined_room" in s.broker.only("enter room:r").rest[2].data
    await s.broker.only("enter room:r").ok()


async def test_one_who_leaves_while_it_is_said_again_is_announced() -> None:
    s = OneTracker()
    await s.entered()
    again = asyncio.create_task(s.presence.reassert())
    await settle()
    await s.leave()
    await s.broker.only("enter room:r").fail()
    await asyncio.sleep(0.01)
    leaving = s.broker.only("leave room:r")
    assert b"user_left_room" in leaving.rest[2].data
    await leaving.ok()
    await again
    assert len(s.presence) == 0


async def test_one_who_was_said_again_and_left_is_announced_on_coming_back() -> None:
    s = OneTracker()
    await s.entered()
    again = asyncio.create_task(s.presence.reassert())
    await settle()
    await s.broker.only("enter room:r").ok(value=True)
    await again
    await s.leave()
    leaving = s.broker.only("leave room:r")
    coming = await s.enter()  # before the leave is done, so its seat is still warm
    await leaving.ok()
    entering = s.broker.only("enter room:r")
    assert b"user_joined_room" in entering.rest[2].data
    await entering.ok(value=True)
    await coming


async def test_one_whose_lease_was_lost_is_announced_again() -> None:
    s = OneTracker()
    await s.entered()
    again = asyncio.create_task(s.presence.reassert(loudly=True))
    await settle()
    entering = s.broker.only("enter room:r")
    assert b"user_joined_room" in entering.rest[2].data
    # Not said, so it is tried again, as loudly, whatever was asked for meanwhile.
    await entering.fail()
    quietly = asyncio.create_task(s.presence.reassert())
    await settle()
    entering = s.broker.only("enter room:r")
    assert b"user_joined_room" in entering.rest[2].data
    await entering.ok(value=True)
    await asyncio.gather(again, quietly)


async def test_one_who_was_waited_for_while_its_lease_was_lost_is_gone() -> None:
    s = OneTracker(grace=5)
    await s.entered()
    s.presence.linger(ROOM, "ann")
    again = asyncio.create_task(s.presence.reassert(loudly=True))
    await settle()
    await s.broker.only("leave room:r").ok()
    await again
    assert len(s.presence) == 0
    assert s.clock.alarms == []


async def test_one_who_is_waited_for_is_said_anew_with_the_others() -> None:
    s = OneTracker(grace=5)
    await s.entered()
    s.presence.linger(ROOM, "ann")
    again = asyncio.create_task(s.presence.reassert())
    await settle()
    entering = s.broker.only("enter room:r")
    assert entering.rest[2] is None
    await entering.ok(value=True)
    await again
    s.clock.move(5)
    await settle()
    await s.broker.only("leave room:r").ok()
    assert len(s.presence) == 0


async def test_it_is_said_anew_in_batches() -> None:
    s = OneTracker(batch=3)
    for number in range(7):
        entering = await s.enter(member=f"u{number}")
        await s.broker.only("enter room:r").ok(value=True)
        await entering
    again = asyncio.create_task(s.presence.reassert())
    await settle()
    assert [call.rest[0] for call in s.broker.pending] == ["u0", "u1", "u2"]
    # Who comes meanwhile says it itself, and is not said twice; who leaves is not said at all.
    seventh = await s.enter(member="u6")
    assert not seventh.done()
    s.presence.leave(ROOM, "u5")
    await settle()
    assert [(call.name, call.rest[0]) for call in s.broker.pending[3:]] == [("enter", "u6"), ("leave", "u5")]
    for call in list(s.broker.pending):
        await call.ok(value=True)
    assert seventh.done()
    assert [call.rest[0] for call in s.broker.pending] == ["u3", "u4"]
    for call in list(s.broker.pending):
        await call.ok(value=True)
    await again
    assert not s.broker.pending


async def test_a_later_call_takes_over() -> None:
    s = OneTracker(batch=1)
    for member in ("ann", "bob"):
        entering = await s.enter(member=member)
        await s.broker.only("enter room:r").ok(value=True)
        await entering
    first = asyncio.create_task(s.presence.reassert(loudly=True))
    await settle()
    second = asyncio.create_task(s.presence.reassert())
    await settle()
    assert [call.rest[0] for call in s.broker.pending] == ["ann", "bob"]
    # He was to be announced, and still is.
    assert b"user_joined_room" in s.broker.pending[1].rest[2].data
    for call in list(s.broker.pending):
        await call.ok(value=True)
    await first
    await second
    assert s.broker.log[2:] == ["enter room:r", "enter room:r"]


async def test_at_the_end_nothing_is_said_anew() -> None:
    s = OneTracker(batch=1)
    for member in ("ann", "bob"):
        entering = await s.enter(member=member)
        await s.broker.only("enter room:r").ok(value=True)
        await entering
    again = asyncio.create_task(s.presence.reassert())
    await settle()
    s.presence.stop()
    await s.broker.only("enter room:r").ok(value=True)
    await again
    assert not s.broker.pending


async def test_one_whose_lease_was_lost_while_it_was_said_anew_is_announced() -> None:
    s = OneTracker()
    await s.entered()
    quietly = asyncio.create_task(s.presence.reassert())
    await settle()
    loudly = asyncio.create_task(s.presence.reassert(loudly=True))
    await settle()
    entering = s.broker.only("enter room:r")
    assert entering.rest[2] is None
    await entering.fail()
    await asyncio.sleep(0.01)
    entering = s.broker.only("enter room:r")
    assert b"user_joined_room" in entering.rest[2].data
    await entering.ok(value=True)
    await asyncio.gather(quietly, loudly)


async def test_one_who_left_and_came_back_meanwhile_is_not_said_anew() -> None:
    s = OneTracker(batch=1)
    for member in ("bob", "ann"):
        entering = await s.enter(member=member)
        await s.broker.only("enter room:r").ok(value=True)
        await entering
    again = asyncio.create_task(s.presence.reassert())
    await settle()
    await s.leave()
    [first, leaving] = s.broker.pending
    await leaving.ok(value=True)
    coming = await s.enter()
    await s.broker.pending[1].ok(value=True)
    await coming
    s.broker.log.clear()
    await first.ok(value=True)
    await again
    assert s.broker.log == []
