"""Real brokers: the memory broker, and a Valkey that is emptied for every test."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import psutil
import pytest
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.memory.store import Store
from hubbub.brokers.redis import RedisBroker
from hubbub.ports.broker import Broker
from hubbub.testing.conformance.meeting import NewBroker
from hubbub.types import Topic
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
    assert asyncio.all_tasks() == tasks
    assert psutil.Process().num_fds() <= descriptors


@pytest.fixture(scope="session")
def one_valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as valkey:
        yield valkey


@pytest.fixture
def admin(one_valkey: EmbeddedValkey) -> Iterator[Redis]:
    """Somebody else's client of the empty server."""
    with Redis.from_url(one_valkey.url) as client:
        client.flushall()
        client.config_resetstat()
        yield client
        client.script_flush()


@pytest.fixture
def url(one_valkey: EmbeddedValkey, admin: Redis) -> str:
    """Of an empty server that stays up."""
    return one_valkey.url


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    """A server of the test's own, to be killed, frozen and started again at the same URL."""
    server = EmbeddedValkey()
    server.start()
    try:
        yield server
    finally:
        with suppress(RuntimeError, ProcessLookupError):
            os.kill(server.pid, signal.SIGCONT)
        server.stop()


@pytest.fixture(params=["memory", "redis"])
def new_broker(request: pytest.FixtureRequest) -> NewBroker:
    """Another broker each time; all of them meet."""
    if request.param == "memory":
        store = Store()
        return lambda: MemoryBroker(store)
    url = request.getfixturevalue("url")
    return lambda: RedisBroker(url)
