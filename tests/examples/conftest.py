"""Examples as workers: each time a module of its own, as it would be in another process."""

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from types import ModuleType
from uuid import uuid4

import pytest
from examples.__main__ import EXAMPLES

from hubbub.brokers.embedded import EmbeddedValkey
from tests.docs.pages import ROOT
from tests.kit.serving import Address, serving
from tests.kit.waiting import until

SECRET = "a secret for the examples, of 32 bytes or more"


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    with EmbeddedValkey() as server:
        yield server.url


@pytest.fixture
def worker(valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """`worker("client_id/before")` is one more of its workers, not served yet."""
    for name in ("HUBBUB_WORKERS", "WEB_CONCURRENCY", "HUBBUB_DEV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SECRET", SECRET)
    made: list[str] = []

    def load(path: str) -> ModuleType:
        # Each example has a database of its own, as the command gives it.
        url = f"{valkey}?db={EXAMPLES.index(path.partition('/')[0])}"
        monkeypatch.setenv("HUBBUB_BROKER", url)
        monkeypatch.setenv("REDIS_URL", url)
        name = f"example_{uuid4().hex}"
        spec = importlib.util.spec_from_file_location(name, ROOT / f"examples/{path}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # Pydantic looks its models' modules up
        made.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in made:
        del sys.modules[name]


@pytest.fixture
async def two(worker: Callable[[str], ModuleType]) -> AsyncIterator[Callable[[str], object]]:
    """`await two("client_id/before")`: the addresses of two workers of it."""
    async with AsyncExitStack() as stack:

        async def serve(path: str) -> list[Address]:
            modules = [worker(path) for _ in range(2)]
            addresses = [await stack.enter_async_context(serving(module.app)) for module in modules]
            for module in modules:
                if hasattr(module, "hub"):
                    await until(lambda module=module: module.hub.ready, "the broker is there")  # type: ignore[misc]
                if hasattr(module, "redis"):
                    stack.push_async_callback(module.redis.aclose)
            return addresses

        yield serve
