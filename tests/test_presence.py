"""What the broker is told about presence is what is true, in the end and in order."""

import asyncio
from typing import Any

import pytest

from hubbub.errors import Unavailable
from hubbub.lifecycle import Background
from hubbub.presence import Presence
from hubbub.state.backoff import Backoff
from hubbub.wire.envelope import Envelope
from tests.scripted import ScriptedBroker, cancel, settle


class Setting:
    def __init__(self, *, announce_users: bool = False) -> None:
        self.broker, self.background = ScriptedBroker(), Background()
        self.presence = Presence(self.broker, "node", self.background.spawn, announce_users=announce_users)

    async def enter(self, topic: str = "room:r", member: str = "ann") -> asyncio.Task[None]:
        task = asyncio.create_task(self.presence.enter(topic, member))
        await settle()
        return task

    async def leave(self) -> None:
        self.presence.leave("room:r", "ann")
        await settle()

    async def entered(self) -> None:
        task = await self.enter()
        await self.broker.only("enter room:r").ok(value=True)
        await task


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two tries."""
    monkeypatch.setattr(Backoff, "next", lambda _: 0.0)


async def test_the_first_and_the_last_are_told() -> None:
    s = Setting()
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
    s = Setting()
    entering = await s.enter()
    await cancel(entering)
    assert s.broker.log == ["enter room:r"]  # it cannot be called back, so it is waited for
    await s.broker.only("enter room:r").ok()
    await s.broker.only("leave room:r").ok()
    assert len(s.presence) == 0


async def test_entering_while_leaving() -> None:
    s = Setting()
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
    s = Setting()
    first = await s.enter()
    await cancel(first)
    second = await s.enter()
    await s.broker.only("enter room:r").ok()
    assert second.done()
    assert not second.exception()
    assert s.broker.log == ["enter room:r"]


async def test_unavailable_is_told_at_once_and_taken_back() -> None:
    """Whether the broker counted it is not known, so it is told that nobody is there."""
    s = Setting()
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
    s = Setting()
    await s.entered()
    await s.leave()
    await s.broker.only("leave room:r").fail()
    await asyncio.sleep(0.01)
    await s.broker.only("leave room:r").ok()
    assert len(s.presence) == 0


async def test_a_joiner_does_not_wait_for_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next", lambda _: 1000.0)
    s = Setting()
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


async def test_reassert_says_everything_anew() -> None:
    s = Setting()
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


async def test_a_cancelled_worker_leaves_nobody_waiting() -> None:
    s = Setting()
    entering = await s.enter()
    await s.background.end(within=0)
    await settle()
    assert isinstance(entering.exception(), Unavailable)
    assert not len(s.background)


async def test_what_is_announced() -> None:
    s = Setting(announce_users=True)

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
    quiet = Setting()
    await quiet.enter("online")
    entering = quiet.broker.only("enter online")
    assert entering.rest[2] is None
    await entering.ok()


async def test_what_is_said_again_is_not_announced_again() -> None:
    """The broker may have forgotten, but nobody has seen the member leave."""
    s = Setting(announce_users=True)
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
    s = Setting()
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
    s = Setting()
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
