"""Joining a room that keeps what was said, for the first time and again, and the user's own room."""

import asyncio

import pytest

from hubbub.errors import NotJoined, Unavailable
from hubbub.options import History, RoomOptions
from hubbub.protocol.envelope import Kind
from hubbub.protocol.join_room import Since
from hubbub.rooms.joins import Allowed
from hubbub.testing import settle
from hubbub.types import Position, RoomName, user_topic
from tests.kit.joining import KEEP, STEPS, JoiningRoom, message
from tests.kit.recipients import Reader


async def test_where_history_is_the_answer_says_where_it_begins_and_nothing_comes_twice() -> None:
    s = JoiningRoom()
    ann, bob = s.member(), s.member("bob")
    task = await s.join(ann, presence=False, keep=KEEP, id=1)
    await s.broker.only("subscribe room:r").ok()
    await s.broker.only("enter occupied").ok()
    read = s.broker.only("read room:r")
    s.send(offset=3)
    s.send(Kind.NOTICE, b'{"type":"n"}')
    await s.answer(read, top=3)
    assert task.done()
    assert ann.told == [{"type": "room_joined", "room": "r", "epoch": "e", "offset": 3, "id": 1}, {"type": "n"}]
    s.send(offset=4)
    await (await s.join(bob, presence=False, keep=KEEP))
    assert bob.told == [{"type": "room_joined", "room": "r", "epoch": "e", "offset": 4}]
    s.send(offset=5)
    assert ann.told[2:] == [{"type": "m", "offset": 4}, {"type": "m", "offset": 5}]
    assert bob.told[1:] == [{"type": "m", "offset": 5}]
    for each in (ann, bob):
        s.membership.gone(each)
    await s.is_empty()


async def test_what_was_missed_comes_after_the_answer_and_before_what_is_live() -> None:
    s = JoiningRoom()
    ann = s.member()
    task = await s.join(ann, presence=False, keep=KEEP, since=Since("e", 1))
    await s.broker.only("subscribe room:r").ok()
    await s.broker.only("enter occupied").ok()
    await s.answer(s.broker.only("read room:r"), 1, 2, 3, top=3)
    assert task.done()
    s.send(offset=4)
    assert ann.told[0] == {"type": "room_joined", "room": "r", "epoch": "e", "offset": 3, "recovered": True}
    assert ann.told[1:] == [{"type": "m", "offset": offset} for offset in (2, 3, 4)]
    s.membership.gone(ann)
    await s.is_empty()


async def rejoining(s: JoiningRoom, ann: Reader, since: Since) -> asyncio.Task[None]:
    """A member that has been sent 1 and 2 joins again, and the answer is on its way."""
    await s.joined(ann, KEEP)
    s.send(offset=1)
    s.send(offset=2)
    assert [each.get("offset") for each in ann.told] == [0, 1, 2]
    return await s.join(ann, presence=False, keep=KEEP, since=since)


async def test_a_member_that_joins_again_is_handed_what_it_missed_in_one_order_with_what_is_live() -> None:
    s = JoiningRoom()
    ann = s.member()
    task = await rejoining(s, ann, Since("e", 1))
    read = s.broker.only("read room:r")
    s.send(offset=3)
    s.send(Kind.NOTICE, b'{"type":"n"}')
    assert len(ann.told) == 3
    await s.answer(read, 1, 2, top=2)
    assert task.done()
    assert ann.told[3] == {"type": "room_joined", "room": "r", "epoch": "e", "offset": 3, "recovered": True}
    assert ann.told[4:] == [{"type": "m", "offset": 2}, {"type": "m", "offset": 3}, {"type": "n"}]
    s.membership.gone(ann)
    await s.is_empty()


async def test_a_member_that_could_not_join_again_gets_what_came_meanwhile() -> None:
    s = JoiningRoom()
    ann = s.member()
    task = await rejoining(s, ann, Since("e", 1))
    s.send(offset=3)
    await s.broker.only("read room:r").fail()
    assert isinstance(task.exception(), Unavailable)
    s.send(offset=4)
    assert [each.get("offset") for each in ann.told] == [0, 1, 2, 3, 4]
    s.membership.gone(ann)
    await s.is_empty()


