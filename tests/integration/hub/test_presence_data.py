"""What users show, on hubs that meet on a real Valkey: one is cut off, or everything there is forgotten."""

import redis

from hubbub import History, Hub, Limits
from hubbub.types import room_topic
from tests.integration.hub.leased import LEASE, nodes
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import Names, serving, simple
from tests.kit.waiting import until

ASKED = ["presence"]


async def show(tab: Tab, name: str) -> None:
    await tab.ask({"type": "set_presence", "presence": {"name": name}})


async def test_what_a_dead_worker_showed_goes_with_its_lease_and_the_next_newest_is_told(valkey: str) -> None:
    async with (
        nodes(valkey, 2) as (dead, well),
        Tab(well.ws, token="ann", features=ASKED) as ann,
        Tab(dead.ws, token="ann", features=ASKED) as other,
        Tab(dead.ws, token="cid", features=ASKED) as cid,
        Tab(well.ws, token="bob", features=ASKED) as bob,
    ):
        rooms = ("shown:a", "shown-many:b")
        for tab, name in ((bob, "bob"), (ann, "older"), (other, "newer"), (cid, "cid")):
            await show(tab, name)
            for room in rooms:
                await tab.join(room)
        await bob.receive("user_joined_room", user="cid", presence={"cid": {"name": "cid"}})
        dead.line.freeze()
        await until(lambda: bob.received("user_left_room"), "cid is gone")
        await bob.until(
            lambda: any(each.get("presence") == {"ann": {"name": "older"}} for each in bob.received("user_presence")),
            "the next newest",
        )
        await bob.until(
            lambda: any("cid" in each["left"] and each["presence"] for each in bob.received("presence_diff")),
            "both in the diff",
        )
        for room in rooms:
            assert (await bob.join(room))["presence"] == {"ann": {"name": "older"}, "bob": {"name": "bob"}}
        # It comes back, and so does what is shown there: newer than what was shown here.
        dead.line.heal()
        await bob.receive("user_joined_room", user="cid", presence={"cid": {"name": "cid"}})
        await bob.until(
            lambda: bob.received("user_presence")[-1]["presence"] == {"ann": {"name": "newer"}}, "the newest again"
        )


async def test_what_was_flushed_is_shown_again_and_nobody_hears_of_it(valkey: str) -> None:
    async with (
        nodes(valkey, 2) as (one, two),
        Tab(one.ws, token="ann", features=ASKED) as ann,
        Tab(two.ws, token="ann", features=ASKED) as other,
        Tab(two.ws, token="bob", features=ASKED) as bob,
    ):
        for tab in (ann, other, bob):
            await tab.join("shown:a")
        await show(bob, "bob")
        await show(other, "older")
        await show(ann, "newest")
        await bob.receive("user_presence", presence={"ann": {"name": "newest"}})
        seen = len(bob.log)
        with redis.Redis.from_url(valkey) as client:
            client.flushall()
        shown = {"ann": {"name": "newest"}, "bob": {"name": "bob"}}

        async def there() -> bool:
            return await one.hub.room("shown:a").presence() == shown

        await until(there, "all is shown again", within=LEASE)
        await bob.nothing()
        assert [each for each in bob.log[seen:] if "presence" in each or "user" in each] == []
        await ann.close()
        await bob.receive("user_presence", presence={"ann": {"name": "older"}})


async def test_what_is_shown_takes_no_room_from_who_is_there_and_what_was_missed() -> None:
    """An answer that is too large for all of it leaves out some of what they show, and nothing else."""
    hub = Hub(auth=Names(), limits=Limits(payload=32 * 1024, outbox=64 * 1024))

    @hub.rooms("crowd", presence=True, presence_data=True, history=History(size=100, ttl=60))
    async def may_join() -> bool:
        return True

    async with serving(simple(hub)) as server:
        async with Tab(server.ws, token="first") as tab:
            joined = await tab.join("crowd")
        since = {"epoch": joined["epoch"], "offset": joined["offset"]}
        for number in range(300):
            shown = b'{"name":"%s"}' % (b"x" * 100)
            await inside(hub).broker.show(room_topic("crowd"), f"user {number}", "another", shown)
        for _ in range(25):
            await hub.room("crowd").send({"type": "news", "text": "y" * 1000})
        for features in (ASKED, []):
            async with Tab(server.ws, token="ann", features=features) as tab:
                await tab.send({"type": "join_room", "room": "crowd", "since": since})
                joined = await tab.receive("room_joined")
                assert joined["recovered"]
                assert len(joined["members"]) == 301
                assert len(joined.get("presence", ())) + joined.get("presence_left_out", 0) == 300 * bool(features)
                await until(lambda tab=tab: len(tab.received("news")) == 25, "what was missed")
