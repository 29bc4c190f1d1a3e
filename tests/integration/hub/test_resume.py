"""A tab that comes back is handed what it missed, once and in order, or told that it cannot be."""

import pytest
import redis

from hubbub import History, Hub, User
from tests.integration.hub.histories import delete, flush, heard, keeping, say, since
from tests.kit.client import Tab
from tests.kit.serving import Names, at_rest, serving
from tests.kit.waiting import until


async def test_the_first_join_says_where_the_room_is() -> None:
    hub = Hub(auth=Names())
    async with serving(keeping(hub)) as server:
        async with Tab(server.ws, token="ann") as ann, Tab(server.ws, token="bob") as bob:
            joined = await ann.join("kept:a")
            assert joined.keys() == {"type", "room", "epoch", "offset", "id"}
            assert joined["offset"] == 0
            await say(hub, 1, 2)
            assert await heard(ann, 2) == [(1, 1), (2, 2)]
            assert since(await bob.join("kept:a")) == {"epoch": joined["epoch"], "offset": 2}
            assert not bob.received("m")
            plain = await ann.join("open:a")
            assert plain.keys() == {"type", "room", "members", "id"}
            assert (await ann.join("open:a", since={"offset": 0}))["recovered"] is False
        await at_rest(hub)


async def test_a_tab_that_was_away_is_handed_what_it_missed() -> None:
    hub = Hub(auth=Names())
    async with serving(keeping(hub)) as server:
        async with Tab(server.ws, token="ann") as ann:
            joined = await ann.join("kept:a")
            await say(hub, 1)
            await heard(ann, 1)
            await ann.drop()
        await say(hub, 2, 3, 4)
        async with Tab(server.ws, token="ann") as ann:
            again = await ann.join("kept:a", since=since(joined, 1))
            assert (again["recovered"], again["offset"]) == (True, 4)
            assert await heard(ann, 3) == [(2, 2), (3, 3), (4, 4)]
            await say(hub, 5)
            assert await heard(ann, 1) == [(5, 5)]
            assert [each["offset"] for each in ann.received("m")] == [2, 3, 4, 5]


async def test_reconnecting_before_the_first_message_works() -> None:
    hub = Hub(auth=Names())
    async with serving(keeping(hub)) as server:
        async with Tab(server.ws, token="ann") as ann:
            joined = await ann.join("kept:a")
        async with Tab(server.ws, token="ann") as ann:
            again = await ann.join("kept:a", since=since(joined))
            assert (again["recovered"], since(again)) == (True, since(joined))
            await say(hub, 1)
            assert await heard(ann, 1) == [(1, 1)]


async def test_reconnecting_twice_without_traffic_does_not_replay_again() -> None:
    hub = Hub(auth=Names())
    async with serving(keeping(hub)) as server:
        async with Tab(server.ws, token="ann") as ann:
            joined = await ann.join("kept:a")
            await ann.drop()
        await say(hub, 1, 2)
        here = since(joined)
        for expected in ([(1, 1), (2, 2)], [], []):
            async with Tab(server.ws, token="ann") as ann:
                again = await ann.join("kept:a", since=here)
                assert again["recovered"] is True
                assert await heard(ann, len(expected)) == expected
                await ann.nothing("m", during=0.05)
                here = since(again)
        assert here["offset"] == 2


async def test_reconnecting_at_once_under_traffic_loses_and_doubles_nothing() -> None:
    hub = Hub(auth=Names())
    async with serving(keeping(hub)) as server:
        seen: list[int] = []
        here: dict[str, object] | None = None
        for number in range(1, 21):
            async with Tab(server.ws, token="ann") as ann:
                joined = await ann.join("kept:a", **({} if here is None else {"since": here}))
                await say(hub, number)
                await ann.receive("m", n=number)
                assert joined.get("recovered", True)
                seen += [each["offset"] for each in ann.received("m")]
                here = since(joined, seen[-1])
                await ann.drop()
            await say(hub, 1000 + number)
        assert seen == list(range(1, 40))


async def test_a_member_may_join_again_with_since_for_what_it_lost() -> None:
    hub = Hub(auth=Names())
    async with (
        serving(keeping(hub, presence=True)) as server,
        Tab(server.ws, token="ann") as ann,
        Tab(server.ws, token="bob") as bob,
    ):
        joined = await ann.join("kept:a")
        await bob.join("kept:a")
        await say(hub, 1, 2, 3)
        await heard(ann, 3)
        again = await ann.join("kept:a", since=since(joined, 1))
        assert (again["recovered"], again["offset"], again["members"]) == (True, 3, ["ann", "bob"])
        assert await heard(ann, 2) == [(2, 2), (3, 3)]
        await say(hub, 4)
        assert await heard(ann, 1) == [(4, 4)]
        assert await heard(bob, 4) == [(1, 1), (2, 2), (3, 3), (4, 4)]
        assert not bob.received("user_left_room")
        assert (await ann.join("kept:a"))["offset"] == 4
        await ann.nothing("m")


