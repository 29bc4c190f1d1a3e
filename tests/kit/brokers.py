"""A broker of a test's own, what it said, and that it leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import psutil

from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.errors import Unavailable
from hubbub.options import Keep
from hubbub.ports.broker import Broker
from hubbub.types import Position, Topic
from tests.kit.waiting import SOON, until

T = TypeVar("T")


class Worker:
    """A broker and what it said: `heard` in order, how often it came back after it was away, and what it missed."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.heard: list[tuple[Topic, bytes]] = []
        self.resumed = 0
        self.missed: list[Topic] = []

    async def start(self) -> None:
        await self.broker.start(
            lambda topic, data, _position: self.heard.append((topic, data)), self._resumed, self.missed.append
        )

    def data(self, topic: Topic) -> list[bytes]:
        return [data for heard, data in self.heard if heard == topic]

    def _resumed(self) -> None:
        self.resumed += 1


class Failing(MemoryBroker):
    """It is away for one topic."""

    def __init__(self, away: Topic) -> None:
        super().__init__()
        self._away_for = away

    async def publish(
        self, topic: Topic, data: bytes, *, keep: Keep = None, idempotency_key: str | None = None
    ) -> Position | None:
        if topic == self._away_for:
            raise Unavailable
        return await super().publish(topic, data, keep=keep, idempotency_key=idempotency_key)


async def eventually(ask: Callable[[], Awaitable[T]], is_right: Callable[[T], bool], within: float = SOON) -> T:
    """The first answer that is right. Raises AssertionError after `within` seconds."""
    answers: list[T] = []

    async def right() -> bool:
        answers[:] = [await ask()]
        return is_right(answers[0])

    await until(right, "the right answer", within)
    return answers[0]


@asynccontextmanager
async def running(*brokers: Broker) -> AsyncIterator[tuple[Worker, ...]]:
    """Workers that are ready; when they stopped, no task and no descriptor of theirs may be left."""
    # The loop's own descriptors, and Python's, are there before the first is counted.
    await asyncio.sleep(0)
    tasks, descriptors = asyncio.all_tasks(), psutil.Process().num_fds()
    workers = tuple(map(Worker, brokers))
    try:
        for worker in workers:
            await worker.start()
        for worker in workers:
            await until(lambda worker=worker: worker.broker.ready, "the broker is ready")
        yield workers
    finally:
        for worker in workers:
            await worker.broker.stop()
    # One that was being ended already when all was stopped has a turn or two of the loop to go.
    await until(lambda: asyncio.all_tasks() <= tasks, "no task is left")
    assert psutil.Process().num_fds() <= descriptors


@asynccontextmanager
async def started(broker: Broker) -> AsyncIterator[Worker]:
    """As `running`, of one, where something else in this process opens and closes descriptors too."""
    tasks = asyncio.all_tasks()
    worker = Worker(broker)
    try:
        await worker.start()
        await until(lambda: broker.ready, "the broker is ready")
        yield worker
    finally:
        await broker.stop()
    # One that was being ended already when all was stopped has a turn or two of the loop to go.
    await until(lambda: asyncio.all_tasks() <= tasks, "no task is left")


async def heard_again(worker: Worker, topic: Topic) -> None:
    worker.heard.clear()
    await worker.broker.publish(topic, b"again")
    await until(lambda: worker.data(topic) == [b"again"], "it is heard")