@pytest.mark.parametrize("way", ["the room is closed", "the application lets it leave"])
async def test_a_member_that_leaves_while_it_joins_again_gets_nothing_afterwards(way: str) -> None:
    s = JoiningRoom()
    ann = s.member()
    task = await rejoining(s, ann, Since("e", 1))
    read = s.broker.only("read room:r")
    s.send(offset=3)
    if way == "the room is closed":
        s.send(Kind.CLOSE_ROOM, b"closed")
    else:
        s.membership.leave(ann, "r")
    s.send(offset=4)
    await s.answer(read, 1, 2, top=2)
    assert isinstance(task.exception(), NotJoined)
    assert ann.types == ["room_joined", "m", "m", "m", "room_left"]
    assert not len(s.membership)
    await s.is_empty()


@pytest.mark.parametrize("keep", [None, KEEP])
async def test_without_a_member_that_asks_the_own_room_is_only_answered(keep: History | None) -> None:
    s = JoiningRoom()
    ann = s.member()
    task = asyncio.create_task(s.membership.join_own(ann, keep, id=1))
    await settle()
    if keep:
        await s.answer(s.broker.only("read user:ann"), top=7)
    await task
    position = {"epoch": "e", "offset": 7} if keep else {}
    assert ann.told == [{"type": "room_joined", "room": "@me", **position, "id": 1}]


async def test_the_own_room_is_handed_out_as_a_room_is() -> None:
    s = JoiningRoom()
    ann, tab = s.member(), Reader("ann", s.turn, tab="tab")
    s.registry.add(tab, "ann")
    task = asyncio.create_task(s.membership.join_own(ann, KEEP, since=Since("e", 1)))
    await settle()
    read = s.broker.only("read user:ann")
    s.positions.deliver(user_topic("ann"), message(3), Position("e", 3))
    assert ann.told == tab.told == []
    await s.answer(read, 1, 2, 3, top=3)
    await task
    assert ann.told[0] == {"type": "room_joined", "room": "@me", "epoch": "e", "offset": 3, "recovered": True}
    assert ann.told[1:] == [{"type": "m", "offset": 2}, {"type": "m", "offset": 3}]
    assert tab.told == []


async def test_the_own_room_without_an_inbox_has_nothing_to_recover() -> None:
    s = JoiningRoom()
    ann = s.member()
    await s.membership.join_own(ann, None, since=Since("e", 1))
    assert ann.told == [{"type": "room_joined", "room": "@me", "recovered": False}]


async def test_the_own_room_of_one_that_went_or_whose_broker_is_away() -> None:
    s = JoiningRoom()
    ann = s.member()
    task = asyncio.create_task(s.membership.join_own(ann, KEEP, since=Since("e", 1)))
    await settle()
    await s.broker.only("read user:ann").fail()
    assert isinstance(task.exception(), Unavailable)
    task = asyncio.create_task(s.membership.join_own(ann, KEEP, since=Since("e", 1)))
    await settle()
    s.membership.gone(ann)
    await s.answer(s.broker.only("read user:ann"), top=1)
    await task
    assert ann.told == []
    assert not len(s.fanout)


async def test_who_comes_at_once_shares_what_is_asked() -> None:
    """Of a thousand that come back together each sees itself, and the broker is asked twice."""
    s = JoiningRoom()
    first = s.member("first")
    await s.joined(first, KEEP)
    everybody = [s.member(f"u{number}") for number in range(1000)]
    for each in everybody:
        each.writer.read.clear()
    s.broker.log.clear()
    tasks = [await_join(s, each) for each in everybody]
    await settle()
    while s.broker.pending:
        for call in list(s.broker.pending):
            if call.name == "members":
                await call.ok(sorted(each.user.id for each in everybody))
            else:
                await s.answer(call, 1, top=1)
    assert all(task.done() and not task.exception() for task in tasks)
    assert sum(call.startswith("members") for call in s.broker.log) <= 2
    assert sum(call.startswith("read") for call in s.broker.log) <= 2
    assert all(each.user.id in each.told[0]["members"] for each in everybody)
    for each in (first, *everybody):
        s.membership.gone(each)
    await s.is_empty()


