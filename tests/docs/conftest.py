from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

from hubbub import JWTAuth
from hubbub.brokers.embedded import EmbeddedValkey
from tests.docs import pages

SECRET = "a secret for the examples, of 32 bytes or more"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HUBBUB_BROKER", "HUBBUB_WORKERS", "HUBBUB_DEV", "WEB_CONCURRENCY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HUBBUB_SECRET", SECRET)


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Callable[[str, str], ModuleType]]:
    """`example("docs/howto/x.md", "title.py")` is the module that page shows."""
    with ExitStack() as stack:
        yield lambda page, title: stack.enter_context(pages.module(page, title, tmp_path))


@pytest.fixture
def token() -> Callable[[str], str]:
    return lambda user: JWTAuth(SECRET).sign(user)


@pytest.fixture
def valkey() -> Iterator[str]:
    with EmbeddedValkey() as server:
        yield server.url
