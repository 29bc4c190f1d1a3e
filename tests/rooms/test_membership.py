"""Joining and leaving, with everything that may come in between."""

import asyncio

import pytest

from hubbub.closes import TOO_SLOW
from hubbub.delivery.outbox import Lane
from hubbub.errors import NotJoined, TooManyRooms, Unavailable
from hubbub.options import RoomOptions, Slow
from hubbub.protocol.envelope import Kind
from hubbub.protocol.join_room import Since
from hubbub.scheduling.backoff import Backoff
from hubbub.testing import settle
from hubbub.types import room_topic
from tests.kit.joining import KEEP, STEPS, JoiningRoom
from tests.kit.recipients import Reader
from tests.kit.scripted import cancel

ROOM = room_topic("r")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next", lambda _: 0.0)


async def test_the_order_of_a_join() -> None:
    """Nothing before the answer, and nothing lost after the subscription."""
    s = JoiningRoom()
    ann = s.member()
    task = await s.join(ann, id=7, since=Since(None, 0))
    s.send()
    await s.up_to("members room:r")
    s.send()
    s.send(without_users=frozenset({"ann"}))
    assert ann.told == []
    await s.broker.only("members room:r").ok(["bob", "ann"])
    assert task.done()
    assert ann.told[0] == {"type": "room_joined", "room": "r", "members": ["ann", "bob"], "recovered": False, "id": 7}
    assert ann.types == ["room_joined", "m", "m"]
    s.send()
    assert ann.types == ["room_joined", "m", "m", "m"]
    s.membership.leave(ann, "r", id=8)
    s.send()
    assert ann.told[4:] == [{"type": "room_left", "room": "r", "id": 8}]
    with pytest.raises(NotJoined):
        s.membership.leave(ann, "r")
    await s.is_empty()


async def test_what_is_held_is_bounded() -> None:
    s = JoiningRoom(outbox=100, payload=100)
    ann = s.member()
    task = await s.join(ann)
    for _ in range(8):
        s.send()
    assert not ann.closes
    s.send()
    assert ann.closes == [TOO_SLOW]
    s.membership.gone(ann)
    while not task.done():
        await s.broker.pending[0].ok([])
    assert ann.told == []
    await s.is_empty()


@pytest.mark.parametrize("step", STEPS)
async def test_unavailable_at_each_step(step: str) -> None:
    s = JoiningRoom()
    ann = s.member()
    task = await s.join(ann, keep=KEEP)
    await s.up_to(step)
    await s.broker.only(step).fail()
    assert isinstance(task.exception(), Unavailable)
    assert ann.told == []
    assert not s.registry.in_room(ann, "r")
    await s.is_empty()


@pytest.mark.parametrize("step", STEPS)
async def test_cancelled_at_each_step(step: str) -> None:
    s = JoiningRoom()
    ann = s.member()
    task = await s.join(ann, keep=KEEP)
    await s.up_to(step)
    await cancel(task)
    assert task.cancelled()
    for call in list(s.broker.pending):
        await s.answer(call)
    assert ann.told == []
    await s.is_empty()


@pytest.mark.parametrize("step", STEPS)
async def test_gone_at_each_step(step: str) -> None:
    s = JoiningRoom()
    ann = s.member()
    task = await s.join(ann, keep=KEEP)
    await s.up_to(step)
    s.membership.gone(ann)
    while not task.done():
        await s.answer(s.broker.pending[0])
    assert not task.exception()
    assert ann.told == []
    await s.is_empty()


@pytest.mark.parametrize("step", STEPS)
async def test_put_out_while_joining(step: str) -> None:
    """Who is removed while its join is under way is not let in by having been slow."""
    s = JoiningRoom()
    ann = s.member()
    task = await s.join(ann, keep=KEEP)
    await s.up_to(step)
    s.send(Kind.REMOVE, b"of bob", only=frozenset({"bob"}))
    s.send(Kind.REMOVE, b"enough", only=frozenset({"ann"}))
    while not task.done():
        await s.answer(s.broker.pending[0])
    assert not task.exception()
    assert ann.types == ["room_joined", "room_left"]
    assert ann.told[1]["reason"] == "enough"
    assert not s.registry.in_room(ann, "r")
    await s.is_empty()


async def test_joining_twice_answers_again() -> None:
    s = JoiningRoom()
    ann = s.member()
    await s.joined(ann)
    s.broker.log.clear()
    again = await s.join(ann, id=1)
    await s.broker.only("members room:r").ok(["ann"])
    await again
    await (await s.join(ann, presence=False, id=2))
    assert s.broker.log == ["members room:r"]
    assert [each.get("id") for each in ann.told] == [None, 1, 2]
    assert set(ann.types) == {"room_joined"}
    failing = await s.join(ann)
    await s.broker.only("members room:r").fail()
    assert isinstance(failing.exception(), Unavailable)
    assert s.registry.in_room(ann, "r")
    s.membership.gone(ann)
    await s.is_empty()


async def test_put_out_while_joining_again() -> None:
    s = JoiningRoom()
    ann = s.member()
    await s.joined(ann)
    again = await s.join(ann)
    members = s.broker.only("members room:r")
    s.send(Kind.CLOSE_ROOM, b"closed")
    assert ann.types == ["room_joined", "room_left"]
    await members.ok([])
    assert isinstance(again.exception(), NotJoined)
    await s.is_empty()


