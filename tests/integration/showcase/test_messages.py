"""Messages to one user, to everyone, and to a room one is not in."""

import asyncio
from contextlib import AsyncExitStack

from tests.integration.showcase.people import fresh, http
from tests.kit.client import Tab
from tests.kit.running import Served


async def test_welcome_comes_first_and_says_who_and_where(showcase: Served) -> None:
    ann = fresh("ann")
    async with Tab(showcase.ws, user=ann) as tab:
        assert tab.log[0] == tab.welcome
        assert tab.welcome == {
            "type": "welcome",
            "status": "authenticated",
            "connection": tab.welcome["connection"],
            "user": ann,
            "node": tab.welcome["node"],
            "heartbeat": {"interval": 25_000, "timeout": 10_000},
        }
        assert isinstance(tab.welcome["connection"], str)
        assert isinstance(tab.welcome["node"], str)


async def test_every_tab_of_a_user_is_a_connection_of_its_own(showcase: Served) -> None:
    ann = fresh("ann")
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(Tab(showcase.ws, user=ann)) for _ in range(5)]
        assert {tab.welcome["user"] for tab in tabs} == {ann}
        assert len({tab.welcome["connection"] for tab in tabs}) == 5


async def test_a_direct_message_reaches_all_tabs_of_the_user_and_is_not_echoed(showcase: Served) -> None:
    ann, bob, carl = fresh("ann"), fresh("bob"), fresh("carl")
    async with AsyncExitStack() as stack:
        sender, second = [await stack.enter_async_context(Tab(showcase.ws, user=ann)) for _ in range(2)]
        tabs = [await stack.enter_async_context(Tab(showcase.ws, user=bob)) for _ in range(3)]
        stranger = await stack.enter_async_context(Tab(showcase.ws, user=carl))
        answer = await sender.request("direct_message", to=bob, content="psst")
        assert {**answer, "id": None} == {"type": "ack", "id": None, "result": {"online": True}}
        for tab in tabs:
            message = await tab.receive("direct_message")
            expected = {"type": "direct_message", "from": ann, "content": "psst", "room": "@me", "offset": 1}
            assert message == expected
        await asyncio.gather(*(tab.nothing("direct_message") for tab in (sender, second, stranger, *tabs)))


async def test_a_direct_message_to_nobody_says_that_the_user_is_not_online(showcase: Served) -> None:
    async with Tab(showcase.ws, user=fresh("ann")) as ann:
        answer = await ann.request("direct_message", to=fresh("nobody"), content="hello?")
        assert (answer["type"], answer["result"]) == ("ack", {"online": False})


async def test_a_user_is_online_until_the_last_tab_is_gone(showcase: Served) -> None:
    bob = fresh("bob")
    async with Tab(showcase.ws, user=fresh("ann")) as ann:

        async def online() -> bool:
            answer = await ann.request("direct_message", to=bob, content="there?")
            return bool(answer["result"]["online"])

        async with Tab(showcase.ws, user=bob):
            async with Tab(showcase.ws, user=bob):
                assert await online()
            assert await online()
        await ann.receive("user_disconnected", user=bob)
        assert not await online()


async def test_a_message_without_an_id_is_not_acknowledged(showcase: Served) -> None:
    ann = fresh("ann")
    async with Tab(showcase.ws, user=ann) as tab:
        await tab.send({"type": "direct_message", "to": ann, "content": "note to myself"})
        await tab.receive("direct_message", content="note to myself")
        await tab.nothing("ack")


async def test_chat_reaches_everyone_and_the_sender_too(showcase: Served) -> None:
    ann = fresh("ann")
    text = fresh("hello")
    async with AsyncExitStack() as stack:
        sender, second = [await stack.enter_async_context(Tab(showcase.ws, user=ann)) for _ in range(2)]
        others = [await stack.enter_async_context(Tab(showcase.ws, user=fresh("guest"))) for _ in range(4)]
        await sender.send({"type": "chat", "content": text})
        for tab in (sender, second, *others):
            assert await tab.receive("chat", content=text) == {"type": "chat", "from": ann, "content": text}
        await asyncio.gather(*(tab.nothing("chat") for tab in (sender, second, *others)))


async def test_who_chats_from_the_own_endpoint_and_as_a_guest_meet(showcase: Served) -> None:
    async with http(showcase) as client:
        ann = fresh("ann")
        token = (await client.post("/login", json={"name": ann})).json()["token"]
    room = fresh("tea")
    async with Tab(showcase.ws, token=token) as member, Tab(showcase.ws, user=fresh("bob")) as guest:
        await member.join(room)
        await guest.join(room)
        await member.send({"type": "room_message", "room": room, "content": "one hub"})
        assert (await guest.receive("room_message"))["from"] == ann
        await guest.send({"type": "direct_message", "to": ann, "content": "indeed"})
        assert (await member.receive("direct_message"))["from"] == guest.welcome["user"]


async def test_a_guest_may_have_a_name_with_spaces_and_letters_of_any_script(showcase: Served) -> None:
    name = f"Jürgen 小 {fresh('x')}"
    async with Tab(showcase.ws, user=name) as tab:
        assert tab.welcome["user"] == name


async def test_a_message_to_a_room_one_is_not_in_is_refused_and_delivered_to_nobody(showcase: Served) -> None:
    room = fresh("private")
    async with Tab(showcase.ws, user=fresh("ann")) as ann, Tab(showcase.ws, user=fresh("bob")) as bob:
        await ann.join(room)
        answer = await bob.request("room_message", room=room, content="let me in")
        assert (answer["type"], answer["code"]) == ("error", "not_joined")
        await ann.nothing("room_message")


async def test_everyone_but_the_user_is_told_who_connects_and_disconnects(showcase: Served) -> None:
    ann = fresh("ann")
    async with Tab(showcase.ws, user=fresh("watcher")) as watcher:
        async with Tab(showcase.ws, user=ann) as first:
            assert await watcher.receive("user_connected", user=ann) == {"type": "user_connected", "user": ann}
            async with Tab(showcase.ws, user=ann) as second:
                await second.nothing("user_connected")
            assert ann not in [said["user"] for said in first.received("user_connected")]
            await first.nothing("user_disconnected")
        left = await watcher.receive("user_disconnected", user=ann)
        assert left == {"type": "user_disconnected", "user": ann}
        told = [said["type"] for said in watcher.log if said.get("user") == ann]
        assert told == ["user_connected", "user_disconnected"]
