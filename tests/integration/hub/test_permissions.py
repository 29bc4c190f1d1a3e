"""What not all who are in a room may: publish, read what was kept, see who is there. Each is refused by itself."""

import asyncio
from collections import Counter
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, HTTPException
from pydantic import BaseModel

from hubbub import ConfigurationError, Connection, History, Hub, Unavailable, User
from hubbub.testing import Refusal
from tests.kit.client import Tab
from tests.kit.serving import Names, at_rest, serving, simple
from tests.kit.waiting import until


class Post(BaseModel):
    type: Literal["post"] = "post"
    room: str
    text: str


asked: Counter[str] = Counter()
Role = Annotated[str, Depends(lambda: "dependencies are resolved")]


def allows(what: str) -> Any:
    """A check that says no to whoever has the letter of `what` in their name, and once anything else."""

    async def check(name: str, user: User, connection: Connection, role: Role) -> Any:
        asked[what] += 1
        assert connection.user is user
        for said, answer in {"odd": None, "full": 1}.items():
            if user.id == f"{said}-{what}":
                return answer
        if user.id == f"away-{what}":
            raise HTTPException(503, "ask later")
        if user.id == f"raises-{what}":
            raise HTTPException(403, "not for you")
        return user.id != f"un-{what}"

    return check


def hub_of(broker: str = "memory", **options: Any) -> Hub:
    hub = Hub(broker, auth=Names())

    @hub.rooms(
        "team:{name}",
        presence=True,
        presence_data=True,
        history=History(size=10, ttl=60),
        may_publish=allows("publish"),
        may_read_history=allows("history"),
        may_see_presence=allows("presence"),
        **options,
    )
    async def team(name: str) -> bool:
        return True

    @hub.on(Post)
    async def post(message: Post, connection: Connection) -> None:
        await connection.room(message.room).send({"type": "posted", "text": message.text})

    return hub


def posted(tab: Tab) -> list[str]:
    return [each["text"] for each in tab.log if each["type"] == "posted"]


async def post(tab: Tab, text: str = "x") -> dict[str, Any]:
    return await tab.request("post", room="team:a", text=text)


async def test_who_may_not_publish_is_told_so_and_reads_on() -> None:
    hub = hub_of()
    async with (
        serving(simple(hub)) as server,
        Tab(server.ws, token="ann") as ann,
        Tab(server.ws, token="un-publish") as bob,
    ):
        for tab in (ann, bob):
            await tab.join("team:a")
        asked.clear()
        for text in ("1", "2"):
            assert (await post(ann, text))["type"] == "ack"
            await bob.receive("posted", text=text)
        refused = await post(bob)
        assert (refused["code"], refused["field"]) == ("forbidden", "room")
        assert asked == {"publish": 3}, "each message, and nothing else"
        await ann.nothing("posted")


@pytest.mark.complains("failed for connection")
@pytest.mark.parametrize(
    ("name", "code"), [("raises", "forbidden"), ("away", "unavailable"), ("odd", "internal"), ("full", "internal")]
)
async def test_what_else_a_check_may_come_to(name: str, code: str) -> None:
    async with serving(simple(hub_of())) as server:
        async with Tab(server.ws, token=f"{name}-publish") as tab:
            await tab.join("team:a")
            assert (await post(tab))["code"] == code
        async with Tab(server.ws, token=f"{name}-history") as tab:
            if code == "forbidden":
                assert "offset" not in await tab.join("team:a")
                return
            with pytest.raises(Refusal) as refusal:
                await tab.join("team:a")
            assert refusal.value.error["code"] == code, "it is not let in by mistake"


async def test_who_is_put_in_by_the_application_is_asked_like_others() -> None:
    hub = hub_of()
    async with serving(simple(hub)) as server, Tab(server.ws, token="un-publish") as tab:
        await hub.user("un-publish").join("team:a")
        await tab.receive("room_joined")
        assert (await post(tab))["code"] == "forbidden"
        with pytest.raises(ConfigurationError):
            hub.room("team:a").send_sync({"type": "posted"})  # here, where it would wait for itself
        await hub.room("team:a").send({"type": "posted", "text": "by the application"})
        await tab.receive("posted", text="by the application")
    async with serving(simple(hub_of())) as server, Tab(server.ws, token="raises-history") as tab:
        assert (await tab.join("team:a")).keys() == {"type", "room", "members", "id"}


async def test_who_may_not_read_what_was_kept_is_handed_nothing_of_it_and_told_so() -> None:
    async with serving(simple(hub_of())) as server, Tab(server.ws, token="ann") as ann:
        joined = await ann.join("team:a")
        for text in "123":
            await post(ann, text)
        async with Tab(server.ws, token="un-history") as bob:
            for since in (None, {"offset": 0}, {"epoch": joined["epoch"], "offset": 1}, {"offset": 10**6}):
                told = await bob.join("team:a", since=since) if since else await bob.join("team:a")
                assert told.get("recovered") is (None if since is None else False)
                assert not {"epoch", "offset"} & told.keys(), "as a room that keeps nothing"
                assert told["members"] == ["ann", "un-history"]
            assert (await post(bob, "4"))["type"] == "ack"
            await until(lambda: posted(bob), "live messages come")
            assert posted(bob) == ["4"]
        async with Tab(server.ws, token="un-presence") as cid:
            told = await cid.join("team:a", since={"offset": 0})
            assert (told["recovered"], told["offset"]) == (True, 4)
            assert "members" not in told
            await until(lambda: posted(cid) == [*"1234"], "it is handed what was kept")