async def test_what_is_kept_from_a_user_is_not_replayed_to_it_and_is_no_loss() -> None:
    hub = Hub(auth=Names())
    async with serving(keeping(hub)) as server:
        async with Tab(server.ws, token="ann") as ann:
            joined = await ann.join("kept:a")
        await say(hub, 1)
        await say(hub, 2, exclude="ann")
        await say(hub, 3, exclude=User("bob"))  # type: ignore[arg-type]
        for name, expected in (("ann", [(1, 1), (3, 3)]), ("bob", [(1, 1), (2, 2)])):
            async with Tab(server.ws, token=name) as tab:
                again = await tab.join("kept:a", since=since(joined))
                assert (again["recovered"], again["offset"]) == (True, 3)
                assert await heard(tab, 2) == expected
                await tab.nothing("m", during=0.05)


@pytest.mark.parametrize(
    ("wanted", "recovered", "offsets"),
    [
        ({"offset": 0}, False, [6, 7, 8, 9, 10]),
        ({"epoch": "other", "offset": 10}, False, []),
        ({"offset": 4}, False, []),
        ({"offset": 5}, True, [6, 7, 8, 9, 10]),
        ({"offset": 11}, False, []),
    ],
)
async def test_what_cannot_be_handed_over_is_said(
    wanted: dict[str, object], recovered: bool, offsets: list[int]
) -> None:
    """Five are kept of ten."""
    hub = Hub(auth=Names())
    async with serving(keeping(hub, History(size=5, ttl=60))) as server:
        await say(hub, *range(1, 11))
        async with Tab(server.ws, token="ann") as ann:
            joined = await ann.join("kept:a", since=wanted)
            assert (joined["recovered"], joined["offset"]) == (recovered, 10)
            await heard(ann, len(offsets))
            await ann.nothing("m", during=0.05)
            assert [each["offset"] for each in ann.received("m")] == offsets


async def test_who_may_no_longer_join_is_handed_nothing() -> None:
    hub, allowed = Hub(auth=Names()), {"ann"}

    @hub.rooms("ours:{name}", history=History(size=5, ttl=60))
    async def ours(name: str, user: User) -> bool:
        return user.id in allowed

    async with serving(keeping(hub)) as server, Tab(server.ws, token="ann") as ann:
        joined = await ann.join("ours:a")
        allowed.clear()
        for _ in range(2):  # as a member, and as one who was put out
            await say(hub, 1, room="ours:a")
            assert (await ann.request("join_room", room="ours:a", since=since(joined)))["code"] == "forbidden"
            await hub.room("ours:a").remove("ann")
        assert [each["offset"] for each in ann.received("m")] == [1]


async def test_more_than_three_hundred_are_not_replayed() -> None:
    hub = Hub(auth=Names())
    async with serving(keeping(hub, History(size=1_000, ttl=60))) as server:
        await say(hub, *range(1, 302))
        async with Tab(server.ws, token="ann") as ann:
            first = await ann.join("kept:a", since={"offset": 1})
            assert (first["recovered"], first["offset"]) == (True, 301)
            assert len(await heard(ann, 300)) == 300
            await say(hub, 302)
            await heard(ann, 1)
        async with Tab(server.ws, token="ann") as ann:
            again = await ann.join("kept:a", since=since(first, 1))
            assert (again["recovered"], again["offset"]) == (False, 302)
            await ann.nothing("m", during=0.05)


async def test_a_slow_reader_in_a_room_with_history_is_told_what_to_ask_for() -> None:
    hub = Hub(auth=Names())
    async with (
        serving(keeping(hub, History(size=200, ttl=60), slow="drop_oldest")) as server,
        Tab(server.ws, token="ann", max_queue=1) as ann,
    ):
        joined = await ann.join("kept:a")
        ann.socket.transport.pause_reading()
        for number in range(1, 101):
            await hub.room("kept:a").send({"type": "m", "n": number, "text": "x" * 100_000})
        ann.socket.transport.resume_reading()
        await ann.receive("m", n=100)
        [gap] = ann.received("gap")
        offsets = [each["offset"] for each in ann.received("m")]
        assert (gap["room"], gap["epoch"]) == ("kept:a", joined["epoch"])
        assert offsets == [each for each in range(1, 101) if not gap["after"] < each <= gap["upto"]]


