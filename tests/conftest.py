"""What all tests share. In CI nothing may be skipped: a skip there is a failure, told with its reason."""

import os
from collections.abc import Iterator

import pytest

from tests.kit.running import Served


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def showcase() -> Iterator[Served]:
    """The showcase as `make demo` runs it: development, three workers, an embedded Valkey."""
    with Served("--dev", "--workers", "3") as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and in CI every test runs: {report.longrepr}"
    return report
