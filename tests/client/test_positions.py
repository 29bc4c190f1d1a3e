"""Where a client stands in a room."""

import pytest

from hubbub.client.positions import Place


def test_it_goes_on_from_the_newest_it_was_brought() -> None:
    place = Place()
    assert place.since() is None
    place.joined({"epoch": "e", "offset": 7})
    assert not place.came({"offset": 8})
    assert place.since() == {"epoch": "e", "offset": 8}


def test_until_what_it_missed_has_come_it_stays_where_it_was() -> None:
    place = Place("e", 3)
    place.joined({"epoch": "e", "offset": 9, "recovered": True})
    assert place.since() == {"epoch": "e", "offset": 3}
    assert [place.came({"offset": offset}) for offset in (4, 9, 10)] == [True, True, False]
    assert place.since() == {"epoch": "e", "offset": 10}


def test_what_cannot_be_recovered_begins_at_the_top() -> None:
    place = Place("old", 3)
    place.joined({"epoch": "new", "offset": 1, "recovered": False})
    assert place.since() == {"epoch": "new", "offset": 1}


def test_a_gap_is_behind_it() -> None:
    place = Place("e", 3)
    place.gap({"epoch": "e", "after": 3, "upto": 8})
    place.gap({"dropped": 2})
    assert place.since() == {"epoch": "e", "offset": 8}


@pytest.mark.parametrize("answer", [{}, {"epoch": "e"}, {"offset": 7}])
def test_a_room_without_history_has_no_position(answer: dict[str, object]) -> None:
    place = Place("e", 3)
    place.joined(answer)
    assert place.since() is None
    assert not place.came({"offset": 9})
    assert Place(None, 5).since() == {"offset": 5}
