"""When a client comes back, and whether: for every code of the table, and for those that are not in it."""

import pytest

from hubbub.client.returning import CEILING, FIRST, RESTART, STEADY, Returning, reason_of
from hubbub.closes import CLOSES, Return


def longest(low: float, high: float) -> float:
    assert low == 0.0
    return high


def close(comes_back: Return) -> int:
    return next(each.code for each in CLOSES if each.comes_back is comes_back)


def test_who_is_not_wanted_does_not_come_back() -> None:
    assert Returning(longest, renews=True).after_close(close(Return.NEVER), lived=100.0, retry_after=1.0) is None


@pytest.mark.parametrize(
    ("renews", "lived", "comes"), [(True, 5.0, True), (True, None, False), (False, 5.0, False), (False, None, False)]
)
def test_a_credential_that_ended_is_made_anew_where_that_helps(renews: bool, lived: float | None, comes: bool) -> None:
    wait = Returning(longest, renews=renews).after_close(close(Return.NEW_CREDENTIAL), lived=lived, retry_after=None)
    assert (wait is not None) is comes


def test_delays_double_up_to_a_ceiling_and_begin_anew_after_a_steady_connection() -> None:
    returning = Returning(longest, renews=False)
    assert [returning.after_failure() for _ in range(8)] == [FIRST, 1, 2, 4, 8, 16, CEILING, CEILING]
    assert returning.after_close(1006, lived=STEADY / 2, retry_after=None) == CEILING
    assert returning.after_close(1006, lived=STEADY, retry_after=None) == FIRST


def test_a_restart_is_no_sign_that_all_is_well() -> None:
    returning = Returning(longest, renews=False)
    for _ in range(5):
        returning.after_failure()
    assert returning.after_close(1012, lived=STEADY, retry_after=None) == 16
    assert Returning(longest, renews=False).after_close(1012, lived=1.0, retry_after=None) == RESTART


def test_what_the_server_asks_for_is_kept() -> None:
    returning = Returning(longest, renews=False)
    assert returning.after_close(1012, lived=1.0, retry_after=3.25) == 3.25
    assert returning.after_refusal(503, retry_after=2.0) == 3.0
    assert returning.after_refusal(429, retry_after=None) == FIRST * 2
    assert returning.after_refusal(403, retry_after=2.0) is None


def test_at_once_is_meant_once() -> None:
    codes = [each.code for each in CLOSES if each.comes_back is Return.AT_ONCE]
    for code in codes:
        returning = Returning(longest, renews=False)
        assert returning.after_close(code, lived=1.0, retry_after=None) == 0.0
        assert returning.after_close(code, lived=1.0, retry_after=None) == FIRST * 2


def test_a_code_of_no_table_comes_back_and_has_no_reason() -> None:
    assert Returning(longest, renews=False).after_close(4999, lived=None, retry_after=None) == FIRST
    assert (reason_of(4999), reason_of(4003)) == ("", "disconnected by the application")
