"""A Valkey for the hubs of a test to meet on, and one that may be killed."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
import redis

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.rooms.subscriptions import Subscriptions
from tests.kit.serving import DEFAULTS, Names


@pytest.fixture(scope="session")
def _valkey_of_the_session() -> Iterator[str]:
    with EmbeddedValkey() as server:
        yield server.url


@pytest.fixture
def valkey(_valkey_of_the_session: str) -> str:
    """The URL of an empty Valkey."""
    with redis.Redis.from_url(_valkey_of_the_session) as client:
        client.flushall()
    return _valkey_of_the_session


@pytest.fixture
def keys(valkey: str) -> Callable[[], list[str]]:
    """What is in it, but for what ends by itself: the lease of each node, when users left or history began, what was
    declared and revoked."""

    def read() -> list[str]:
        with redis.Redis.from_url(valkey) as client:
            found = sorted(key.decode() for key in client.keys("*"))
        return [
            key
            for key in found
            if not key.endswith((":leases", ":left", ":words", ":version", ":begun", ":revoked", ":revocations"))
        ]

    return read


class Mortal:
    def __init__(self, server: EmbeddedValkey) -> None:
        self._server = server
        self.url = server.url

    def kill(self) -> None:
        os.kill(self._server.pid, signal.SIGKILL)
        while self._server.alive:
            pass

    def freeze(self) -> None:
        os.kill(self._server.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._server.pid, signal.SIGCONT)

    def start(self) -> None:
        """At the same address, with nothing in it."""
        self._server.start()


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    with EmbeddedValkey() as server:
        yield Mortal(server)


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture(autouse=True, params=["asgi", "direct"])
def _transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tests here run on both transports: that of any ASGI server, and our own."""
    if request.param == "direct":
        monkeypatch.setitem(DEFAULTS, "ws", "hubbub.transports.uvicorn:HubbubProtocol")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HUBBUB_BROKER", "HUBBUB_WORKERS", "HUBBUB_DEV", "WEB_CONCURRENCY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(autouse=True)
def _short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test need not wait a second until a topic nobody needs is given up."""
    defaults = Subscriptions.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "linger", 0.05)
