"""Edges of a cluster: each is told once, in order, whichever worker runs, dies, hangs or knows nothing of hooks.

The file is longer than others: one cluster with hooks, `Told`, is what all of it is asked of.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends
from pydantic import AfterValidator

from hubbub import Edge, Hub, InvalidMessage, Limits, UnknownRoom, User
from hubbub.hub.edges import DEADLINE, TURN
from hubbub.options import Leaving
from hubbub.ports.broker import EDGES_KEPT
from hubbub.testing import Network, Tab, settle
from hubbub.testing.broker import NetworkBroker
from hubbub.testing.node import Node
from hubbub.types import ONLINE
from tests.kit.inside import inside
from tests.kit.waiting import until

LEASE = 10.0
#: What hooks that hang cost at the end of a test.
SHORT = Limits(closing=0.05)


class Told:
    """What the hooks of all nodes have been told: by which node, what, of whom, and the number."""

    def __init__(self, network: Network, **leaving: Any) -> None:
        self.network = network
        self.leaving = Leaving(lease=LEASE, **leaving)
        self.log: list[tuple[str, str, str, int]] = []

    def hub(self, name: str, *, hooks: bool = True) -> Callable[[NetworkBroker], Hub]:
        def make(broker: NetworkBroker) -> Hub:
            hub = Hub(broker=broker, clock=self.network.clock, leaving=self.leaving, limits=SHORT)

            @hub.rooms("team:{number}")
            async def may_join(number: int) -> bool:
                return True

            if hooks:
                self.declare(hub, name)
            return hub

        return make

    def declare(self, hub: Hub, name: str) -> None:
        def note(what: str, edge: Edge) -> None:
            self.log.append((name, what, edge.name, edge.number))

        @hub.on_online
        async def came(edge: Edge, user_id: str) -> None:
            assert edge.name == user_id
            note("online", edge)

        @hub.on_offline
        async def went(edge: Edge, user: User) -> None:
            assert edge.name == user.id
            note("offline", edge)

        @hub.on_occupied("team:{number}")
        async def opened(edge: Edge, number: int) -> None:
            assert edge.name == f"team:{number}"
            note("occupied", edge)

        @hub.on_vacated
        def emptied(edge: Edge, room: str) -> None:
            assert threading.current_thread() is not threading.main_thread()
            assert edge.name == room
            note("vacated", edge)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Of whom what, each once and in order."""
        numbers = [number for _, _, _, number in self.log]
        assert numbers == sorted(set(numbers))
        return [(what, of) for _, what, of, _ in self.log]

    async def are(self, *edges: tuple[str, str]) -> None:
        """After a while; a hook that is no coroutine runs in a thread, which no clock moves."""

        async def told() -> bool:
            await self.network.clock.advance(0.25)
            return self.edges[: len(edges)] == [*edges]

        await until(told, f"{edges}, and not {self.log}")
        await self.network.clock.advance(1.0)
        assert self.edges == [*edges]


def runner(*nodes: Node) -> list[bool]:
    """Which of them runs the hooks."""
    return [bool(inside(node.hub).edges.ours) for node in nodes]


async def test_each_edge_is_told_once_and_only_edges_are() -> None:
    network = Network()
    told = Told(network)
    async with network.node(told.hub("one")) as one, network.node(told.hub("two")) as two:
        first, second, bob = Tab(one, "alice"), Tab(two, "alice"), Tab(two, "bob")
        async with first, second, bob:
            for tab in (first, second, bob):
                await tab.join("team:7")
            await first.leave("team:7")
            await told.are(("online", "alice"), ("online", "bob"), ("occupied", "team:7"))
            assert len({node for node, _, _, _ in told.log}) == 1
            await first.close()
            await bob.close()
            await told.are(("online", "alice"), ("online", "bob"), ("occupied", "team:7"), ("offline", "bob"))
            before = told.edges
            await second.leave("team:7")
            await told.are(*before, ("vacated", "team:7"))
            await second.close()
            await told.are(*before, ("vacated", "team:7"), ("offline", "alice"))


async def test_a_page_that_is_reloaded_is_no_edge() -> None:
    network = Network()
    told = Told(network, grace=5.0)
    async with network.node(told.hub("one")) as one, Tab(one, "alice") as alice:
        await alice.join("team:7")
        came = (("online", "alice"), ("occupied", "team:7"))
        await told.are(*came)
        await alice.drop()
        await network.clock.advance(4.0)
        await alice.reconnect()
        await alice.join("team:7")
        await network.clock.advance(6.0)
        assert told.edges == [*came]
        await alice.drop()
        await network.clock.advance(6.0)
        await until(lambda: len(told.edges) == 4, "both are told")
        assert sorted(told.edges[2:]) == [("offline", "alice"), ("vacated", "team:7")]


