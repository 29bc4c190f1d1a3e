"""One topic's history and all topics': by size, by age, by key, and forgotten in time."""

from collections import deque
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.brokers.memory.streams import Stream, Streams
from hubbub.errors import Unavailable
from hubbub.options import History
from hubbub.ports.broker import KEY_KNOWN, POSITION_KNOWN
from hubbub.ports.epochs import DAY, goes_on
from hubbub.types import Position

KEEP = History(size=5, ttl=10)


def read(stream: Stream, now: float, keep: History = KEEP, limit: int = 100, **how: object) -> list[int]:
    return [offset for offset, _ in stream.read(keep, now, limit=limit, **{"since": None, **how})]  # type: ignore[arg-type]


def streams() -> Streams:
    numbers = count(1)
    return Streams(lambda: f"e{next(numbers)}")


class TestAStream:
    def test_gives_positions_that_rise_by_one(self) -> None:
        stream = Stream("e")
        assert stream.position == Position("e", 0)
        assert [stream.append(b"x", KEEP, 0.0) for _ in range(3)] == [Position("e", at) for at in (1, 2, 3)]
        assert stream.position == Position("e", 3)

    def test_keeps_the_newest(self) -> None:
        stream = Stream("e")
        for number in range(8):
            stream.append(b"%d" % number, KEEP, 0.0)
        assert stream.read(KEEP, 0.0, since=None, limit=2) == [(4, b"3"), (5, b"4")]
        assert read(stream, 0.0) == [4, 5, 6, 7, 8]
        assert read(stream, 0.0, History(size=50, ttl=10)) == [4, 5, 6, 7, 8]
        assert read(stream, 0.0, History(size=2, ttl=10)) == [7, 8]

    def test_shows_none_that_is_too_old(self) -> None:
        stream = Stream("e")
        for now in (0.0, 5.0, 9.0):
            stream.append(b"x", KEEP, now)
        assert read(stream, 9.9) == [1, 2, 3]
        assert read(stream, 10.0) == [2, 3]
        assert read(stream, 10.0, History(size=5, ttl=2)) == [3]
        assert read(stream, 15.0, reverse=True) == [3]
        assert read(stream, 19.0) == []
        # Even the one just appended stays, however short its time.
        stream.append(b"x", History(size=5, ttl=1e-9), 1e9)
        assert read(stream, 1e9) == [4]

    def test_does_not_hold_what_is_too_old_until_it_is_full(self) -> None:
        stream = Stream("e")
        for now in (0.0, 5.0, 9.0, 10.0):
            stream.append(b"x", KEEP, now)
        assert stream.offsets == [2, 3, 4]

    def test_is_read_from_either_end(self) -> None:
        stream = Stream("e")
        for _ in range(7):
            stream.append(b"x", KEEP, 0.0)
        assert read(stream, 0.0, since=4) == [5, 6, 7]
        assert read(stream, 0.0, since=0, limit=2) == [3, 4]
        assert read(stream, 0.0, since=7) == read(stream, 0.0, since=70) == []
        assert read(stream, 0.0, limit=0) == read(stream, 0.0, limit=0, reverse=True) == []
        assert read(stream, 0.0, reverse=True, limit=2) == [7, 6]
        assert read(stream, 0.0, reverse=True, since=5) == [4, 3]
        assert read(stream, 0.0, reverse=True, since=70) == [7, 6, 5, 4, 3]
        assert read(stream, 0.0, reverse=True, since=3) == read(stream, 0.0, reverse=True, since=-9) == []

    def test_knows_a_key_for_five_minutes(self) -> None:
        stream = Stream("e")
        first = stream.append(b"x", KEEP, 0.0, "a")
        stream.append(b"x", KEEP, 1.0, "b")
        assert stream.seen("a", KEY_KNOWN - 0.1) == first
        assert stream.seen("a", KEY_KNOWN) is None
        assert stream.seen("b", KEY_KNOWN) == Position("e", 2)
        assert stream.seen("c", 0.0) is None
        stream.append(b"x", KEEP, KEY_KNOWN, "c")
        assert stream.idempotency_keys == {"b", "c"}

    def test_turns_back_only_where_the_epoch_is_still_that_one(self) -> None:
        stream = Stream("e")
        stream.append(b"x", KEEP, 0.0)
        assert stream.turn_back("other", "f") == Position("e", 1)
        assert stream.turn_back("e", "f") == Position("f", 1)
        assert read(stream, 0.0) == [1]
        assert stream.append(b"x", KEEP, 0.0) == Position("f", 2)

    def test_forgets_messages_then_keys_then_the_position(self) -> None:
        stream = Stream("e")
        stream.append(b"x", KEEP, 0.0, "k")
        assert stream.forget(0.0) == 10.0
        assert stream.forget(9.0) == 10.0
        assert stream.offsets
        assert stream.forget(10.0) == 10.0 + KEY_KNOWN
        assert not stream.offsets
        assert stream.forget(KEY_KNOWN) == 10.0 + POSITION_KNOWN
        assert not stream.idempotency_keys
        assert stream.position == Position("e", 1)
        assert stream.forget(10.0 + POSITION_KNOWN - 0.1) is not None
        assert stream.forget(10.0 + POSITION_KNOWN) is None

    def test_is_known_longer_when_it_is_read(self) -> None:
        stream = Stream("e")
        stream.append(b"x", KEEP, 0.0)
        read(stream, 100.0)
        assert stream.forget(100.0) == 110.0 + POSITION_KNOWN


