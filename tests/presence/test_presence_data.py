"""What users show, over several nodes: whoever dies, comes late or is forgotten, all see the same, and are told so.

The file is longer than others: one hub and one way to see it, `Seen`, serve all of it.
"""

from collections.abc import Callable
from typing import Any

import pytest

from hubbub import Connection, Hub, InvalidMessage, NotJoined
from hubbub.options import Leaving, Limits
from hubbub.testing import Network, Refusal, Tab
from hubbub.testing.broker import NetworkBroker
from tests.kit.inside import inside

ASKED = ["presence"]


def making(network: Network, *, grace: float = 0.0, limits: Limits | None = None) -> Callable[[NetworkBroker], Hub]:
    def make(broker: NetworkBroker) -> Hub:
        hub = Hub(broker=broker, clock=network.clock, leaving=Leaving(grace=grace), limits=limits)

        @hub.rooms("room:{name}", presence=True, presence_data=True)
        async def single(name: str) -> bool:
            return True

        @hub.rooms("diff:{name}", presence="diff", presence_data=True)
        async def diff(name: str) -> bool:
            return True

        @hub.rooms("plain:{name}", presence=True)
        async def plain(name: str) -> bool:
            return True

        return hub

    return make


def name(of: str) -> dict[str, Any]:
    return {"name": of}


async def show(tab: Tab, of: str, **where: str) -> None:
    await tab.ask({"type": "set_presence", "presence": {"name": of} if of else {}, **where})


class Seen:
    """What a client that does as the page says knows of a room, from what it was told."""

    def __init__(self, tab: Tab, room: str) -> None:
        self._tab, self._room = tab, room

    @property
    def now(self) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for message in self._tab.log:
            if message.get("room") != self._room:
                continue
            match message["type"]:
                case "room_joined":
                    seen = {user: {} for user in message["members"]}
                case "user_joined_room":
                    seen[message["user"]] = {}
                case "user_left_room":
                    seen.pop(message["user"], None)
                case "presence_diff":
                    for user in message["left"]:
                        seen.pop(user, None)
                    seen |= {user: {} for user in message["joined"]}
            seen |= {user: shown for user, shown in message.get("presence", {}).items() if user in seen}
        return seen


@pytest.mark.parametrize("room", ["room:a", "diff:a"])
async def test_all_see_what_the_newest_tab_shows_and_then_the_next_newest(room: str) -> None:
    network = Network()
    async with (
        network.node(making(network)) as one,
        network.node(making(network)) as two,
        Tab(one, "ann", features=ASKED) as first,
        Tab(two, "ann", features=ASKED) as second,
        Tab(one, "ann", features=ASKED) as third,
        Tab(two, "bob", features=ASKED) as bob,
        Tab(two, "old") as old,
    ):
        seen = Seen(bob, room)
        for tab in (bob, first, second, third, old):
            await tab.join(room)

        async def told() -> Any:
            await network.clock.advance(1)
            for tab in (first, bob):
                await tab.caught_up()
            late = Tab(one, "late", features=ASKED)
            async with late:
                joined = await late.join(room)
            assert joined["presence"] == {user: shown for user, shown in seen.now.items() if shown}
            return seen.now["ann"]

        assert await told() == {}
        await show(first, "first")
        assert await told() == name("first")
        await show(second, "second", room=room)
        await show(third, "third")
        assert await told() == name("third")
        await third.close()
        assert await told() == name("second")
        await show(first, "first again")
        assert await told() == name("first again")
        await show(first, "")
        assert await told() == name("second")
        await second.close()
        assert await told() == {}
        assert Seen(first, room).now["ann"] == {}
        assert {message["type"] for message in old.log} <= {
            "welcome", "room_joined", "user_joined_room", "user_left_room", "presence_diff",
        }  # fmt: skip
        assert not any("presence" in message or "features" in message for message in old.log)


@pytest.mark.parametrize("room", ["room:a", "diff:a"])
async def test_what_a_dead_node_showed_goes_with_its_lease_and_the_next_newest_is_told(room: str) -> None:
    network = Network()
    async with (
        network.node(making(network)) as one,
        network.node(making(network)) as two,
        network.node(making(network)) as three,
        Tab(one, "ann", features=ASKED) as ann,
        Tab(two, "ann", features=ASKED) as other,
        Tab(two, "cid", features=ASKED) as cid,
        Tab(three, "bob", features=ASKED) as bob,
    ):
        for tab, shown in ((ann, "one"), (other, "two"), (cid, "cid"), (bob, "bob")):
            await show(tab, shown)
            await tab.join(room)
        await network.clock.advance(1)
        assert Seen(bob, room).now == {"ann": name("two"), "bob": name("bob"), "cid": name("cid")}
        await two.kill()
        await network.clock.advance(11)
        assert Seen(bob, room).now == {"ann": name("one"), "bob": name("bob")}
        assert Seen(ann, room).now == Seen(bob, room).now == await three.hub.room(room).presence()