async def test_when_the_worker_that_runs_them_dies_another_goes_on() -> None:
    """Also of the edges that its own death is the cause of."""
    network = Network()
    told = Told(network)
    async with network.node(told.hub("one")) as one:
        await network.clock.advance(1.0)
        async with network.node(told.hub("two")) as two, Tab(one, "alice"), Tab(two, "bob"):
            await told.are(("online", "alice"), ("online", "bob"))
            assert runner(one, two) == [True, False]
            await one.kill()
            await network.clock.advance(LEASE)
            await told.are(("online", "alice"), ("online", "bob"), ("offline", "alice"))
            assert [node for node, _, _, _ in told.log] == ["one", "one", "two"]


async def test_a_worker_that_stops_lets_another_go_on_at_once() -> None:
    network = Network()
    told = Told(network)
    another = network.broker()
    await another.start(lambda *_: None, lambda: None, lambda _: None)
    async with network.node(told.hub("one")):
        await settle()
        assert await another.take_turn(TURN, "another", 1.0) is None
    assert await another.take_turn(TURN, "another", 1.0) is not None


async def test_only_the_edge_whose_hook_ran_when_its_worker_died_is_told_again_with_its_number() -> None:
    network = Network()
    told = Told(network)
    handed: list[tuple[str, int]] = []

    def hanging(broker: NetworkBroker) -> Hub:
        hub = Hub(broker=broker, clock=network.clock, leaving=told.leaving, limits=SHORT)

        @hub.on_online
        async def came(edge: Edge) -> None:
            handed.append((edge.name, edge.number))
            if edge.name == "bob":
                await asyncio.Event().wait()

        return hub

    async with network.node(hanging) as one, Tab(one, "alice"), Tab(one, "bob"), Tab(one, "carol"):
        await network.clock.advance(1.0)
        assert [name for name, _ in handed] == ["alice", "bob"]
        async with network.node(told.hub("two")):
            await one.kill()
            await network.clock.advance(LEASE * 0.6)
            assert told.log[0] == ("two", "online", *handed[1])
            assert told.edges[:2] == [("online", "bob"), ("online", "carol")]


async def test_so_is_the_edge_whose_hook_ran_when_its_worker_lost_the_broker() -> None:
    """Nobody dies: what was done is not known to the broker when another worker takes over."""
    network = Network()
    told = Told(network)
    gate = asyncio.Event()
    handed: list[tuple[str, int]] = []

    def waiting(broker: NetworkBroker) -> Hub:
        hub = Hub(broker=broker, clock=network.clock, leaving=told.leaving, limits=SHORT)

        @hub.on_online
        async def came(edge: Edge) -> None:
            await gate.wait()
            handed.append((edge.name, edge.number))

        return hub

    async with network.node(waiting) as one, network.node(told.hub("two")) as two, Tab(one, "alice"), Tab(two, "bob"):
        await network.clock.advance(1.0)
        one.broker.partition()
        gate.set()
        await network.clock.advance(LEASE * 0.6)
        assert told.log[0] == ("two", "online", *handed[0])
        assert told.edges == [("online", "alice"), ("online", "bob")]
        one.broker.heal()
        await network.clock.advance(LEASE * 0.6)
        assert len(handed) == 1


async def test_a_hook_that_does_not_end_is_given_up_and_one_that_fails_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = Network()
    seen: list[str] = []

    def make(broker: NetworkBroker) -> Hub:
        hub = Hub(broker=broker, clock=network.clock)

        @hub.on_online
        async def first(user_id: str) -> None:
            if user_id == "alice":
                await asyncio.Event().wait()
            raise RuntimeError("out of order")

        @hub.on_online
        async def second(user_id: str) -> None:
            seen.append(user_id)

        return hub

    async with network.node(make) as one, Tab(one, "alice"), Tab(one, "bob"):
        await network.clock.advance(DEADLINE - 1.0)
        assert seen == []
        await network.clock.advance(2.0)
        assert seen == ["bob"]
        assert (await one.broker.edges(1)).edges == []
    gave_up, failed = [record for record in caplog.records if record.name == "hubbub.hooks"]
    assert "did not end within 30 s for edge" in gave_up.getMessage()
    assert "first failed for edge" in failed.getMessage()
    assert failed.levelno == logging.ERROR
    assert failed.exc_info


