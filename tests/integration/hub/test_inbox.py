"""A user's own room: what was sent while nobody was there is there when somebody comes."""

import pytest

from hubbub import History, Hub, Position
from tests.integration.hub.histories import KEEP, heard, keeping, since
from tests.kit.client import Tab
from tests.kit.serving import Names, at_rest, connection_of, serving
from tests.kit.waiting import until


@pytest.fixture(params=["memory", "valkey"])
def broker(request: pytest.FixtureRequest) -> str:
    return "memory" if request.param == "memory" else str(request.getfixturevalue("valkey"))


async def tell(hub: Hub, *numbers: int, user: str = "ann") -> list[Position | None]:
    return [await hub.user(user).send({"type": "m", "n": number}) for number in numbers]


async def test_what_was_sent_to_nobody_waits_for_who_comes(broker: str) -> None:
    hub = Hub(broker, auth=Names(), inbox=KEEP)
    async with serving(keeping(hub)) as server:
        await until(lambda: hub.ready, "there")
        [first, second] = await tell(hub, 1, 2)
        assert first is not None
        assert second == Position(first.epoch, 2)
        async with Tab(server.ws, token="ann") as ann, Tab(server.ws, token="bob") as bob:
            joined = await ann.join("@me", since={"offset": 0})
            assert joined["recovered"] is True
            assert (joined["room"], since(joined)) == ("@me", {"epoch": first.epoch, "offset": 2})
            assert await heard(ann, 2) == [(1, 1), (2, 2)]
            await tell(hub, 3)
            message = await ann.receive("m")
            assert message == {"type": "m", "n": 3, "room": "@me", "offset": 3}
            nothing = await bob.join("@me", since={"offset": 0})
            assert (nothing["recovered"], nothing["offset"]) == (True, 0)
            assert not bob.received("m")
        await at_rest(hub)


async def test_every_tab_has_its_own_place(broker: str) -> None:
    hub = Hub(broker, auth=Names(), inbox=KEEP)
    async with serving(keeping(hub)) as server:
        await until(lambda: hub.ready, "there")
        async with Tab(server.ws, token="ann") as ann, Tab(server.ws, token="ann") as tab:
            here = await ann.join("@me")
            assert here.keys() == {"type", "room", "epoch", "offset", "id"}
            await tell(hub, 1, 2)
            for each in (ann, tab):
                assert await heard(each, 2) == [(1, 1), (2, 2)]
            await tab.drop()
            await tell(hub, 3)
            assert await heard(ann, 1) == [(3, 3)]
            assert (await ann.join("@me", since=since(here, 1)))["recovered"] is True
            assert await heard(ann, 2) == [(2, 2), (3, 3)]
        async with Tab(server.ws, token="ann") as tab:
            assert (await tab.join("@me", since=since(here, 2)))["recovered"] is True
            assert await heard(tab, 1) == [(3, 3)]


async def test_the_inbox_is_the_same_on_every_worker(valkey: str) -> None:
    hubs = [Hub(valkey, auth=Names(), inbox=KEEP) for _ in range(2)]
    async with serving(keeping(hubs[0])) as left, serving(keeping(hubs[1])) as right:
        await until(lambda: all(hub.ready for hub in hubs), "there")
        async with Tab(left.ws, token="ann") as ann:
            joined = await ann.join("@me")
            await tell(hubs[1], 1)
            assert await heard(ann, 1) == [(1, 1)]
        await tell(hubs[0], 2)
        async with Tab(right.ws, token="ann") as ann:
            again = await ann.join("@me", since=since(joined, 1))
            assert (again["recovered"], again["epoch"]) == (True, joined["epoch"])
            assert await heard(ann, 1) == [(2, 2)]


async def test_what_does_not_fit_the_inbox_is_said_to_be_lost(broker: str) -> None:
    hub = Hub(broker, auth=Names(), inbox=History(size=2, ttl=60))
    async with serving(keeping(hub)) as server:
        await until(lambda: hub.ready, "there")
        await tell(hub, 1, 2, 3)
        async with Tab(server.ws, token="ann") as ann:
            assert (await ann.join("@me", since={"offset": 0}))["recovered"] is False
            assert await heard(ann, 2) == [(2, 2), (3, 3)]


async def test_the_application_reads_it_too() -> None:
    hub = Hub(auth=Names(), inbox=KEEP)
    async with serving(keeping(hub)):
        await tell(hub, 1, 2)
        page = await hub.user("ann").history(limit=1, reverse=True)
        assert page.messages == [{"type": "m", "n": 2, "room": "@me", "offset": 2}]
        key = {"idempotency_key": "once"}
        positions = [await hub.user("ann").send({"type": "m"}, **key) for _ in range(2)]  # type: ignore[arg-type]
        assert positions[0] == positions[1]


async def test_without_an_inbox_messages_to_a_user_are_as_given_and_the_own_room_has_no_history() -> None:
    hub = Hub(auth=Names())
    async with serving(keeping(hub)) as server, Tab(server.ws, token="ann") as ann:
        assert await tell(hub, 1) == [None]
        assert await ann.receive("m") == {"type": "m", "n": 1}
        assert (await ann.join("@me")).keys() == {"type", "room", "id"}
        joined = await ann.join("@me", since={"offset": 0})
        assert joined["recovered"] is False
        assert joined.keys() == {"type", "room", "recovered", "id"}
        page = await hub.user("ann").history()
        assert (page.position, page.messages) == (None, ())


@pytest.mark.parametrize("inbox", [None, KEEP])
async def test_the_own_room_cannot_be_left(inbox: History | None) -> None:
    """It is the hub's to join."""
    hub = Hub(auth=Names(), inbox=inbox)
    async with serving(keeping(hub)) as server, Tab(server.ws, token="ann") as ann:
        for _ in range(2):
            answer = await ann.request("leave_room", room="@me")
            assert (answer["type"], answer["code"]) == ("error", "not_joined")
            await ann.join("@me")
        await tell(hub, 1)
        assert (await ann.receive("m"))["n"] == 1


async def test_messages_to_all_tabs_of_a_user_but_one() -> None:
    """By connection nothing is kept out of history: the tab that comes back may be another."""
    hub = Hub(auth=Names(), inbox=KEEP)
    async with serving(keeping(hub)) as server:
        async with Tab(server.ws, token="ann") as ann, Tab(server.ws, token="ann") as tab:
            await ann.join("@me")
            here = connection_of(hub, tab)
            await hub.user("ann").send({"type": "m", "n": 1}, exclude=here)
            await tell(hub, 2)
            assert await heard(ann, 2) == [(1, 1), (2, 2)]
            assert await heard(tab, 1) == [(2, 2)]
        async with Tab(server.ws, token="ann") as tab:
            await tab.join("@me", since={"offset": 0})
            assert await heard(tab, 2) == [(1, 1), (2, 2)]
