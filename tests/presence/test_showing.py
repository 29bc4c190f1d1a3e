"""Of a user's tabs the others see the one that said something last, and after that the one before it."""

from hubbub.presence.showing import Showing
from hubbub.types import room_topic

KEY = room_topic("r"), "ann"


def seen(showing: Showing) -> bytes | None:
    entry = showing.newest(KEY)
    return None if entry is None else entry.data


def test_the_newest_is_seen_and_then_the_next_newest() -> None:
    showing = Showing()
    assert showing.show(KEY, "one", b"1")
    assert showing.show(KEY, "two", b"2")
    assert showing.show(KEY, "three", b"3")
    assert seen(showing) == b"3"
    assert not showing.end(KEY, "two")
    assert showing.end(KEY, "three")
    assert seen(showing) == b"1"
    assert len(showing) == 1
    assert showing.end(KEY, "one")
    assert seen(showing) is None
    assert len(showing) == 0


def test_a_tab_that_says_something_else_is_the_newest() -> None:
    showing = Showing()
    showing.show(KEY, "one", b"1")
    showing.show(KEY, "two", b"2")
    assert showing.show(KEY, "one", b"1")
    assert seen(showing) == b"1"
    assert len(showing) == 2


def test_a_tab_that_shows_nothing_is_not_looked_at() -> None:
    showing = Showing()
    assert not showing.show(KEY, "one", b"")
    assert not showing.end(KEY, "one")
    showing.show(KEY, "two", b"2")
    assert not showing.show(KEY, "one", b"")
    assert showing.show(KEY, "two", b"")
    assert len(showing) == 0


def test_rooms_and_users_are_apart() -> None:
    showing = Showing()
    showing.show(KEY, "one", b"1")
    for other in ((KEY[0], "bob"), (room_topic("q"), "ann")):
        assert showing.newest(other) is None
        assert showing.show(other, "one", b"2")
    assert seen(showing) == b"1"
    assert len(showing) == 3


def test_a_place_is_that_of_all_who_were_said_before_and_not_told() -> None:
    showing = Showing()
    entries = []
    for tab in ("one", "two", "three"):
        showing.show(KEY, tab, tab.encode())
        entries.append(showing.newest(KEY))
    one, two, three = (entry for entry in entries if entry is not None)
    showing.place(KEY, one, 5)
    showing.place(KEY, two, 7)
    assert [each.at for each in (one, two, three)] == [5, 7, None]
    showing.place(KEY, two, 8)
    assert [each.at for each in (one, two, three)] == [5, 8, None]
    showing.show(KEY, "four", b"4")
    four = showing.newest(KEY)
    assert four is not None
    showing.place(KEY, four, 9)
    assert [each.at for each in (one, two, three)] == [5, 8, 9]


def test_the_place_of_what_is_shown_no_more_is_nobodys() -> None:
    showing = Showing()
    showing.show(KEY, "one", b"1")
    before = showing.newest(KEY)
    assert before is not None
    showing.show(KEY, "one", b"2")
    showing.place(KEY, before, 5)
    after = showing.newest(KEY)
    assert after is not None
    assert after.at is None
