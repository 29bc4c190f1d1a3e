from hubbub.connection.throttle import Throttle
from hubbub.options import Rate


def test_a_connection_may_send_its_burst_and_then_its_rate() -> None:
    throttle = Throttle(Rate(messages=2.0, burst=3, refusals=1), now=0.0)
    assert [throttle.spend(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert throttle.spend(0.5) == 0.0


def test_refusals_are_borne_until_patience_ends_and_regained_at_one_a_second() -> None:
    throttle = Throttle(Rate(messages=1000.0, burst=1000, refusals=2), now=0.0)
    assert [throttle.refused(0.0) for _ in range(3)] == [True, True, False]
    assert not throttle.refused(0.75)
    assert [throttle.refused(1.0), throttle.refused(1.0)] == [True, False]


def test_messages_and_refusals_are_counted_apart() -> None:
    throttle = Throttle(Rate(messages=1.0, burst=1, refusals=1), now=0.0)
    assert throttle.spend(0.0) == 0.0
    assert throttle.spend(0.0) == 1.0
    assert throttle.refused(0.0)
    assert not throttle.refused(0.0)
    assert throttle.spend(1.0) == 0.0


def test_rooms_are_joined_from_an_allowance_of_their_own() -> None:
    throttle = Throttle(Rate(messages=2.0, burst=3, refusals=1), now=0.0)
    assert [throttle.spend(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    # All it may be in, twice: who came back, and is told of gaps.
    assert [throttle.join(0.0, 4) for _ in range(9)] == [0.0] * 8 + [0.5]
    assert throttle.join(0.5, 4) == 0.0


def test_there_are_no_fewer_joins_than_messages() -> None:
    throttle = Throttle(Rate(messages=2.0, burst=3, refusals=1), now=0.0)
    assert [throttle.join(0.0, 1) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
