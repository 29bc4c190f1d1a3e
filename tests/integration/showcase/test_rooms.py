"""Joining, leaving, and who is told."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.integration.showcase.people import fresh, nobody_left, stats
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.waiting import until


async def test_the_joiner_gets_the_members_sorted_and_is_one_of_them(showcase: Served) -> None:
    room = fresh("tea")
    names = sorted(fresh(name) for name in ("carl", "ann", "bob"))
    carl, ann, bob = names[2], names[0], names[1]
    async with (
        Tab(showcase.ws, user=carl) as first,
        Tab(showcase.ws, user=ann) as second,
        Tab(showcase.ws, user=bob) as third,
    ):
        assert (await first.join(room))["members"] == [carl]
        assert (await second.join(room))["members"] == [ann, carl]
        assert (await third.join(room))["members"] == [ann, bob, carl]


async def test_room_joined_has_exactly_what_the_protocol_says(showcase: Served) -> None:
    room, ann = fresh("tea"), fresh("ann")
    async with Tab(showcase.ws, user=ann) as tab:
        await tab.send({"type": "join_room", "room": room})
        joined = await tab.receive("room_joined")
        expected = {"type": "room_joined", "room": room, "members": [ann], "epoch": joined["epoch"], "offset": 0}
        assert joined == expected
        await tab.send({"type": "leave_room", "room": room})
        assert await tab.receive("room_left") == {"type": "room_left", "room": room}
        again = await tab.request("join_room", room=room)
        assert again == {**expected, "id": again["id"]}
        left = await tab.request("leave_room", room=room)
        assert left == {"type": "room_left", "room": room, "id": left["id"]}


async def test_a_room_message_reaches_the_members_with_the_room_and_the_sender_too(showcase: Served) -> None:
    room, ann = fresh("tea"), fresh("ann")
    async with (
        Tab(showcase.ws, user=ann) as sender,
        Tab(showcase.ws, user=fresh("bob")) as member,
        Tab(showcase.ws, user=fresh("carl")) as outsider,
    ):
        await sender.join(room)
        await member.join(room)
        await outsider.join(fresh("coffee"))
        answer = await sender.request("room_message", room=room, content="hello")
        assert answer == {"type": "ack", "id": answer["id"]}
        expected = {"type": "room_message", "room": room, "from": ann, "content": "hello", "offset": 1}
        assert await member.receive("room_message") == expected
        # The sender's copy and its `ack` come in either order.
        await until(_came(sender, "room_message"), "the sender gets its own message")
        assert sender.received("room_message") == [expected]
        await asyncio.gather(*(tab.nothing("room_message") for tab in (sender, member, outsider)))


async def test_members_are_told_of_the_first_tab_in_and_the_last_tab_out_only(showcase: Served) -> None:
    room, ann, bob = fresh("tea"), fresh("ann"), fresh("bob")
    async with Tab(showcase.ws, user=ann) as watcher:
        await watcher.join(room)
        async with Tab(showcase.ws, user=bob) as first:
            await first.join(room)
            joined = await watcher.receive("user_joined_room")
            assert joined == {"type": "user_joined_room", "room": room, "user": bob}
            async with Tab(showcase.ws, user=bob) as second:
                assert (await second.join(room))["members"] == sorted([ann, bob])
                await asyncio.gather(watcher.nothing("user_joined_room"), first.nothing("user_joined_room"))
                await first.request("leave_room", room=room)
                await watcher.nothing("user_left_room")
                await second.request("leave_room", room=room)
                left = await watcher.receive("user_left_room")
                assert left == {"type": "user_left_room", "room": room, "user": bob}
                # Out of the room is not gone: neither tab is told of itself.
                await asyncio.gather(*(tab.nothing("user_left_room") for tab in (first, second, watcher)))


async def test_a_tab_that_closes_leaves_its_rooms(showcase: Served) -> None:
    one, two, bob = fresh("tea"), fresh("coffee"), fresh("bob")
    async with Tab(showcase.ws, user=fresh("ann")) as watcher:
        await watcher.join(one)
        await watcher.join(two)
        async with Tab(showcase.ws, user=bob) as tab:
            await tab.join(one)
            await tab.join(two)
        await until(_came(watcher, "user_left_room", 2), "bob's leave is told in both rooms")
        left = watcher.received("user_left_room")
        assert sorted((said["room"], said["user"]) for said in left) == sorted([(one, bob), (two, bob)])
        assert (await watcher.join(one))["members"] == [watcher.welcome["user"]]


async def test_after_room_left_nothing_of_the_room_comes(showcase: Served) -> None:
    room = fresh("tea")
    async with Tab(showcase.ws, user=fresh("ann")) as ann, Tab(showcase.ws, user=fresh("bob")) as bob:
        await ann.join(room)
        await bob.join(room)
        await bob.request("leave_room", room=room)
        await ann.receive("user_left_room")
        await ann.request("room_message", room=room, content="about bob")
        await bob.nothing("room_message")
        answer = await bob.request("room_message", room=room, content="and me?")
        assert answer["code"] == "not_joined"


async def test_joining_twice_answers_again_and_tells_nobody(showcase: Served) -> None:
    room, bob = fresh("tea"), fresh("bob")
    async with Tab(showcase.ws, user=fresh("ann")) as watcher, Tab(showcase.ws, user=bob) as tab:
        await watcher.join(room)
        first, again = await tab.join(room), await tab.join(room)
        assert {**first, "id": 0} == {**again, "id": 0}
        await watcher.receive("user_joined_room", user=bob)
        await watcher.nothing("user_joined_room")
        await tab.request("room_message", room=room, content="once")
        await watcher.receive("room_message")
        await asyncio.gather(tab.nothing("room_message"), watcher.nothing("room_message"))
        await tab.request("leave_room", room=room)
        assert (await tab.request("leave_room", room=room))["code"] == "not_joined"


async def test_since_is_answered_with_recovered_false_where_nothing_is_kept(showcase: Served) -> None:
    room = "dashboard"
    async with Tab(showcase.ws, user=fresh("ann")) as ann:
        for since in ({"offset": 0}, {"epoch": "e1", "offset": 7}, {"epoch": None, "offset": 1}):
            joined = await ann.join(room, since=since)
            assert joined["recovered"] is False
            assert {"epoch", "offset"}.isdisjoint(joined)
        assert "recovered" not in await ann.join(room)


async def test_an_empty_room_is_gone_from_the_counts(showcase: Served) -> None:
    await nobody_left(showcase)
    one, two = fresh("tea"), fresh("coffee")

    async def counted(rooms: int, users: int, connections: int) -> None:
        async def so() -> bool:
            said = await stats(showcase)
            return bool((said["rooms"], said["users"], said["connections"]) == (rooms, users, connections))

        await until(so, f"{rooms} rooms, {users} users, {connections} connections in /stats")

    ann = fresh("ann")
    async with Tab(showcase.ws, user=ann) as first, Tab(showcase.ws, user=ann) as second:
        await counted(rooms=0, users=1, connections=2)
        await first.join(one)
        await second.join(one)
        await second.join(two)
        await counted(rooms=2, users=1, connections=2)
        await first.request("leave_room", room=one)
        await second.request("leave_room", room=two)
        await counted(rooms=1, users=1, connections=2)
        await second.request("leave_room", room=one)
        await counted(rooms=0, users=1, connections=2)
    await counted(rooms=0, users=0, connections=0)


async def test_any_room_name_within_the_limits_can_be_joined(showcase: Served) -> None:
    async with Tab(showcase.ws, user=fresh("ann")) as ann:
        suffix = fresh("")
        for room in ("team:7/a b" + suffix, "小房间" + suffix, "{x}%2F?#" + suffix, "r" * (128 - len(suffix)) + suffix):
            assert (await ann.join(room))["room"] == room


def _came(tab: Tab, type: str, count: int = 1) -> Callable[[], Awaitable[bool]]:
    async def came() -> bool:
        return len(tab.received(type)) >= count

    return came