async def test_what_comes_while_it_joins_again_is_not_lost_on_who_may_not_read_what_was_kept() -> None:
    hub = hub_of()
    async with serving(simple(hub)) as server, Tab(server.ws, token="un-history") as bob:
        await bob.join("team:a")
        sent = [str(number) for number in range(60)]

        async def send() -> None:
            for text in sent:
                await hub.room("team:a").send({"type": "posted", "text": text})

        sending = asyncio.create_task(send())
        for _ in range(20):
            await bob.join("team:a", since={"offset": 0})
        await sending
        await until(lambda: len(posted(bob)) >= len(sent), "all came")
        assert posted(bob) == sent


@pytest.mark.parametrize("presence", [True, "diff"])
async def test_who_may_not_see_who_is_there_is_told_of_nobody_on_any_worker(valkey: str, presence: Any) -> None:
    def node() -> Hub:
        hub = Hub(valkey, auth=Names())

        @hub.rooms("team:{name}", presence=presence, presence_data=True, may_see_presence=allows("presence"))
        async def team(name: str) -> bool:
            return True

        return hub

    hubs = node(), node()
    features = {"presence"}
    told = {"user_joined_room", "user_left_room", "user_presence", "presence_diff"}
    async with serving(simple(hubs[0])) as one, serving(simple(hubs[1])) as two:
        async with (
            Tab(one.ws, token="un-presence", features=features) as bob,
            Tab(one.ws, token="eve", features=features) as eve,
        ):
            assert not {"members", "presence"} & (await bob.join("team:a")).keys()
            joined = await eve.join("team:a")
            assert joined["members"] == ["eve", "un-presence"], "it counts as present itself"
            async with Tab(two.ws, token="ann", features=features) as ann:
                await ann.join("team:a")
                await ann.ask({"type": "set_presence", "room": "team:a", "presence": {"busy": True}})
                await bob.ask({"type": "set_presence", "room": "team:a", "presence": {"seen": "by others"}})
                await ann.receive("presence_diff" if presence == "diff" else "user_presence", within=5)
                assert not {"members", "presence"} & (await bob.join("team:a")).keys(), "joining again"
                await ann.leave("team:a")
                await ann.join("team:a")
            await hubs[1].room("team:a").send({"type": "said"})
            await bob.receive("said")
            await eve.receive("said")
            await until(
                lambda: any("ann" in (each.get("user"), *each.get("left", ())) for each in eve.log), "it was told"
            )
            assert not [each for each in bob.log if each["type"] in told]
            assert [each for each in eve.log if each["type"] in told]
            # What was said once is no longer true where it is asked again.
            await bob.leave("team:a")
        for hub in hubs:
            await at_rest(hub)


async def test_a_decision_ends_with_the_join(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(auth=Names())
    may = False

    async def whether(user: User) -> bool:
        return may or user.id != "bob"

    @hub.rooms("team:{name}", presence=True, may_see_presence=whether)
    async def team(name: str) -> bool:
        return True

    async with serving(simple(hub)) as server, Tab(server.ws, token="bob") as bob, Tab(server.ws, token="ann") as ann:
        assert "members" not in await bob.join("team:a")
        may = True
        assert (await bob.join("team:a"))["members"] == ["bob"]
        await ann.join("team:a")
        await bob.receive("user_joined_room", user="ann")
        may = False
        assert "members" not in await bob.join("team:a")
        await ann.leave("team:a")
        await bob.nothing("user_left_room")


async def test_from_a_thread_and_in_a_route_of_its_own() -> None:
    hub = hub_of()

    class Shout(BaseModel):
        type: Literal["shout"] = "shout"

    @hub.on(Shout)
    def shout(message: Shout, connection: Connection) -> None:
        connection.room("team:a").send_sync({"type": "posted", "text": "from a thread"})

    app = simple(hub)

    @app.websocket("/own")
    async def own(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
        async for _ in connection:
            await connection.room("team:a").send({"type": "posted"})

    async with serving(app) as server:
        async with Tab(server.ws, token="un-publish") as tab:
            await tab.join("team:a")
            assert (await tab.request("shout"))["code"] == "forbidden"
        async with Tab(server.ws, token="ann") as tab:
            await tab.join("team:a")
            await tab.ask({"type": "shout"})


def test_what_can_be_asked_of_nobody() -> None:
    hub = Hub()
    with pytest.raises(ConfigurationError, match="may_see_presence needs presence"):
        hub.rooms("a", may_see_presence=allows("presence"))(lambda: True)

    async def strange(thing: Unavailable) -> bool:
        return True

    for name in ("may_publish", "may_read_history", "may_see_presence"):
        with pytest.raises(ConfigurationError):
            hub.rooms("a", presence=True, **{name: strange})(lambda: True)  # type: ignore[arg-type]
