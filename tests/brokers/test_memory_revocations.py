"""What a memory broker remembers of revocations: in bounds, and until it is over."""

from hubbub.brokers.memory.revocations import RevocationLog


def test_it_is_bounded_and_what_is_over_makes_room() -> None:
    log = RevocationLog(most=2)
    assert log.revoke(b"a", 10.0, 1.0)
    assert log.revoke(b"b", 20.0, 1.0)
    assert not log.revoke(b"c", 20.0, 2.0)
    assert log.revoke(b"a", 15.0, 2.0)
    assert [each.word for each in log.read(0, 10)] == [b"b", b"a"]
    assert log.revoke(b"c", 20.0, 15.0)
    assert len(log) == 2


def test_numbers_are_never_given_again_not_even_by_one_that_forgot() -> None:
    log = RevocationLog()
    assert log.revoke(b"a", 10.0, 1.0)
    assert log.revoke(b"b", 10.0, 1.0)
    [first, second] = [each.number for each in log.read(0, 10)]
    assert first < second
    other = RevocationLog()
    assert other.revoke(b"c", 10.0, 2.0)
    assert other.read(second, 10)