# Several workers, and a Valkey that loses things.


async def test_a_tab_comes_back_to_another_worker(valkey: str) -> None:
    hubs = [Hub(valkey, auth=Names()) for _ in range(2)]
    async with serving(keeping(hubs[0])) as left, serving(keeping(hubs[1])) as right:
        await until(lambda: all(hub.ready for hub in hubs), "there")
        async with Tab(left.ws, token="ann") as ann:
            joined = await ann.join("kept:a")
            await say(hubs[1], 1)
            assert await heard(ann, 1) == [(1, 1)]
        await say(hubs[0], 2)
        await say(hubs[1], 3)
        async with Tab(right.ws, token="ann") as ann, Tab(left.ws, token="bob") as bob:
            again = await ann.join("kept:a", since=since(joined, 1))
            assert (again["epoch"], again["recovered"], again["offset"]) == (joined["epoch"], True, 3)
            assert await heard(ann, 2) == [(2, 2), (3, 3)]
            await bob.join("kept:a", since={"offset": 0})
            assert await heard(bob, 3) == [(1, 1), (2, 2), (3, 3)]
            await say(hubs[0], 4)
            assert await heard(ann, 1) == await heard(bob, 1) == [(4, 4)]


@pytest.mark.parametrize("gone", [["stream"], ["meta"], ["stream", "meta"], []], ids=["stream", "meta", "both", "all"])
async def test_after_an_eviction_who_comes_back_is_told_what_it_lost(valkey: str, gone: list[str]) -> None:
    """With `all`, by FLUSHALL."""
    hub = Hub(valkey, auth=Names())
    async with serving(keeping(hub)) as server:
        await until(lambda: hub.ready, "there")
        async with Tab(server.ws, token="ann") as ann:
            joined = await ann.join("kept:a")
        await say(hub, 1, 2)
        await at_rest(hub)  # so that nothing is known here any more
        for ending in gone:
            delete(valkey, ending)
        if not gone:
            flush(valkey)
        async with Tab(server.ws, token="ann") as ann:
            again = await ann.join("kept:a", since=since(joined))
            assert again["recovered"] is False
            assert (again["epoch"] == joined["epoch"]) is (gone == ["stream"])
            await say(hub, 3)
            [(number, offset)] = await heard(ann, 1)
            assert (number, offset) == (3, again["offset"] + 1)
        async with Tab(server.ws, token="ann") as ann:
            last = await ann.join("kept:a", since=since(again))
            assert last["recovered"] is True
            assert await heard(ann, 1) == [(3, offset)]


@pytest.mark.parametrize("gone", [["stream"], ["meta"], ["stream", "meta"], []], ids=["stream", "meta", "both", "all"])
async def test_an_eviction_under_a_living_member_is_no_silent_hole(valkey: str, gone: list[str]) -> None:
    """What it got, it keeps; under another epoch it is told so."""
    hub = Hub(valkey, auth=Names())
    async with serving(keeping(hub)) as server:
        await until(lambda: hub.ready, "there")
        async with Tab(server.ws, token="ann") as ann:
            joined = await ann.join("kept:a")
            await say(hub, 1, 2)
            await heard(ann, 2)
            for ending in gone:
                delete(valkey, ending)
            if not gone:
                flush(valkey)
            await say(hub, 3, 4)
            if gone == ["stream"]:
                assert await heard(ann, 2) == [(3, 3), (4, 4)]
                assert not ann.received("gap")
            else:
                gap = await ann.receive("gap")
                assert (gap["room"], gap["after"], gap["upto"]) == ("kept:a", 0, 0)
                assert gap["epoch"] != joined["epoch"]
                assert await heard(ann, 2) == [(3, 1), (4, 2)]


async def test_a_killed_subscription_is_filled_from_history(valkey: str) -> None:
    """what is published while nobody hears it is looked up."""
    hub, other = Hub(valkey, auth=Names()), Hub(valkey, auth=Names())
    async with serving(keeping(hub)) as server, serving(keeping(other)):
        await until(lambda: hub.ready and other.ready, "there")
        async with Tab(server.ws, token="ann") as ann:
            await ann.join("kept:a")
            with redis.Redis.from_url(valkey) as client:
                for number in range(1, 31):
                    if number % 10 == 5:
                        client.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB")
                    await say(other, number, patience=5.0)
            assert await heard(ann, 30) == [(number, number) for number in range(1, 31)]
            assert not ann.received("gap")