class TestAllStreams:
    def test_have_an_epoch_each(self) -> None:
        all_ = streams()
        assert all_.append("b", b"x", KEEP, 0.0) == (Position("e1-0", 1), True)
        assert all_.append("a", b"x", KEEP, 0.0) == (Position("e1-0", 1), True)
        assert all_.turn_back("a", KEEP, 0.0, "e1-0") == Position("e2", 1)
        assert all_.read("a", KEEP, 0.0, since=0, limit=9, reverse=False) == (Position("e2", 1), [(1, b"x")])
        assert all_.turn_back("c", KEEP, 0.0, "e1-0") == Position("e3", 0)

    def test_of_which_nothing_was_said_are_not_kept(self) -> None:
        all_ = streams()
        for number in range(1000):
            assert all_.read(f"r{number}", KEEP, 0.0, since=None, limit=9) == (Position("e1-0", 0), [])
        assert (len(all_), all_.looks, all_.size, all_.begun) == (0, 0, 0, frozenset())

    @pytest.mark.parametrize(("days", "same"), [(0, True), (0.99, True), (1, True), (1.99, True), (2, False)])
    def test_that_begin_go_on_from_the_day_before(self, days: float, same: bool) -> None:
        all_ = streams()
        before, _ = all_.read("a", KEEP, 0.0, since=None, limit=9)
        first, _ = all_.append("a", b"x", KEEP, days * DAY)
        assert goes_on(before.epoch, first.epoch) is same

    @pytest.mark.parametrize("days", [0, 0.5, 1, 1.99, 2, 2.5, 3, 9])
    def test_that_were_lost_since_do_not(self, days: float) -> None:
        """Whenever that was, and however long it took to begin again."""
        for began in (0.0, 0.5, 0.99, 1.0, 1.99):
            all_ = streams()
            before, _ = all_.read("a", KEEP, 0.0, since=None, limit=9)
            first, _ = all_.append("a", b"x", KEEP, began * DAY)
            all_.lose("a", began * DAY)
            again, _ = all_.append("a", b"x", KEEP, (began + days) * DAY)
            assert not goes_on(before.epoch, again.epoch)
            assert not goes_on(first.epoch, again.epoch)
        all_ = streams()
        before, _ = all_.read("a", KEEP, 0.0, since=None, limit=9)
        all_.lose("a", 0.0)
        assert not goes_on(before.epoch, all_.append("a", b"x", KEEP, days * DAY)[0].epoch)

    def test_of_so_many_that_began_no_more_is_remembered(self) -> None:
        """Nor are new ones refused for it. Those of before go on, unless they are lost."""
        numbers = count(1)
        all_ = Streams(lambda: f"e{next(numbers)}", memory=100_000, begun=100)
        before, _ = all_.read("first", KEEP, 0.0, since=None, limit=9)
        first, _ = all_.append("first", b"x", KEEP, 0.0)
        for number in range(500):
            all_.lose(f"r{number}", 1.0)
            assert len(all_.begun) <= 100
        assert all_.append("first", b"x", KEEP, 2.0)[0] == Position(first.epoch, 2)
        all_.lose("first", 3.0)
        again, _ = all_.append("first", b"x", KEEP, 4.0)
        for number in range(500):
            all_.lose(f"r{number}", 5.0)
        for epoch in (all_.read("new", KEEP, 6.0, since=None, limit=9)[0].epoch, again.epoch):
            assert not goes_on(before.epoch, epoch)
            assert not goes_on(first.epoch, epoch)

    def test_take_no_more_than_they_may(self) -> None:
        all_ = Streams(lambda: "e", memory=100_000)

        def fill(topics: int, size: int, now: float) -> None:
            for number in range(1000):
                all_.append(f"r{number % topics}", bytes(size), History(size=1000, ttl=10), now)

        with pytest.raises(Unavailable, match="memory is full"):
            fill(3, 1000, 0.0)
        assert 80_000 < all_.size <= 100_000
        assert all_.read("r0", History(size=1000, ttl=10), 0.0, since=None, limit=1)[1]
        # What is too old makes room.
        all_.append("r0", bytes(1000), KEEP, 10.0)
        assert all_.size < 10_000
        all_.read("x", KEEP, 20 * DAY, since=None, limit=1)
        assert (all_.size, len(all_), all_.begun) == (0, 0, frozenset())
        with pytest.raises(Unavailable):
            all_.append("r0", bytes(100_000), KEEP, 20 * DAY)
        with pytest.raises(Unavailable):
            fill(1000, 0, 20 * DAY)
        assert len(all_) < 100

    def test_say_whether_a_key_was_seen(self) -> None:
        all_ = streams()
        assert all_.append("a", b"x", KEEP, 0.0, "k") == (Position("e1-0", 1), True)
        assert all_.append("a", b"x", KEEP, KEY_KNOWN - 1, "k") == (Position("e1-0", 1), False)
        assert all_.append("b", b"x", KEEP, 0.0, "k") == (Position("e1-0", 1), True)
        assert all_.append("a", b"x", KEEP, KEY_KNOWN, "k") == (Position("e1-0", 2), True)

    def test_begin_again_where_they_were_lost(self) -> None:
        all_ = streams()
        all_.append("a", b"x", KEEP, 0.0)
        all_.lose("a", 0.0)
        all_.lose("unknown", 0.0)
        assert all_.append("a", b"y", KEEP, 0.0) == (Position("e2", 1), True)
        assert all_.read("a", KEEP, 0.0, since=None, limit=9)[1] == [(1, b"y")]
        assert len(all_) == 1

    @pytest.mark.parametrize("lost", [False, True])
    def test_are_forgotten_a_day_after_their_messages(self, lost: bool) -> None:
        all_ = streams()
        for number in range(50):
            all_.append(f"r{number}", b"x", KEEP, float(number), "k")
            if lost:
                all_.lose(f"r{number}", float(number))
        end = 10.0 + POSITION_KNOWN
        all_.read("fresh", KEEP, end - 0.1, since=None, limit=1)
        assert len(all_) == (0 if lost else 50)
        all_.read("fresh", KEEP, end + 24, since=None, limit=1)
        assert len(all_) == (0 if lost else 25)
        all_.read("fresh", KEEP, end + 49, since=None, limit=1)
        assert len(all_) == 0
        assert all_.looks == 0

    def test_that_are_used_are_kept_and_looked_at_seldom(self) -> None:
        all_ = streams()
        for now in range(100_000):
            all_.append("a", b"x", KEEP, float(now))
            assert all_.looks == 1
        assert all_.append("a", b"x", KEEP, 100_000.0) == (Position("e1-0", 100_001), True)


