"""What all tests share. In CI nothing may be skipped: a skip there is a failure, told with its reason.

Under pytest-xdist the tests run beside each other, most of them waiting. One that is marked `alone` measures time,
memory or the processor: it runs when no other does, last, and the others wait for its end.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

from tests.kit.complaints import COMPLAINTS
from tests.kit.loop import backend
from tests.kit.running import Served

#: Whether this is one of several processes that run tests beside each other.
BESIDE = "PYTEST_XDIST_WORKER" in os.environ

# A test chooses the transport of a server in its own process, and is told nothing of that.
os.environ.setdefault("HUBBUB_TRANSPORT", "asgi")

#: What is in these runs on one worker: it shares a server of several processes or a browser, or has enough of both.
SHARED = {"browser", "showcase", "test_command.py", "test_kills.py", "test_ledger.py"}

GATE, TURN = Path(__file__).with_name("__init__.py"), Path(__file__)

#: What is in these runs real servers, and proves nothing of a pure module that a test beside it does not.
UNMEASURED = {"auth", "docs", "hostile", "integration", "loadtest", "soak", "testing", "transports"}

_coverage = pytest.StashKey[Coverage | None]()


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return backend()


@pytest.fixture(scope="session")
def showcase() -> Iterator[Served]:
    """The showcase as `make demo` runs it: development, three workers, an embedded Valkey."""
    with Served("--dev", "--workers", "3") as server:
        yield server


@pytest.fixture(autouse=True)
def _complaints(request: pytest.FixtureRequest) -> Iterator[None]:
    """No server says of a test what that does not declare."""
    COMPLAINTS.begin()
    yield
    COMPLAINTS.end(pattern for mark in request.node.iter_markers("complains") for pattern in mark.args)


@pytest.fixture(autouse=True)
def _no_word_of_blocks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Here a loop serves, asks, and imports besides: only tests marked `watched` hear what the watchdog says of it."""
    watchdog = logging.getLogger("hubbub.loop")
    watchdog.disabled = request.node.get_closest_marker("watched") is None
    yield
    watchdog.disabled = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Each worker takes the next test when it has ended one, but for those that share a server or a browser.

    By path: `--dist loadgroup` hands its groups over inside of node ids, which pytest 9.2 no longer lets it write.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next(iter(SHARED & _places(nodeid)), nodeid)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones begin first, so that none runs on when all others have ended; the lonely ones come last."""
    if BESIDE:
        items.sort(key=_rank)


def _places(nodeid: str) -> set[str]:
    """The folders a test is in, and its file."""
    return set(nodeid.partition("::")[0].split("/"))


def _rank(item: pytest.Item) -> int:
    if item.get_closest_marker("alone"):
        return 2
    return 0 if item.get_closest_marker("slow") or SHARED & _places(item.nodeid) else 1


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before the clock of pytest-timeout runs
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    if not BESIDE:
        return (yield)
    with _turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def _turn(*, alone: bool) -> Iterator[None]:
    """Locks on two files that are there anyway. Who waits to be alone holds the gate, so that nobody else begins."""
    import fcntl

    with GATE.open() as gate, TURN.open() as turn:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(turn, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(turn, fcntl.LOCK_UN)  # closing is not enough where a test has forked


def pytest_collection_finish(session: pytest.Session) -> None:
    """Until here the imports were measured."""
    measured = session.config.stash[_coverage] = Coverage.current()
    if measured is not None:
        measured.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[object]:
    """Before Python 3.12 whatever is measured takes three times as long, and what Hypothesis tries is the most."""
    measured = item.config.stash[_coverage]
    if measured is None or item.get_closest_marker("hypothesis") or UNMEASURED & _places(item.nodeid):
        return (yield)
    measured.start()
    try:
        return (yield)
    finally:
        measured.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and in CI every test runs: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = sorted({report.longrepr[2] for report in terminalreporter.stats.get("skipped", ())})
    if reasons:
        terminalreporter.section("TESTS SKIPPED", sep="!", red=True, bold=True)
        for reason in reasons:
            terminalreporter.line(reason)