async def test_a_worker_that_stops_lets_its_hook_end_and_keeps_its_turn_until_then() -> None:
    network = Network()
    begun, gate, ended = asyncio.Event(), asyncio.Event(), []

    def make(broker: NetworkBroker) -> Hub:
        hub = Hub(broker=broker, clock=network.clock, leaving=Leaving(window=0.0))

        @hub.on_online
        async def came(user_id: str) -> None:
            begun.set()
            await gate.wait()
            ended.append(user_id)

        return hub

    another = network.broker()
    await another.start(lambda *_: None, lambda: None, lambda _: None)
    async with network.node(make) as one, Tab(one, "alice"):
        await network.clock.advance(1.0)
        await begun.wait()
        stopping = asyncio.create_task(inside(one.hub).stop())
        await settle()
        assert await another.take_turn(TURN, "another", 1.0) is None
        assert ended == []
        gate.set()
        await stopping
        assert ended == ["alice"]
        assert [edge.here for edge in (await another.edges(10)).edges] == [False]
        assert (await another.take_turn(TURN, "another", 1.0) or 0) < 10


async def test_a_type_that_cannot_be_read_from_a_name_holds_up_no_edge(caplog: pytest.LogCaptureFixture) -> None:
    network = Network()
    seen: list[str] = []

    def odd(value: str) -> str:
        if value == "alice":
            raise ZeroDivisionError
        return value

    def make(broker: NetworkBroker) -> Hub:
        hub = Hub(broker=broker, clock=network.clock)

        @hub.on_online
        async def came(user_id: Annotated[str, AfterValidator(odd)]) -> None:
            seen.append(user_id)

        return hub

    async with network.node(make) as one, Tab(one, "alice"), Tab(one, "bob"):
        await network.clock.advance(1.0)
        assert seen == ["bob"]
    [told] = [record for record in caplog.records if record.name == "hubbub.hooks"]
    assert told.getMessage().startswith("it cannot be said which hooks edge")


async def test_a_worker_that_stops_keeps_its_turn_without_haste_while_its_last_hook_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Network()
    turns: list[str] = []
    take_turn = NetworkBroker.take_turn

    async def counted(broker: NetworkBroker, name: str, holder: str, ttl: float) -> int | None:
        turns.append(name)
        return await take_turn(broker, name, holder, ttl)

    def make(broker: NetworkBroker) -> Hub:
        hub = Hub(broker=broker, clock=network.clock, limits=SHORT)

        @hub.on_online
        async def came() -> None:
            await asyncio.Event().wait()

        return hub

    async with network.node(make) as one, Tab(one, "alice"):
        await network.clock.advance(1.0)
        monkeypatch.setattr(NetworkBroker, "take_turn", counted)
    assert len(turns) <= 1


async def test_a_lease_of_the_applications_may_have_any_name() -> None:
    network = Network()
    told = Told(network)
    async with network.node(told.hub("one")) as one, network.node(told.hub("two")) as two:
        await network.clock.advance(1.0)
        assert runner(one, two) == [True, False]
        assert await two.hub.lease("edges").turn() == 1
        await two.hub.lease("edges").give_up()
        async with Tab(two, "alice"):
            await told.are(("online", "alice"))


async def test_dependencies_find_the_hub_and_are_closed() -> None:
    network = Network()
    log: list[str] = []

    def make(broker: NetworkBroker) -> Hub:
        hub = Hub(broker=broker, clock=network.clock)

        async def database() -> Any:
            log.append("opened")
            yield "db"
            log.append("closed")

        @hub.on_online
        async def came(user_id: str, db: Annotated[str, Depends(database)]) -> None:
            log.append(f"{user_id} {db}")

        return hub

    async with network.node(make) as one, Tab(one, "alice"):
        await network.clock.advance(1.0)
        assert log == ["opened", "alice db", "closed"]


async def test_workers_without_hooks_lose_none_for_those_that_have_them() -> None:
    """In a rolling release. Also when, for a while, only those are left that have none."""
    network = Network()
    told = Told(network)
    async with network.node(told.hub("old", hooks=False)) as old:
        async with network.node(told.hub("new")) as new:
            await network.clock.advance(1.0)
            async with Tab(old, "alice") as alice:
                await told.are(("online", "alice"))
                await new.kill()
                await network.clock.advance(LEASE)
                await alice.close()
                await settle()
        async with network.node(told.hub("next")):
            await told.are(("online", "alice"), ("offline", "alice"))


async def test_a_broker_that_forgot_makes_no_edge_of_who_is_there() -> None:
    network = Network()
    told = Told(network)
    async with network.node(told.hub("one")) as one, network.node(told.hub("two")) as two, Tab(one, "alice") as alice:
        await alice.join("team:7")
        async with Tab(two, "bob") as bob:
            await bob.join("team:7")
            came = (("online", "alice"), ("occupied", "team:7"), ("online", "bob"))
            await told.are(*came)
            network.flush()
            await network.clock.advance(LEASE)
            assert await one.broker.members(ONLINE) == ["alice", "bob"]
            assert told.edges == [*came]
            await bob.close()
            await told.are(*came, ("offline", "bob"))