#: Seconds that pass, then what is done.
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 3.0, 10.0]),
        st.one_of(
            st.tuples(st.just("append"), st.sampled_from([None, "a", "b"])),
            st.tuples(st.just("read"), st.tuples(st.none() | st.integers(0, 30), st.integers(0, 8), st.booleans())),
        ),
    ),
    max_size=60,
)


@given(STEPS)
def test_it_does_what_a_list_of_everything_would(steps: list) -> None:
    all_, now = streams(), 0.0
    ever: deque[tuple[int, float]] = deque()
    keys: dict[str, tuple[int, float]] = {}
    for passed, (what, how) in steps:
        now += passed
        if what == "append":
            offset, at = keys.get(how, (0, -KEY_KNOWN))
            known = how is not None and now < at + KEY_KNOWN
            position, new = all_.append("a", b"x", KEEP, now, how)
            assert new is not known
            if new:
                ever.append((len(ever) + 1, now))
                keys[how] = offset, _ = len(ever), now
            assert position == Position("e1-0", offset if known else len(ever))
        else:
            since, limit, reverse = how
            there = [offset for offset, at in list(ever)[-KEEP.size :] if now - at < KEEP.ttl]
            if reverse:
                there = [offset for offset in there if since is None or offset < since][::-1]
            else:
                there = [offset for offset in there if since is None or offset > since]
            top, found = all_.read("a", KEEP, now, since=since, limit=limit, reverse=reverse)
            assert top == Position("e1-0", len(ever))
            assert [offset for offset, _ in found] == there[:limit]
