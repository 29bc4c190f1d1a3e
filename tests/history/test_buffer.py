"""What waits until a worker can pass it on, and what becomes of what does not fit."""

import pytest

from hubbub.history.buffer import Buffer
from hubbub.types import Position

SEVEN, EIGHT = Position("e", 7), Position("e", 8)


def test_what_waits_keeps_its_order_and_a_read_finds_what_is_kept() -> None:
    buffer = Buffer(count=9, size=99)
    for data, position in ((b"1", SEVEN), (b"n", None)):
        assert buffer.add(data, position)
    buffer.drop_kept()
    assert buffer.add(b"2", EIGHT)
    assert not buffer.overflowed
    assert buffer.take_all() == [(b"n", None), (b"2", EIGHT)]
    assert buffer.take_all() == []


@pytest.mark.parametrize("bounds", [{"count": 0, "size": 99}, {"count": 9, "size": 0}])
def test_what_does_not_fit_is_read_again_or_goes_at_once(bounds: dict[str, int]) -> None:
    buffer = Buffer(**bounds)
    assert not buffer.add(b"n", None)
    assert not buffer.overflowed
    assert buffer.take_all() == []
    assert buffer.add(b"1", SEVEN)
    assert buffer.overflowed
    assert buffer.take_all() == []
    assert not buffer.overflowed
    assert buffer.add(b"1", SEVEN)
    buffer.drop_kept()
    assert not buffer.overflowed
    assert buffer.take_all() == []


def test_what_history_has_not_is_taken_in_the_order_in_which_it_came() -> None:
    buffer = Buffer(count=3, size=99)
    for data, position in ((b"n1", None), (b"1", SEVEN), (b"n2", None)):
        assert buffer.add(data, position)
    assert not buffer.add(b"n3", None)
    assert buffer.take_unkept() == [b"n1", b"n2"]
    assert buffer.add(b"n4", None)
    assert buffer.take_all() == [(b"1", SEVEN), (b"n4", None)]


@pytest.mark.parametrize("leave", [Buffer.take_all, Buffer.drop_kept])
def test_what_has_left_makes_room(leave: object) -> None:
    buffer = Buffer(count=9, size=10)
    for _ in range(3):
        assert buffer.add(b"x" * 10, SEVEN)
        assert not buffer.overflowed
        leave(buffer)  # type: ignore[operator]
    assert buffer.add(b"x" * 10, None)
    assert not buffer.add(b"x", None)
    assert buffer.take_unkept() == [b"x" * 10]
    assert buffer.add(b"x" * 10, None)