async def test_what_is_shown_is_there_again_after_the_broker_forgot_everything() -> None:
    network = Network()
    async with (
        network.node(making(network)) as one,
        network.node(making(network)) as two,
        Tab(one, "ann", features=ASKED) as ann,
        Tab(two, "ann", features=ASKED) as newer,
        Tab(two, "bob", features=ASKED) as bob,
    ):
        for tab in (ann, newer, bob):
            await tab.join("room:a")
        await show(newer, "newer")
        await show(ann, "newest")
        await show(bob, "bob")
        before = len(bob.log)
        await network.clock.advance(1)
        network.flush()
        # One has something to say before it is told again what was said before.
        await show(newer, "anew")
        await network.clock.advance(20)
        await bob.caught_up()
        assert await one.hub.room("room:a").presence() == {"ann": name("anew"), "bob": name("bob")}
        assert Seen(bob, "room:a").now == {"ann": name("anew"), "bob": name("bob")}
        assert [each["type"] for each in bob.log[before:] if each["type"] not in ("ping", "pong")] == ["user_presence"]
        await newer.close()
        await bob.until(lambda: Seen(bob, "room:a").now["ann"] == name("newest"), "the next newest")


async def test_who_was_taken_for_gone_and_shows_something_before_the_lease_is_renewed_is_announced() -> None:
    """Not as one who has been there all the time and looks different: the others were told that it had left."""
    network = Network()
    async with (
        network.node(making(network)) as one,
        network.node(making(network)) as two,
        Tab(one, "ann", features=ASKED) as ann,
        Tab(two, "bob", features=ASKED) as bob,
        Tab(two, "cid") as cid,
    ):
        for tab in (ann, bob, cid):
            await tab.join("room:a")
        await show(ann, "before")
        one.broker.partition()
        await network.clock.advance(9.5)
        for tab in (bob, cid):
            await tab.receive("user_left_room", user="ann")
        one.broker.heal()
        await show(ann, "again")
        for tab in (bob, cid):
            await tab.receive("user_joined_room", user="ann")
        await network.clock.advance(9.5)
        await bob.caught_up()
        assert Seen(bob, "room:a").now["ann"] == name("again")
        assert len(cid.received("user_joined_room")) == 1


@pytest.mark.parametrize("back", [True, False])
async def test_what_a_lost_tab_showed_does_not_stay_where_all_is_said_again_before_its_grace_is_over(
    *, back: bool
) -> None:
    network = Network()
    async with (
        network.node(making(network, grace=5.0)) as one,
        network.node(making(network, grace=5.0)) as two,
        Tab(one, "ann", features=ASKED) as ann,
        Tab(two, "ann", features=ASKED) as other,
        Tab(two, "bob", features=ASKED) as bob,
    ):
        for tab in (ann, other, bob):
            await tab.join("room:a")
        await show(other, "older")
        await show(ann, "newest")
        await ann.drop()
        await network.clock.advance(1)
        await inside(one.hub).parts.presence.reassert()
        if back:
            await ann.reconnect()
            await ann.join("room:a")
        await network.clock.advance(10)
        await bob.caught_up()
        assert await two.hub.room("room:a").presence() == {"ann": name("older"), "bob": {}}
        assert Seen(bob, "room:a").now["ann"] == name("older")


async def test_a_change_that_the_broker_could_not_be_told_is_told_later() -> None:
    network = Network()
    async with (
        network.node(making(network)) as one,
        network.node(making(network)) as two,
        Tab(one, "ann", features=ASKED) as ann,
        Tab(two, "bob", features=ASKED) as bob,
    ):
        await ann.join("room:a")
        await bob.join("room:a")
        one.broker.partition()
        with pytest.raises(Refusal, match="unavailable"):
            await show(ann, "late")
        one.broker.heal()
        one.broker.reconnect()
        await bob.receive("user_presence", presence={"ann": name("late")})
        assert inside(one.hub).parts.left_over().keys() >= {"presences"}


