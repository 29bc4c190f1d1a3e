"""Three workers are one server."""

import asyncio
from itertools import pairwise, permutations
from typing import Any

from tests.integration.showcase.people import (
    fresh,
    nobody_left,
    one_client_on_each_worker,
    one_tab_on_each_worker,
    stats,
)
from tests.kit.client import Tab
from tests.kit.running import Served, alive
from tests.kit.waiting import until


def _user(tab: Tab) -> str:
    return str(tab.welcome["user"])


async def test_a_room_message_gets_from_every_worker_to_every_other(showcase: Served) -> None:
    room = fresh("tea")
    async with one_tab_on_each_worker(showcase) as tabs:
        assert len({tab.node for tab in tabs}) == 3
        for tab in tabs:
            await tab.join(room)
        for sender, receiver in permutations(tabs, 2):
            text = f"{sender.node} to {receiver.node}"
            await sender.send({"type": "room_message", "room": room, "content": text})
            message = await receiver.receive("room_message", content=text)
            assert message["offset"] == len(receiver.received("room_message"))
            del message["offset"]
            assert message == {"type": "room_message", "room": room, "from": _user(sender), "content": text}


async def test_a_direct_message_gets_from_every_worker_to_every_other(showcase: Served) -> None:
    async with one_tab_on_each_worker(showcase) as tabs:
        for sender, receiver in permutations(tabs, 2):
            text = f"{sender.node} to {receiver.node}"
            answer = await sender.request("direct_message", to=_user(receiver), content=text)
            assert answer["result"] == {"online": True}
            assert (await receiver.receive("direct_message", content=text))["from"] == _user(sender)
        for tab in tabs:
            assert len(tab.received("direct_message")) == 2


async def test_a_broadcast_gets_from_every_worker_to_every_other(showcase: Served) -> None:
    async with one_tab_on_each_worker(showcase) as tabs:
        for sender, receiver in permutations(tabs, 2):
            text = fresh(f"{sender.node} to {receiver.node}")
            await sender.send({"type": "chat", "content": text})
            assert (await receiver.receive("chat", content=text))["from"] == _user(sender)


async def test_all_workers_show_the_members_of_a_room_in_one_order_of_messages(showcase: Served) -> None:
    room = fresh("tea")
    async with one_tab_on_each_worker(showcase) as tabs:
        for tab in tabs:
            await tab.join(room)
        everybody = sorted(map(_user, tabs))
        for tab in tabs:
            assert (await tab.join(room))["members"] == everybody

        async def talk(tab: Tab) -> None:
            for number in range(20):
                await tab.request("room_message", room=room, content=f"{tab.node} {number}")

        await asyncio.gather(*map(talk, tabs))

        async def all_there() -> bool:
            return all(len(tab.received("room_message")) == 60 for tab in tabs)

        await until(all_there, "sixty messages at each of the three")
        first, *others = ([said["content"] for said in tab.received("room_message")] for tab in tabs)
        assert all(other == first for other in others)
        for tab in tabs:
            own = [content for content in first if content.startswith(tab.node)]
            assert own == [f"{tab.node} {number}" for number in range(20)]


async def test_a_user_with_a_tab_on_each_worker_joins_once_and_leaves_once(showcase: Served) -> None:
    room, bob = fresh("tea"), fresh("bob")
    async with Tab(showcase.ws, user=fresh("ann")) as watcher:
        await watcher.join(room)
        tabs: dict[str, Tab] = {}
        try:
            while len(tabs) < showcase.count:
                tab = Tab(showcase.ws, user=bob)
                await tab.connect()
                await tab.receive("welcome")
                if tabs.setdefault(tab.node, tab) is not tab:
                    await tab.close()
            for tab in tabs.values():
                await tab.join(room)
        finally:
            for tab in tabs.values():
                await tab.close()
        await watcher.receive("user_left_room", user=bob)
        await watcher.nothing("user_left_room")
        assert [said["user"] for said in watcher.received("user_joined_room")] == [bob]
        assert [said["user"] for said in watcher.received("user_left_room")] == [bob]


async def test_every_worker_gives_the_same_stats_in_the_same_shape(showcase: Served) -> None:
    await nobody_left(showcase)
    room = fresh("tea")
    async with one_tab_on_each_worker(showcase) as tabs, one_client_on_each_worker(showcase) as clients:
        await tabs[0].join(room)
        await tabs[1].join(room)
        assert set(clients) == {tab.node for tab in tabs}
        answers: list[dict[str, Any]] = []

        async def settled() -> bool:
            answers[:] = [(await client.get("/stats")).json() for client in clients.values()]
            return all(
                [worker["connections"] for worker in answer["workers"]] == [1, 1, 1] and answer["rooms"] == 1
                for answer in answers
            )

        await until(settled, "one connection on each worker, at every worker")
        for answer in answers:
            assert set(answer) == {"connections", "users", "rooms", "workers"}
            assert (answer["connections"], answer["users"], answer["rooms"]) == (3, 3, 1)
            assert [set(worker) for worker in answer["workers"]] == [{"node", "pid", "connections"}] * 3
            assert {worker["node"] for worker in answer["workers"]} == {tab.node for tab in tabs}
            assert sorted(worker["pid"] for worker in answer["workers"]) == sorted(showcase.workers())
            assert all(alive(worker["pid"]) for worker in answer["workers"])
            counts = [answer["connections"], answer["users"], answer["rooms"]]
            counts += [worker[key] for worker in answer["workers"] for key in ("pid", "connections")]
            assert all(type(count) is int for count in counts)
        assert answers[0] == answers[1] == answers[2]


