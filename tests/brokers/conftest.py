"""Real brokers: the memory broker, and a Valkey that is emptied for every test."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest
from redis import Redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.memory.store import Store
from hubbub.brokers.redis import RedisBroker
from hubbub.testing.conformance.meeting import NewBroker
from tests.kit.rights import as_documented


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
    # With no more rights than the documentation says are enough.
    url = as_documented(request.getfixturevalue("admin"), request.getfixturevalue("url"))
    return lambda: RedisBroker(url)
