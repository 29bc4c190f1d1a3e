"""When somebody who went counts as gone: at once, after a while, or when others find out."""

from hubbub.testing import settle
from hubbub.types import OCCUPIED, ONLINE, user_topic
from tests.kit.one_tracker import ROOM, OneTracker
from tests.kit.scripted import cancel


async def test_who_is_back_within_the_grace_was_never_gone() -> None:
    s = OneTracker(grace=5)
    await s.entered()
    for _ in range(2):
        s.presence.linger(ROOM, "ann")
        s.clock.move(4.9)
        await settle()
        assert not s.broker.pending
        assert (await s.enter()).done()
    assert s.clock.alarms == []
    assert s.broker.log == ["enter room:r"]


async def test_who_is_not_back_within_the_grace_is_gone() -> None:
    s = OneTracker(grace=5)
    await s.entered()
    assert (await s.enter()).done()
    s.presence.linger(ROOM, "ann")
    assert s.clock.alarms == []  # there is another tab
    s.presence.linger(ROOM, "ann")
    s.clock.move(5)
    await settle()
    leaving = s.broker.only("leave room:r")
    assert b"user_left_room" in leaving.rest[2].data
    await leaving.ok()
    assert len(s.presence) == 0


async def test_who_says_goodbye_is_gone_at_once() -> None:
    s = OneTracker(grace=5)
    await s.entered()
    await s.leave()
    await s.broker.only("leave room:r").ok()
    assert s.clock.alarms == []


async def test_without_a_grace_nobody_is_waited_for() -> None:
    s = OneTracker()
    await s.entered()
    s.presence.linger(ROOM, "ann")
    await settle()
    await s.broker.only("leave room:r").ok()
    assert s.clock.alarms == []


async def test_at_the_end_nobody_is_waited_for() -> None:
    s = OneTracker(grace=5)
    await s.entered()
    s.presence.linger(ROOM, "ann")
    s.presence.stop()
    await settle()
    await s.broker.only("leave room:r").ok()
    assert len(s.presence) == 0
    assert s.clock.alarms == []
    await s.entered()
    s.presence.linger(ROOM, "ann")
    await settle()
    await s.broker.only("leave room:r").ok()


async def test_who_retires_leaves_it_to_others_to_say_who_went() -> None:
    """But a user's tabs, which never come back, are counted right at once."""
    s = OneTracker(grace=5)
    for topic, member in (
        ("room:r", "ann"),
        ("online", "ann"),
        ("occupied", "r"),
        ("user:ann", "c1"),
        ("room:r", "bob"),
    ):
        entering = await s.enter(topic, member)
        await s.broker.only(f"enter {topic}").ok(value=True)
        await entering
    s.presence.linger(ROOM, "bob")
    s.broker.log.clear()
    s.presence.retire()
    s.presence.linger(ROOM, "ann")
    s.presence.linger(ONLINE, "ann")
    s.presence.leave(OCCUPIED, "r")
    s.presence.leave(user_topic("ann"), "c1")
    await settle()
    assert s.broker.log == ["leave user:ann"]
    for call in list(s.broker.pending):
        await call.ok(value=True)
    assert not len(s.background)
    assert s.clock.alarms == []
    # Who comes nevertheless is let in.
    entering = await s.enter("room:r", "cid")
    await s.broker.only("enter room:r").ok(value=True)
    await entering


async def test_one_who_leaves_while_it_comes_to_one_who_has_retired_is_left_too() -> None:
    s = OneTracker()
    entering = await s.enter()
    s.presence.retire()
    await cancel(entering)
    await s.broker.only("enter room:r").ok()
    assert not s.broker.pending
    assert not len(s.background)