async def test_two_joins_at_once_are_one_after_the_other() -> None:
    s = JoiningRoom()
    ann = s.member()
    first, second = await s.join(ann, id=1), await s.join(ann, id=2)
    await s.up_to("members room:r")
    await s.broker.only("members room:r").ok(["ann"])
    assert first.done()
    assert not second.done()
    await s.broker.only("members room:r").ok(["ann"])
    assert [each["id"] for each in ann.told] == [1, 2]
    s.membership.gone(ann)
    await s.is_empty()


async def test_joining_while_the_last_one_leaves() -> None:
    s = JoiningRoom()
    ann, tab = s.member(), Reader("ann", s.turn)
    s.registry.add(tab, "ann")
    await s.joined(ann)
    s.membership.gone(ann)
    await settle()
    assert sorted(f"{call.name} {call.topic}" for call in s.broker.pending) == ["leave occupied", "leave room:r"]
    task = await s.join(tab)
    while not task.done():
        await s.answer(s.broker.pending[0])
    assert tab.types == ["room_joined"]
    assert s.broker.log[-1] == "members room:r"
    assert s.broker.log.index("leave room:r") < len(s.broker.log) - 1 - s.broker.log[::-1].index("enter room:r")
    s.membership.gone(tab)
    await s.is_empty()


async def test_a_connection_has_so_many_rooms() -> None:
    s = JoiningRoom()
    ann = s.member()
    for room in ("a", "b"):
        task = await s.join(ann, room, presence=False)
        while not task.done():
            await s.broker.pending[0].ok()
    with pytest.raises(TooManyRooms):
        await s.membership.join(ann, "c", RoomOptions())
    s.membership.gone(ann)
    s.membership.gone(ann)
    await s.is_empty()


async def test_the_policy_of_a_room_is_there_from_the_first_member_to_the_last() -> None:
    s = JoiningRoom()
    ann, bob = s.member(), s.member("bob")
    for member in (ann, bob):
        member.clear = False
        task = asyncio.create_task(s.membership.join(member, "r", RoomOptions(slow=Slow.DROP_OLDEST)))
        await settle()
        while s.broker.pending:
            await s.broker.pending[0].ok()
        await task
    s.membership.leave(ann, "r")
    s.send()
    assert bob.types == ["room_joined", "m"]
    assert [outgoing.lane for outgoing in bob.waiting] == [None, Lane("r", Slow.DROP_OLDEST)]
    assert s.fanout.treatment(ROOM) is not Slow.DISCONNECT
    s.membership.gone(bob)
    assert s.fanout.treatment(ROOM) is Slow.DISCONNECT
    await s.is_empty()


async def test_the_policy_of_a_room_stays_for_one_who_joins_while_the_last_one_leaves() -> None:
    s = JoiningRoom()
    ann, bob = s.member(), s.member("bob")
    options = RoomOptions(slow=Slow.DROP_OLDEST, presence=True)
    first = asyncio.create_task(s.membership.join(ann, "r", options))
    await settle()
    await s.answer_all()
    await first
    second = asyncio.create_task(s.membership.join(bob, "r", options))
    await settle()
    s.membership.gone(ann)
    await s.answer_all()
    await second
    assert s.fanout.treatment(ROOM) is Slow.DROP_OLDEST
    s.membership.gone(bob)
    assert s.fanout.treatment(ROOM) is Slow.DISCONNECT
    await s.is_empty()


async def test_joins_of_one_at_once_are_counted_together() -> None:
    s = JoiningRoom()
    ann = s.member()
    tasks = [await s.join(ann, room, presence=False) for room in ("a", "b", "c")]
    assert isinstance(tasks[2].exception(), TooManyRooms)
    while s.broker.pending:
        await s.broker.pending[0].ok()
    assert [task.exception() for task in tasks[:2]] == [None, None]
    assert sorted(s.registry.rooms(ann)) == ["a", "b"]
    assert not len(s.membership)
    s.membership.gone(ann)
    await s.is_empty()


async def test_who_is_joining_cannot_leave_yet_and_misses_nothing_by_trying() -> None:
    s = JoiningRoom()
    ann = s.member()
    task = await s.join(ann)
    await s.up_to("members room:r")
    s.send()
    with pytest.raises(NotJoined):
        s.membership.leave(ann, "r")
    assert ann.told == []
    await s.answer_all()
    assert task.done()
    assert ann.types == ["room_joined", "m"]
    s.membership.gone(ann)
    await s.is_empty()


async def test_one_who_joins_again_is_told_of_members_after_it_was_told_who_they_were() -> None:
    """Else it would take the older list for the newer one."""
    s = JoiningRoom()
    ann = s.member()
    await s.joined(ann)
    task = await s.join(ann)
    s.send(Kind.NOTICE, b'{"type":"user_left_room"}')
    s.send()
    await s.broker.only("members room:r").ok(["ann", "bob"])
    await task
    assert ann.types == ["room_joined", "room_joined", "user_left_room", "m"]
    # Nor is anything lost where that fails.
    task = await s.join(ann)
    s.send(Kind.NOTICE, b'{"type":"user_left_room"}')
    await s.broker.only("members room:r").fail()
    assert isinstance(task.exception(), Unavailable)
    assert ann.types[4:] == ["user_left_room"]
