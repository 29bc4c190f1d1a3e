"""What the broker is told about presence is what is true, in the end and in order."""

import asyncio
from typing import Any

import pytest

from hubbub.errors import Unavailable
from hubbub.options import RoomOptions
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.scheduling.backoff import Backoff
from hubbub.testing import settle
from hubbub.types import room_topic
from tests.kit.one_tracker import OneTracker
from tests.kit.scripted import cancel


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two tries."""
    monkeypatch.setattr(Backoff, "next", lambda _: 0.0)


async def test_the_first_and_the_last_are_told() -> None:
    s = OneTracker()
    first, second = await s.enter(), await s.enter()
    assert not first.done()
    assert not second.done()
    await s.broker.only("enter room:r").ok()
    assert first.done()
    assert second.done()
    assert (await s.enter()).done()
    await s.leave()
    await s.leave()
    assert s.broker.log == ["enter room:r"]
    await s.leave()
    await s.broker.only("leave room:r").ok()
    assert len(s.presence) == 0
    assert not len(s.background)


async def test_leaving_while_entering() -> None:
    s = OneTracker()
    entering = await s.enter()
    await cancel(entering)
    assert s.broker.log == ["enter room:r"]  # it cannot be called back, so it is waited for
    await s.broker.only("enter room:r").ok()
    await s.broker.only("leave room:r").ok()
    assert len(s.presence) == 0


async def test_entering_while_leaving() -> None:
    s = OneTracker()
    await s.entered()
    await s.leave()
    leaving = s.broker.only("leave room:r")
    again = await s.enter()
    assert not again.done()
    await leaving.ok()
    await s.broker.only("enter room:r").ok()
    assert again.done()
    assert s.broker.log == ["enter room:r", "leave room:r", "enter room:r"]


async def test_there_and_back_while_entering() -> None:
    s = OneTracker()
    first = await s.enter()
    await cancel(first)
    second = await s.enter()
    await s.broker.only("enter room:r").ok()
    assert second.done()
    assert not second.exception()
    assert s.broker.log == ["enter room:r"]


async def test_unavailable_is_told_at_once_and_taken_back() -> None:
    """Whether the broker counted it is not known, so it is told that nobody is there."""
    s = OneTracker()
    entering = await s.enter()
    await s.broker.only("enter room:r").fail()
    assert isinstance(entering.exception(), Unavailable)
    await asyncio.sleep(0.01)
    await s.broker.only("leave room:r").fail()
    await asyncio.sleep(0.01)
    await s.broker.only("leave room:r").ok()
    assert len(s.presence) == 0
    assert not len(s.background)


async def test_a_leave_that_could_not_be_said_is_said_later() -> None:
    s = OneTracker()
    await s.entered()
    await s.leave()
    await s.broker.only("leave room:r").fail()
    await asyncio.sleep(0.01)
    await s.broker.only("leave room:r").ok()
    assert len(s.presence) == 0


async def test_a_joiner_does_not_wait_for_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next", lambda _: 1000.0)
    s = OneTracker()
    entering = await s.enter()
    await s.broker.only("enter room:r").fail()
    assert entering.exception()
    assert not s.broker.pending
    second = await s.enter()
    await s.broker.only("enter room:r").ok()
    assert second.done()
    assert not second.exception()
    await s.leave()
    await s.broker.only("leave room:r").fail()
    assert not s.broker.pending
    again = asyncio.create_task(s.presence.reassert())
    await settle()
    await s.broker.only("leave room:r").ok()
    await again
    assert len(s.presence) == 0


async def test_a_cancelled_worker_leaves_nobody_waiting() -> None:
    s = OneTracker()
    entering = await s.enter()
    await s.background.end(within=0)
    await settle()
    assert isinstance(entering.exception(), Unavailable)
    assert not len(s.background)


async def test_what_is_announced() -> None:
    s = OneTracker(announce_users=True)

    async def announced(topic: str) -> Any:
        await s.enter(topic)
        [call] = s.broker.pending
        announcement = call.rest[2]
        await call.ok()
        return announcement

    room = await announced("room:r")
    assert room.topic == "room:r"
    envelope = Envelope.decode(room.data)
    assert envelope.payload == b'{"type":"user_joined_room","room":"r","user":"ann"}'
    assert envelope.without_users == {"ann"}
    online = await announced("online")
    assert online.topic == "everyone"
    assert Envelope.decode(online.data).payload == b'{"type":"user_connected","user":"ann"}'
    assert await announced("occupied") is None
    assert await announced("user:ann") is None
    await s.leave()
    leaving = s.broker.only("leave room:r")
    assert b"user_left_room" in leaving.rest[2].data
    await leaving.ok()
    quiet = OneTracker()
    await quiet.enter("online")
    entering = quiet.broker.only("enter online")
    assert entering.rest[2] is None
    await entering.ok()


async def test_a_room_that_collects_is_told_in_its_way() -> None:
    s = OneTracker()
    s.options["r"] = RoomOptions(presence=True, diff=True)
    for present, kind in ((True, Kind.CAME), (False, Kind.WENT)):
        announcement = s.notices.announcement(room_topic("r"), "änn", present=present)
        assert announcement is not None
        assert announcement.topic == "room:r"
        envelope = Envelope.decode(announcement.data)
        assert (envelope.kind, envelope.payload.decode(), envelope.without_users) == (kind, "änn", {"änn"})