async def test_who_was_announced_as_gone_and_is_back_makes_two_edges() -> None:
    network = Network()
    told = Told(network)
    async with network.node(told.hub("one")) as one, network.node(told.hub("two")) as two, Tab(one, "alice"):
        await told.are(("online", "alice"))
        one.broker.partition()
        await network.clock.advance(LEASE * 1.2)
        one.broker.heal()
        await told.are(("online", "alice"), ("offline", "alice"), ("online", "alice"))
        assert two.hub.ready


async def test_more_than_can_wait_are_lost_and_counted_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    network = Network()
    told = Told(network)
    seen: list[str] = []

    def make(broker: NetworkBroker) -> Hub:
        hub = Hub(broker=broker, clock=network.clock, limits=SHORT)

        @hub.on_offline
        async def went(user_id: str) -> None:
            seen.append(user_id)

        return hub

    async with network.node(told.hub("old", hooks=False)) as old:
        for number in range(EDGES_KEPT + 5):
            await old.broker.enter(ONLINE, f"u{number}", "somebody", edge=True)
        await old.broker.leave(ONLINE, "u0", "somebody", edge=True)
        async with network.node(make) as new:
            await until(lambda: _moved(network, new), "all is handled")
    assert seen == ["u0"]
    lines = [record.getMessage() for record in caplog.records if record.name == "hubbub.hooks"]
    assert lines == ["6 edges were lost before they were handled, of which 10000 are kept"]


async def _moved(network: Network, node: Node) -> bool:
    await network.clock.advance(0.25)
    return not (await node.broker.edges(1)).edges


async def test_when_a_user_was_seen_last_is_known_on_every_worker() -> None:
    network = Network()
    told = Told(network)
    async with network.node(told.hub("one", hooks=False)) as one, network.node(told.hub("two", hooks=False)) as two:
        alice = two.hub.user("alice")
        assert await alice.last_seen() is None
        async with Tab(one, "alice"):
            seen = await alice.last_seen()
            assert seen is not None
            assert abs(datetime.now(UTC) - seen) < timedelta(minutes=1)
        await settle()
        left = datetime.fromtimestamp(network.clock.wall(), UTC)
        await network.clock.advance(60.0)
        assert await alice.last_seen() == left


async def test_a_user_is_put_into_rooms_and_out_of_them_from_any_worker() -> None:
    """Every tab there is now, and none that comes later."""
    network = Network()
    told = Told(network)
    async with network.node(told.hub("one")) as one, network.node(told.hub("two")) as two, Tab(two, "bob") as bob:
        alice = two.hub.user("alice")
        async with Tab(one, "alice") as here, Tab(two, "alice") as there:
            await alice.join("team:7")
            for tab in (here, there):
                await tab.receive("room_joined", room="team:7")
            async with Tab(one, "alice") as late:
                await alice.leave("team:7")
                for tab in (here, there):
                    left = await tab.receive("room_left", room="team:7")
                    assert "reason" not in left
                # Soon after each other: what is asked for last is what counts.
                for _ in range(3):
                    await alice.join("team:8")
                    await alice.leave("team:8")
                await alice.join("team:8")
                for tab in (here, there, late, bob):
                    await tab.caught_up()
                assert await two.hub.room("team:8").members() == []  # it has no presence
                assert [each["room"] for each in late.received("room_joined")] == ["team:8"] * 4
                assert bob.received("room_joined") == []
            with pytest.raises(UnknownRoom):
                await alice.join("@me")
            for room in ("", "x" * 129, "a\0b"):
                for move in (alice.join, alice.leave):
                    with pytest.raises(InvalidMessage):
                        await move(room)


async def test_what_is_asked_for_last_counts_where_joins_take_their_time() -> None:
    """Those that wait for one another are taken out as well as the one that is under way."""
    network = Network()

    def make(broker: NetworkBroker) -> Hub:
        hub = Hub(broker=broker, clock=network.clock)

        @hub.rooms("team:{number}", presence=True)
        async def may_join(number: int) -> bool:
            return True

        return hub

    async with network.node(make) as one, network.node(make) as two, Tab(one, "alice") as tab:
        alice = two.hub.user("alice")
        for times in (1, 2, 3):
            for _ in range(times):
                await alice.join("team:7")
                await alice.leave("team:7")
            await network.clock.advance(1.0)
            await tab.caught_up()
            assert await two.hub.room("team:7").members() == []
            moves = [each["type"] for each in tab.log if each.get("room") == "team:7"]
            assert moves[-1] == "room_left"
        await alice.join("team:7")
        await network.clock.advance(1.0)
        assert await two.hub.room("team:7").members() == ["alice"]
        assert len(inside(one.hub).parts.membership) == 0
