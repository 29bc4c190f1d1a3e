"""What joins may hand to a client: refused before it costs, and nothing kept of who has it all again."""

import pytest

from hubbub.errors import RateLimited
from hubbub.options import Limits
from hubbub.ports.metrics import Count, Tally
from hubbub.rooms.handing import NOTHING, TABS, Cost, Handing
from hubbub.testing import ManualClock
from tests.kit.recipients import Reader, Turn

#: 100 messages at once, 1,000 bytes at once.
LIMITS = Limits(rooms=1, replay=25, replay_rate=50, outbox=1_000, payload=500, replay_bytes=100)


class Worker:
    def __init__(self, *, limited: bool = True) -> None:
        self.clock, self.metrics = ManualClock(), Tally()
        self.handing = Handing(LIMITS, self.clock, self.metrics, limited=limited)

    def tab(self, name: str, tab: str = "") -> Reader:
        return Reader(name, Turn(), tab=tab)

    def joins(self, tab: Reader, cost: Cost = NOTHING) -> int:
        """How many of it are let through."""
        for number in range(1_000):
            try:
                self.handing.check(tab)
            except RateLimited:
                return number
            self.handing.handed(tab, cost)
        return 1_000


def test_a_join_counts_and_what_it_was_answered_as_well() -> None:
    worker = Worker()
    assert worker.joins(worker.tab("ann")) == 4
    assert worker.joins(worker.tab("bob"), Cost(25, 1)) == 2
    assert worker.joins(worker.tab("cid"), Cost(0, 600)) == 2


def test_it_is_regained() -> None:
    worker = Worker()
    ann = worker.tab("ann")
    worker.joins(ann, Cost(75, 1_000))
    worker.clock.move(0.5)
    assert worker.joins(ann) == 1
    worker.clock.move(100)
    assert worker.joins(ann) == 4


def test_all_tabs_of_a_user_have_one_of_their_own_which_a_new_tab_does_not_renew() -> None:
    worker = Worker()
    let = 0
    for number in range(3 * TABS):
        tab = worker.tab("ann", f"ann{number}")
        let += worker.joins(tab)
        worker.handing.gone(tab)
    assert let == TABS * 4
    assert worker.joins(worker.tab("bob")) == 4


def test_several_rooms_count_each() -> None:
    worker = Worker()
    ann = worker.tab("ann")
    worker.handing.check(ann, rooms=4)
    with pytest.raises(RateLimited) as refused:
        worker.handing.check(ann)
    assert refused.value.retry_after == 20
    assert worker.metrics.counts[Count.JOINS_LIMITED] == 1


def test_nothing_is_kept_of_who_is_gone_and_has_it_all_again() -> None:
    worker = Worker()
    for number in range(50):
        tab = worker.tab(f"user{number}")
        worker.joins(tab)
        worker.handing.gone(tab)
        worker.handing.handed(tab, Cost(1, 1))
        worker.clock.move(1.9)
    assert len(worker.handing) == 0
    assert worker.handing.users <= 5
    worker.handing.stop()


def test_in_development_nothing_is_refused() -> None:
    worker = Worker(limited=False)
    assert worker.joins(worker.tab("ann"), Cost(1_000, 1_000_000)) == 1_000
    assert len(worker.handing) == 0