async def test_the_stats_are_at_most_a_second_old(showcase: Served) -> None:
    await nobody_left(showcase)

    async def counted(connections: int) -> None:
        async def so() -> bool:
            return bool((await stats(showcase))["connections"] == connections)

        # A second, and another to ask on a busy machine.
        await until(so, f"{connections} in /stats", within=2.0)

    async with Tab(showcase.ws, user=fresh("ann")):
        await counted(1)
        async with Tab(showcase.ws, user=fresh("bob")):
            await counted(2)
        await counted(1)
    await counted(0)


async def test_who_has_not_authenticated_is_not_counted(showcase: Served) -> None:
    await nobody_left(showcase)
    stranger = await Tab(showcase.ws).connect()
    try:
        async with Tab(showcase.ws, user=fresh("ann")):

            async def one() -> bool:
                return bool((await stats(showcase))["connections"] == 1)

            await until(one, "only ann is counted")
            await asyncio.sleep(0.6)
            assert await one()
    finally:
        await stranger.close()


async def test_the_front_page_says_which_worker_answered(showcase: Served) -> None:
    async with one_client_on_each_worker(showcase) as clients:
        for node, client in clients.items():
            page = await client.get("/")
            assert page.status_code == 200
            assert node in page.text


async def test_every_worker_is_alive_and_ready(showcase: Served) -> None:
    async with one_client_on_each_worker(showcase) as clients:
        for node, client in clients.items():
            live = await client.get("/health/live")
            assert (live.status_code, live.json()) == (200, {"status": "alive"})
            ready = await client.get("/health/ready")
            assert (ready.status_code, ready.json()) == (200, {"status": "ready", "node": node})


async def test_what_is_published_at_any_worker_reaches_the_tabs_of_all(showcase: Served) -> None:
    room = fresh("tea")
    async with one_tab_on_each_worker(showcase) as tabs, one_client_on_each_worker(showcase) as clients:
        for tab in tabs:
            await tab.join(room)
        for offset, (node, client) in enumerate(clients.items(), 1):
            response = await client.post(f"/api/rooms/{room}/messages", json={"type": "note", "via": node})
            assert (response.status_code, response.json()["position"]["offset"]) == (200, offset)
            for tab in tabs:
                expected = {"type": "note", "via": node, "room": room, "offset": offset}
                assert await tab.receive("note", via=node) == expected


async def test_the_dashboard_shows_every_tab_the_same_numbers_whichever_worker_it_is_on(showcase: Served) -> None:
    async with one_tab_on_each_worker(showcase) as tabs:
        for tab in tabs:
            await tab.join("dashboard")
        # What came between the joins differs; from the next one on all see the same.
        first = await tabs[-1].receive("metrics")
        numbers = range(first["seq"] + 1, first["seq"] + 3)
        rounds = [[await tab.receive("metrics", seq=seq) for tab in tabs] for seq in numbers]
        for one, *others in rounds:
            assert all(other == one for other in others)
            assert set(one) == {"type", "room", "seq", "at", "workers"}
            assert one["room"] == "dashboard"
            assert {type(one["seq"]), type(one["at"])} == {int}
            assert {worker["node"] for worker in one["workers"]} == {tab.node for tab in tabs}
            assert sorted(worker["pid"] for worker in one["workers"]) == sorted(showcase.workers())
            for worker in one["workers"]:
                assert set(worker) == {"node", "pid", "cpu", "memory", "connections"}
                assert 0 <= worker["cpu"] <= 1_600
                assert type(worker["memory"]) is int
                assert worker["memory"] > 10_000_000
                assert type(worker["connections"]) is int
                assert worker["connections"] >= 1
        times = [first["at"], *(one["at"] for one, *_ in rounds)]
        assert all(1_000 < later - earlier < 3_000 for earlier, later in pairwise(times)), times
        for tab in tabs:
            seen = [said["seq"] for said in tab.received("metrics")]
            assert seen == list(range(seen[0], seen[0] + len(seen)))


async def test_a_name_in_another_case_is_another_user(showcase: Served) -> None:
    name = fresh("ann")
    async with Tab(showcase.ws, user=name) as ann, Tab(showcase.ws, user=name.upper()) as shouting:
        await shouting.send({"type": "direct_message", "to": name, "content": "hey"})
        await ann.receive("direct_message")
        await shouting.nothing("direct_message")
