import logging
from collections.abc import Callable
from typing import Any

import pytest

from hubbub.scheduling.limited_log import LimitedLog
from hubbub.testing.clock import ManualClock

LOG = logging.getLogger("hubbub.tests.limited")


class Written:
    def __init__(self, caplog: pytest.LogCaptureFixture, clock: ManualClock | None = None) -> None:
        caplog.set_level(logging.INFO, LOG.name)
        self._caplog = caplog
        self.clock = clock or ManualClock()
        self.log = LimitedLog(LOG, self.clock, burst=2, every=10.0)

    def lines(self) -> list[tuple[str, str]]:
        """What was written since the last time."""
        records = [(each.levelname, each.getMessage()) for each in self._caplog.records]
        self._caplog.clear()
        return records


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Written:
    return Written(caplog)


def test_of_each_kind_the_first_are_written_and_the_others_counted(written: Written) -> None:
    for number in range(5):
        written.log.tell("no", "no to %d", number)
        written.log.tell("slow", "slow %d", number, level=logging.WARNING)
    assert written.lines() == [
        ("INFO", "no to 0"),
        ("WARNING", "slow 0"),
        ("INFO", "no to 1"),
        ("WARNING", "slow 1"),
    ]
    written.clock.move(10.0)
    assert sorted(written.lines()) == [("INFO", "no: 3 more within 10 s"), ("WARNING", "slow: 3 more within 10 s")]
    written.clock.move(100.0)
    assert written.lines() == []
    written.log.tell("no", "no again")
    assert written.lines() == [("INFO", "no again")]


def test_where_nothing_was_left_out_there_is_no_count(written: Written) -> None:
    written.log.tell("no", "no")
    written.clock.move(10.0)
    written.log.tell("no", "no")
    written.log.tell("no", "no")
    written.clock.move(10.0)
    written.log.stop()
    assert written.lines() == [("INFO", "no")] * 3
    assert not written.clock.alarms


def test_what_was_left_out_at_the_end_is_told(written: Written) -> None:
    for _ in range(3):
        written.log.tell("no", "no")
    written.lines()
    written.clock.move(4.0)
    written.log.stop()
    assert written.lines() == [("INFO", "no: 1 more within 4 s")]
    assert not written.clock.alarms


class Deaf(ManualClock):
    """As the clock of an event loop that is gone, where another goes on: it never rings."""

    def call_at(self, when: float, ring: Callable[[], None]) -> Any:
        return super().call_at(float("inf"), ring)


def test_a_clock_that_does_not_ring_loses_no_count(caplog: pytest.LogCaptureFixture) -> None:
    written = Written(caplog, Deaf())
    for _ in range(3):
        written.log.tell("no", "no")
    written.lines()
    written.clock.move(11.0)
    written.log.tell("no", "no again")
    assert written.lines() == [("INFO", "no: 1 more within 11 s"), ("INFO", "no again")]
