"""What every broker promises, on each of ours. Which brokers meet is said here."""

import asyncio

from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.redis import RedisBroker
from hubbub.ports.broker import Broker
from hubbub.testing.conformance import Conformance
from hubbub.testing.conformance.life import CALLS
from hubbub.types import room_topic
from tests.kit.brokers import running

ROOM = room_topic("lobby")


class TestEveryBroker(Conformance):
    pass


def test_the_list_of_calls_is_the_ports() -> None:
    public = {name for name in vars(Broker) if not name.startswith("_")}
    assert set(CALLS) == public - {"shared", "ready", "deaf_for", "refusal", "start", "stop"}


def test_shared_says_whether_processes_meet_on_it(url: str) -> None:
    assert not MemoryBroker().shared
    assert RedisBroker(url).shared


def test_memory_brokers_do_not_meet() -> None:
    async def main() -> None:
        async with running(MemoryBroker(), MemoryBroker()) as (here, there):
            await here.broker.subscribe(ROOM)
            await there.broker.publish(ROOM, b"x")
            await there.broker.enter(ROOM, "alice", "n1")
            assert here.heard == []
            assert await here.broker.members(ROOM) == []

    asyncio.run(main())
