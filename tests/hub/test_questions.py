"""What a worker asks all of them: who answers, who cannot, who says nothing, and who is not waited for."""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hubbub import Hub
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.memory.store import Store
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.types import WORKERS, Position, Topic, node_topic
from tests.kit.inside import inside


class Line(MemoryBroker):
    """Counts what is published for all workers; `away`: nothing gets through."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.asked = 0
        self.away = False

    async def publish(self, topic: Topic, data: bytes, **options: Any) -> Position | None:
        if self.away:
            raise Unavailable
        self.asked += topic == WORKERS
        return await super().publish(topic, data, **options)


@contextlib.asynccontextmanager
async def cluster(size: int) -> AsyncIterator[list[tuple[Hub, Line]]]:
    store = Store()
    async with contextlib.AsyncExitStack() as stack:
        made: list[tuple[Hub, Line]] = []
        for _ in range(size):
            line = Line(store)
            hub = Hub(line)
            await stack.enter_async_context(hub.running())
            made.append((hub, line))
        yield made


async def test_every_worker_answers_whichever_is_asked() -> None:
    async with cluster(3) as workers:
        for number, (hub, _) in enumerate(workers):
            hub.workers.answers("twice", lambda x, number=number: [number, 2 * x])
        for hub, _ in workers:
            answers = await hub.workers.ask("twice", x=21)
            assert answers.said == {each.node: [number, 42] for number, (each, _) in enumerate(workers)}
            assert (answers.failed, answers.silent) == ({}, ())


async def test_an_answer_may_be_awaited() -> None:
    async def slow() -> str:
        await asyncio.sleep(0)
        return "done"

    async with cluster(1) as [(hub, _)]:
        hub.workers.answers("slow", slow)
        assert (await hub.workers.ask("slow")).said == {hub.node: "done"}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda other: other, "TypeError"),
        (lambda: math.nan, "ValueError"),
        (object, "TypeError"),
        (lambda: "x" * (1 << 20), "the answer is larger than 1048576 bytes"),
    ],
)
async def test_who_cannot_answer_says_why(answer: Any, why: str) -> None:
    async with cluster(2) as [(asks, _), (other, _)]:
        asks.workers.answers("it", lambda: "fine")
        other.workers.answers("it", answer)
        answers = await asks.workers.ask("it")
        assert answers.said == {asks.node: "fine"}
        assert answers.failed == {other.node: why}


async def test_a_worker_that_is_not_asked_that_says_so() -> None:
    async with cluster(2) as [(asks, _), (other, _)]:
        asks.workers.answers("it", lambda: 1)
        answers = await asks.workers.ask("it")
        assert (answers.said, list(answers.failed)) == ({asks.node: 1}, [other.node])


async def test_one_that_lives_and_says_nothing_is_named_and_not_waited_for() -> None:
    async with cluster(2) as [(asks, _), (other, line)]:
        for hub in (asks, other):
            hub.workers.answers("it", lambda: 1)
        line.away = True
        answers = await asks.workers.ask("it")
        assert (answers.said, answers.silent) == ({asks.node: 1}, (other.node,))
        line.away = False
        assert (await asks.workers.ask("it")).silent == ()


async def test_one_that_has_stopped_is_not_missed() -> None:
    async with cluster(2) as [(asks, _), (other, _)]:
        for hub in (asks, other):
            hub.workers.answers("it", lambda: 1)
        await other.stop()
        answers = await asks.workers.ask("it")
        assert (answers.said, answers.silent) == ({asks.node: 1}, ())


async def test_the_same_question_is_asked_once_for_all_who_wait() -> None:
    async with cluster(1) as [(hub, line)]:
        hub.workers.answers("it", lambda x=0: x)
        waiting = [asyncio.ensure_future(hub.workers.ask("it")) for _ in range(10)]
        other = asyncio.ensure_future(hub.workers.ask("it", x=1))
        await asyncio.sleep(0)
        waiting[0].cancel()
        answers = await asyncio.gather(*waiting[1:])
        assert line.asked == 2
        assert {tuple(each.said.items()) for each in answers} == {((hub.node, 0),)}
        assert (await other).said == {hub.node: 1}


async def test_a_broker_that_is_away_is_told_to_who_asks() -> None:
    async with cluster(1) as [(hub, line)]:
        line.away = True
        with pytest.raises(Unavailable):
            await hub.workers.ask("it")


async def test_who_waits_while_the_hub_stops_is_told() -> None:
    async with cluster(2) as [(hub, _), (_, line)]:
        line.away = True
        waiting = asyncio.ensure_future(hub.workers.ask("it"))
        await asyncio.sleep(0)
        await hub.stop()
        with pytest.raises(Unavailable):
            await waiting


@pytest.mark.parametrize("said", [b"", b"{}", b"[]", b"7", b'{"node": 1}', b'{"number": [], "node": "n"}', b"\xff"])
async def test_what_cannot_be_read_ends_nothing(said: bytes) -> None:
    async with cluster(1) as [(hub, line)]:
        hub.workers.answers("it", lambda: 1)
        await line.publish(WORKERS, Envelope(Kind.ASKED, said).encode())
        await hub.workers.ask("it")
        await line.publish(node_topic(hub.node), Envelope(Kind.ANSWERED, said).encode())
        late = {"node": "n", "number": 1, "answer": 2}
        await line.publish(node_topic(hub.node), Envelope(Kind.ANSWERED, json.dumps(late).encode()).encode())
        assert (await hub.workers.ask("it")).said == {hub.node: 1}


async def test_elsewhere_neither_is_heard() -> None:
    async with cluster(1) as [(hub, _)]:
        asked: list[str] = []
        hub.workers.answers("it", lambda: asked.append("it"))
        word = {"node": hub.node, "number": 1, "what": "it", "asked": {}}
        for topic in (Topic("everyone"), node_topic(hub.node)):
            inside(hub).parts.fanout.deliver(topic, Envelope(Kind.ASKED, json.dumps(word).encode()).encode())
        inside(hub).parts.fanout.deliver(WORKERS, Envelope(Kind.ANSWERED, json.dumps(word).encode()).encode())
        await hub.workers.ask("other")
        assert asked == []


async def test_two_functions_for_one_question_are_refused_and_one_twice_is_not() -> None:
    hub = Hub("memory")

    def answer() -> int:
        return 1

    hub.workers.answers("it", answer)
    hub.workers.answers("it", answer)
    with pytest.raises(ConfigurationError, match="'it' is answered by another function already"):
        hub.workers.answers("it", lambda: 1)
    with pytest.raises(ConfigurationError, match="not running"):
        await hub.workers.ask("it")
