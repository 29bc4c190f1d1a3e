"""A Valkey for two workers to meet on."""

from collections.abc import Iterator

import pytest

from hubbub.brokers.embedded import EmbeddedValkey


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The URL of one; each test's hubs have a name of their own there."""
    with EmbeddedValkey() as server:
        yield server.url


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HUBBUB_BROKER", "HUBBUB_WORKERS", "HUBBUB_DEV", "HUBBUB_TRACING", "WEB_CONCURRENCY"):
        monkeypatch.delenv(variable, raising=False)