def await_join(s: JoiningRoom, member: Reader) -> asyncio.Task[None]:
    options = RoomOptions(presence=True, history=KEEP)
    return asyncio.create_task(s.membership.join(member, "r", options, since=Since("e", 0)))


async def test_one_who_joins_again_and_asks_for_nothing_gets_what_is_kept_as_it_comes() -> None:
    """The answer says where the history stands, and what is before that must not come after it."""
    s = JoiningRoom()
    ann = s.member()
    await s.joined(ann, KEEP)
    task = await s.join(ann, keep=KEEP)
    s.send(offset=1)
    s.send(Kind.NOTICE, b'{"type":"user_left_room"}')
    s.send(offset=2)
    assert [each.get("offset", each["type"]) for each in ann.told[1:]] == [1, 2]
    await s.answer_all()
    await task
    assert [each.get("offset", each["type"]) for each in ann.told[1:]] == [1, 2, 2, "user_left_room"]
    assert ann.told[3]["type"] == "room_joined"


async def test_who_may_not_read_what_is_kept_is_handed_nothing_and_loses_nothing_that_comes_meanwhile() -> None:
    s = JoiningRoom()
    ann = s.member()
    deaf = Allowed(history=False)
    task = await s.join(ann, keep=KEEP, since=Since("e", 1), allowed=deaf)
    for step in STEPS[:-1]:
        await s.answer(s.broker.only(step))
    await s.answer(s.broker.only("read room:r"), 1, 2, top=2)
    await task
    assert ann.told == [{"type": "room_joined", "room": "r", "members": ["ann"], "recovered": False}]
    task = await s.join(ann, keep=KEEP, since=Since("e", 1), allowed=deaf)
    s.send(offset=3)
    assert ann.told[1:] == [{"type": "m", "offset": 3}], "as it comes"
    await s.answer_all()
    await task
    s.send(offset=4)
    assert ann.told[2:] == [ann.told[0], {"type": "m", "offset": 4}]
    s.membership.gone(ann)
    await s.is_empty()


async def test_who_may_not_see_who_is_there_is_told_of_it_again_when_it_may_or_is_out() -> None:
    s = JoiningRoom()
    ann = s.member()
    blind = Allowed(presence=False)
    task = await s.join(ann, allowed=blind)
    s.send(Kind.NOTICE, b'{"type":"n"}')
    await s.answer_all()
    await task
    s.send(Kind.NOTICE, b'{"type":"n"}')
    s.send()
    assert ann.told == [{"type": "room_joined", "room": "r"}, {"type": "m"}]
    assert ann.blind == {"r"}
    task = await s.join(ann)
    await s.answer_all()
    await task
    s.send(Kind.NOTICE, b'{"type":"n"}')
    assert ann.told[2:] == [{"type": "room_joined", "room": "r", "members": ["ann"]}, {"type": "n"}]
    for ends in (lambda: s.membership.leave(ann, RoomName("r")), lambda: s.membership.gone(ann)):
        task = await s.join(ann, allowed=blind)
        await s.answer_all()
        await task
        ends()
        assert ann.blind == frozenset()
    await s.is_empty()


async def test_of_a_join_that_fails_nothing_is_left() -> None:
    s = JoiningRoom()
    ann = s.member()
    task = await s.join(ann, allowed=Allowed(presence=False))
    await s.broker.only("subscribe room:r").fail()
    assert isinstance(task.exception(), Unavailable)
    assert ann.blind == frozenset()


async def test_who_is_told_again_is_told_what_it_may_see_by_then() -> None:
    s = JoiningRoom()
    ann = s.member()
    await s.joined(ann)
    # It joins again, and may see less from now on; what was left out of notices is told behind that.
    joining = await s.join(ann, allowed=Allowed(presence=False, history=False), keep=KEEP)
    telling = asyncio.create_task(s.membership.tell_again(ann, RoomName("r"), RoomOptions(presence=True, history=KEEP)))
    await settle()
    while not (joining.done() and telling.done()):
        await s.answer_all()
        await settle()
    assert await telling
    assert ann.told[1:] == [{"type": "room_joined", "room": "r"}] * 2
    s.membership.gone(ann)
    await s.is_empty()
