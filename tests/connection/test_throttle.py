from typing import Any

from hubbub.connection.throttle import Throttle, UserAllowances
from hubbub.options import Limits, Rate
from hubbub.types import UserId

ANN, BOB = UserId("ann"), UserId("bob")


def allowances(*, rooms: int = 128, message: int = 10, **rate: Any) -> UserAllowances:
    return UserAllowances(Rate(**rate), Limits(rooms=rooms, message=message))


def throttle(**options: Any) -> Throttle:
    return Throttle(allowances(**options))


def test_a_connection_may_send_its_burst_and_then_its_rate() -> None:
    one = throttle(messages=2.0, burst=3, refusals=1)
    assert [one.spend(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert one.spend(0.5) == 0.0


def test_refusals_are_borne_until_patience_ends_and_regained_at_one_a_second() -> None:
    one = throttle(messages=1000.0, burst=1000, refusals=2)
    assert [one.refused(0.0) for _ in range(3)] == [True, True, False]
    assert not one.refused(0.75)
    assert [one.refused(1.0), one.refused(1.0)] == [True, False]


def test_messages_and_refusals_are_counted_apart() -> None:
    one = throttle(messages=1.0, burst=1, refusals=1)
    assert one.spend(0.0) == 0.0
    assert one.spend(0.0) == 1.0
    assert one.refused(0.0)
    assert not one.refused(0.0)
    assert one.spend(1.0) == 0.0


def test_rooms_are_joined_from_an_allowance_of_their_own() -> None:
    one = throttle(messages=2.0, burst=3, refusals=1, rooms=4)
    assert [one.spend(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    # All it may be in, twice: who came back, and is told of gaps.
    assert [one.join(0.0) for _ in range(9)] == [0.0] * 8 + [0.5]
    assert one.join(0.5) == 0.0


def test_there_are_no_fewer_joins_than_messages() -> None:
    one = throttle(messages=2.0, burst=3, refusals=1, rooms=1)
    assert [one.join(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_what_turns_out_to_be_a_join_is_given_back() -> None:
    one = throttle(messages=1.0, burst=1, refusals=1)
    one.give_back(refused=False)  # before there was any
    one.belongs_to(ANN, 0.0)
    for _ in range(3):
        assert one.spend(0.0) == 0.0
        one.give_back(refused=False)
    assert one.spend(0.0) == 0.0
    for _ in range(3):
        assert one.spend(0.0) == 1.0
        assert one.refused(0.0)
        one.give_back(refused=True)
    assert one.refused(0.0)
    assert not one.refused(0.0)


def test_bytes_are_owed_and_waited_for() -> None:
    one = throttle(bytes=100.0, bytes_burst=1000)
    assert one.weigh(0.0, 900) == 0.0
    assert one.weigh(0.0, 300) == 2.0
    assert one.weigh(2.0, 50) == 0.5
    assert one.weigh(100.0, 1000) == 0.0
    # However much it was: nobody owes more than may come at once.
    assert one.weigh(100.0, 10**9) == 10.0


def test_the_largest_message_may_always_come_at_once() -> None:
    one = throttle(bytes=100.0, bytes_burst=10, message=1000)
    assert one.weigh(0.0, 1000) == 0.0
    assert one.weigh(0.0, 10) > 0


def test_all_tabs_of_a_user_share_what_four_of_them_may_send() -> None:
    users = allowances(messages=1.0, burst=10, bytes=1.0, bytes_burst=100, refusals=5, tabs=2)
    tabs = [Throttle(users) for _ in range(5)]
    for tab in tabs:
        tab.belongs_to(ANN, 0.0)
        tab.belongs_to(ANN, 0.0)
    other = Throttle(users)
    other.belongs_to(BOB, 0.0)
    assert len(users) == 2
    assert sum(tab.spend(0.0) == 0.0 for tab in tabs for _ in range(10)) == 20
    assert [tab.weigh(0.0, 100) for tab in tabs] == [0.0, 0.0, 50.0, 100.0, 100.0]
    assert sum(tab.refused(0.0) for tab in tabs for _ in range(5)) == 10
    assert (other.spend(0.0), other.weigh(0.0, 100), other.refused(0.0)) == (0.0, 0.0, True)


def test_what_the_users_allowance_refuses_costs_the_connection_nothing() -> None:
    users = allowances(messages=1.0, burst=2, tabs=1)
    one, other = Throttle(users), Throttle(users)
    for tab in (one, other):
        tab.belongs_to(ANN, 0.0)
    assert [one.spend(0.0), one.spend(0.0), other.spend(0.0), other.spend(0.0)] == [0.0, 0.0, 1.0, 1.0]
    assert [other.spend(2.0), other.spend(2.0), other.spend(2.0)] == [0.0, 0.0, 1.0]


def test_who_comes_back_has_no_more_left_than_when_he_went() -> None:
    users = allowances(messages=1.0, burst=10, tabs=1)
    for _ in range(2):
        tab = Throttle(users)
        tab.belongs_to(ANN, 0.0)
        for _ in range(5):
            assert tab.spend(0.0) == 0.0
        tab.gone(0.0)
        tab.gone(0.0)
        assert (len(users), users.remembered) == (0, 1)
    tab = Throttle(users)
    tab.belongs_to(ANN, 0.0)
    assert tab.spend(0.0) == 1.0
    # Nothing of it is used any more: there is nothing to remember.
    tab.gone(10.0)
    assert users.remembered == 0


def test_users_who_left_are_forgotten_when_they_have_got_all_back() -> None:
    users = allowances(messages=1.0, burst=10)
    stays = Throttle(users)
    stays.belongs_to(ANN, 0.0)
    for number in range(10_000):
        now = number / 100
        tab = Throttle(users)
        tab.belongs_to(UserId(f"u{number}"), now)
        assert tab.spend(now) == 0.0
        tab.gone(now)
        assert users.remembered <= 512
    assert len(users) == 1


def test_a_connection_of_nobody_leaves_nothing() -> None:
    users = allowances()
    tab = Throttle(users)
    tab.spend(0.0)
    tab.gone(0.0)
    assert users.remembered == 0
