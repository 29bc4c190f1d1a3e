from typing import Any

from hubbub.hub.address_table import AddressTable
from hubbub.options import Addresses

A, B = b"aaaa", b"bbbb"


def table(**options: Any) -> AddressTable:
    return AddressTable(Addresses(**options))


def why(answer: Any) -> tuple[str, float] | None:
    return None if answer is None else (answer.why, round(answer.retry_after, 3))


def test_connections_at_a_time() -> None:
    addresses = table(connections=2)
    assert [why(addresses.enter(A, 0)) for _ in range(3)] == [None, None, ("too many connections", 5)]
    assert addresses.enter(B, 0) is None
    addresses.leave(A, 1)
    assert addresses.enter(A, 1) is None
    assert addresses.connections == 3


def test_handshakes_a_second() -> None:
    addresses = table(handshakes=2, burst=3)
    for _ in range(3):
        assert addresses.enter(A, 0) is None
        addresses.leave(A, 0)
    assert why(addresses.enter(A, 0)) == ("too many handshakes", 0.5)
    assert addresses.enter(B, 0) is None
    assert addresses.enter(A, 0.5) is None
    assert addresses.enter(A, 0.5) is not None


def test_those_that_wait() -> None:
    addresses = table(unauthenticated=1)
    addresses.enter(A, 0)
    addresses.enter(A, 0)
    assert addresses.wait(A) is None
    assert why(addresses.wait(A)) == ("too many connections wait to authenticate", 5)
    addresses.waited(A)
    assert addresses.wait(A) is None


def test_what_came_to_nothing_bars_and_is_regained() -> None:
    addresses = table(handshakes=10, failures=3)
    assert addresses.barred(A, 0) is None
    for _ in range(3):
        assert addresses.barred(A, 0) is None
        addresses.failed(A, 0)
    assert why(addresses.barred(A, 0)) == ("too many failures", 1)
    assert why(addresses.enter(A, 0)) == ("too many failures", 1)
    assert addresses.barred(B, 0) is None
    for _ in range(1_000):
        addresses.failed(A, 0)
    assert why(addresses.enter(A, 0)) == ("too many failures", 1), "one regained lets one more be looked at"
    assert addresses.enter(A, 1) is None
    addresses.failed(A, 1)
    assert addresses.barred(A, 1) is not None, "also while it has a connection"
    addresses.leave(A, 2)
    assert addresses.enter(A, 2) is None


def test_as_many_idle_addresses_are_remembered_as_may_be_and_all_with_a_connection() -> None:
    addresses = table(known=10)
    for number in range(1_000):
        assert addresses.enter(number.to_bytes(8, "big"), 0) is None
    assert len(addresses) == 1_000
    for number in range(1_000):
        addresses.leave(number.to_bytes(8, "big"), 0)
        addresses.failed(b"other" + number.to_bytes(8, "big"), 0)
    assert len(addresses) == 10


def test_the_one_heard_last_is_remembered_longest() -> None:
    addresses = table(known=2, failures=1)
    for key in (A, b"1", A, b"2", A, b"3"):
        addresses.failed(key, 0)
    assert addresses.barred(A, 0) is not None
    assert addresses.barred(b"1", 0) is None, "forgotten"


def test_who_is_only_looked_at_keeps_nobody_in_memory() -> None:
    addresses = table(handshakes=1, burst=1, failures=1)
    addresses.failed(A, 0)
    addresses.failed(B, 0)
    assert addresses.barred(A, 19) is None
    addresses.failed(b"c", 20)
    assert len(addresses) == 1


def test_nobody_is_remembered_whose_allowances_are_whole() -> None:
    addresses = table(handshakes=10, burst=20, failures=3)
    addresses.failed(A, 0)
    addresses.failed(B, 2.9)
    assert len(addresses) == 2
    addresses.failed(b"c", 3.1)
    assert len(addresses) == 2


def test_what_is_known_to_be_refused_is_known_without_asking_for_anything() -> None:
    addresses = table(connections=1, handshakes=1, burst=2, failures=5)
    assert addresses.refuses(A, 0) is None
    addresses.enter(A, 0)
    assert why(addresses.refuses(A, 0)) == ("too many connections", 5)
    addresses.leave(A, 0)
    assert addresses.refuses(A, 0) is None
    addresses.enter(A, 0)
    addresses.enter(A, 0)
    assert why(addresses.refuses(A, 0.25)) == ("too many handshakes", 0.75)
    addresses.leave(A, 0.25)
    assert addresses.refuses(A, 1) is None
    for _ in range(5):
        addresses.failed(A, 1)
    assert why(addresses.refuses(A, 1)) == ("too many failures", 10)