async def test_a_page_that_is_reloaded_within_the_grace_shows_what_it_shows_now() -> None:
    network = Network()
    async with network.node(making(network, grace=5.0)) as one, Tab(one, "bob", features=ASKED) as bob:
        await bob.join("room:a")
        async with Tab(one, "ann", features=ASKED) as ann:
            await ann.join("room:a")
            await show(ann, "before")
            await ann.drop()
            await network.clock.advance(1)
            assert Seen(bob, "room:a").now["ann"] == name("before")
            await ann.reconnect()
            await ann.join("room:a")
        await network.clock.advance(1)
        await bob.caught_up()
        assert "user_left_room" not in [each["type"] for each in bob.log]
        assert Seen(bob, "room:a").now["ann"] == {}
        await network.clock.advance(10)
        await bob.receive("user_left_room", user="ann")


async def test_what_is_set_without_a_room_is_shown_in_all_and_in_those_joined_later() -> None:
    network = Network()
    async with (
        network.node(making(network)) as one,
        Tab(one, "ann", features=ASKED) as ann,
        Tab(one, "bob", features=ASKED) as bob,
    ):
        for room in ("room:a", "room:b", "plain:c"):
            await bob.join(room)
        await show(ann, "early")
        assert (await ann.join("room:a"))["presence"] == {"ann": name("early")}
        assert "presence" not in await ann.join("plain:c")
        await show(ann, "here", room="room:a")
        assert (await ann.join("room:b"))["presence"] == {"ann": name("early")}
        await show(ann, "everywhere")
        await bob.caught_up()
        assert [Seen(bob, room).now["ann"] for room in ("room:a", "room:b")] == [name("everywhere")] * 2
        with pytest.raises(Refusal) as refused:
            await show(ann, "x", room="plain:c")
        assert (refused.value.error["code"], refused.value.error["field"]) == ("invalid_message", "room")
        with pytest.raises(Refusal) as refused:
            await show(ann, "x", room="room:d")
        assert (refused.value.error["code"], refused.value.error["field"]) == ("not_joined", "room")
        await ann.leave("room:a")
        await ann.join("room:a")
        await bob.caught_up()
        assert Seen(bob, "room:a").now["ann"] == name("everywhere")


async def test_the_application_shows_something_and_an_authenticator_brings_it() -> None:
    network = Network()
    seen: list[Any] = []

    def make(broker: NetworkBroker) -> Hub:
        hub = making(network)(broker)

        @hub.rooms("checked:{name}", presence=True, presence_data=True)
        async def check(name: str, connection: Connection) -> bool:
            seen.append(connection)
            await connection.set_presence({"name": name})
            return True

        return hub

    async with network.node(make) as one, Tab(one, "bob", features=ASKED) as bob, Tab(one, "ann") as ann:
        await bob.join("checked:a")
        await ann.join("checked:a")
        connection = seen[1]
        assert Seen(bob, "checked:a").now == {"ann": name("a"), "bob": name("a")}
        await connection.set_presence({"name": "here"}, room="checked:a")
        assert (await bob.receive("user_presence", user="ann"))["presence"] == {"ann": name("here")}
        with pytest.raises(NotJoined):
            await connection.set_presence({}, room="checked:b")
        for wrong in ([], None, {"name": "x" * 1100}, {"name": object()}):
            with pytest.raises(InvalidMessage, match=r"^presence "):
                await connection.set_presence(wrong)
        await connection.set_presence({})
        assert (await bob.receive("user_presence", user="ann"))["presence"] == {"ann": {}}


async def test_what_does_not_fit_one_answer_is_counted() -> None:
    network = Network()
    limits = Limits(payload=200, outbox=10_000)
    async with (
        network.node(making(network, limits=limits)) as one,
        Tab(one, "ann", features=ASKED) as ann,
        Tab(one, "bob", features=ASKED) as bob,
        Tab(one, "cid", features=ASKED) as cid,
    ):
        for tab in (ann, bob):
            await show(tab, "x" * 90)
            await tab.join("room:a")
        await show(cid, "cid")
        joined = await cid.join("room:a")
        assert joined["members"] == ["ann", "bob", "cid"]
        assert joined["presence"].keys() == {"ann"}
        assert joined["presence_left_out"] == 2
        assert (await one.hub.room("room:a").presence()).keys() == {"ann", "bob", "cid"}


async def test_nothing_is_left_of_those_who_went() -> None:
    network = Network()
    async with network.node(making(network)) as one:
        for leaves in (True, False):
            async with Tab(one, "ann", features=ASKED) as ann, Tab(one, "ann", features=ASKED) as other:
                for tab in (ann, other):
                    await tab.join("room:a")
                    await tab.join("diff:a")
                    await show(tab, "ann")
                if leaves:
                    await ann.leave("room:a")
        await network.clock.advance(30)
        assert inside(one.hub).parts.left_over() == {}
        assert await one.hub.room("room:a").presence() == {}
