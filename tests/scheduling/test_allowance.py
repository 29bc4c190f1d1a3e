"""An allowance of messages and bytes: what may go through, and when again."""

import pytest

from hubbub.scheduling.allowance import Allowance


def allowance() -> Allowance:
    return Allowance(10, 100, 3, 50, 0.0)


def test_so_many_messages_go_through_at_once_and_then_one_for_each_that_is_regained() -> None:
    one = allowance()
    assert [one.spend(0.0, 1) for _ in range(4)] == [0.0, 0.0, 0.0, pytest.approx(0.1)]
    assert one.spend(0.05, 1) == pytest.approx(0.05)
    assert one.spend(0.1, 1) == 0.0


def test_what_is_larger_than_what_is_left_goes_through_and_the_next_waits_for_it() -> None:
    one = allowance()
    assert one.spend(0.0, 150) == 0.0
    assert one.spend(0.0, 1) == pytest.approx(1.01)
    assert one.spend(1.0, 1) > 0
    assert one.spend(1.01, 1) == 0.0


def test_no_more_is_regained_than_there_was_at_first() -> None:
    one = allowance()
    one.spend(0.0, 10)
    assert not one.full(0.0)
    assert one.full(100.0)
    assert [bool(one.spend(100.0, 1)) for _ in range(4)] == [False, False, False, True]
    one = allowance()
    assert [bool(one.spend(100.0, 25)) for _ in range(3)] == [False, False, True]


def test_what_it_cost_may_be_said_afterwards() -> None:
    one = allowance()
    assert one.wait(0.0) == 0.0
    one.take(5, 20)
    assert one.wait(0.0) == pytest.approx(0.3)
    one.take(0, 80)
    assert one.wait(0.3) == pytest.approx(0.21)
    assert one.wait(0.51) == 0.0
