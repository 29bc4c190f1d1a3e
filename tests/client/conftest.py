"""A publisher of either kind, and a hub whose rooms keep what is sent."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hubbub import History, Hub
from hubbub.brokers.embedded import EmbeddedValkey
from tests.kit.publishers import OpenPublisher, awaiting, blocking
from tests.kit.serving import Names, serving, simple

KEPT = History(size=10, ttl=60)


@pytest.fixture(params=[blocking, awaiting])
def open_publisher(request: pytest.FixtureRequest) -> OpenPublisher:
    publisher: OpenPublisher = request.param
    return publisher


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with EmbeddedValkey() as server:
        yield server.url


@pytest.fixture
def name() -> str:
    """Of a hub that nobody else has had: the rules are the hub's."""
    return f"hub-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def kept(url: str, name: str) -> Callable[[], Any]:
    """Starts another worker of the hub, which keeps what is sent to `kept:…` and to users."""

    def serve() -> Any:
        hub = Hub(url, name=name, auth=Names(), inbox=KEPT)

        @hub.rooms("kept:{name}", history=KEPT)
        async def anyone(name: str) -> bool:
            return True

        return serving(simple(hub))

    return serve
