"""What is remembered of removals: as long as a question is open that is older, and no longer."""

import pytest

from hubbub.errors import Forbidden
from hubbub.rooms.removals import Removals
from hubbub.types import RoomName

A, B = RoomName("a"), RoomName("b")


def test_nothing_is_remembered_where_nobody_asks() -> None:
    removals = Removals()
    removals.note({"ann"}, A, "out")
    assert len(removals) == 0
    assert removals.ask().removed("ann", A) is None


def test_what_was_removed_since_it_was_asked() -> None:
    removals = Removals()
    with removals.ask() as before:
        removals.note({"ann", "bob"}, A, "out")
        with removals.ask() as between:
            removals.note((), B, "closed")
            assert [before.removed(who, A) for who in ("ann", "bob", "eve")] == ["out", "out", None]
            assert [between.removed(who, A) for who in ("ann", "bob", "eve")] == [None, None, None]
            assert before.removed("ann", B) == between.removed("eve", B) == "closed"
            assert before.removed("ann") is None
            removals.note({"ann"}, None, "away")
            assert between.removed("ann") == "away"
            assert between.removed("ann", A) is None
    assert len(removals) == 0


def test_a_question_of_a_room_is_refused_with_the_reason() -> None:
    removals = Removals()
    with removals.ask() as question:
        question.check("ann", A)
        removals.note({"ann"}, A, "")
        with pytest.raises(Forbidden, match="removed from the room") as refused:
            question.check("ann", A)
        assert refused.value.field == "room"
        removals.note({"ann"}, A, "you were rude")
        with pytest.raises(Forbidden, match="you were rude"):
            question.check("ann", A)


def test_what_no_open_question_is_older_than_is_forgotten() -> None:
    removals = Removals()
    first = removals.ask()
    removals.note({"ann"}, A, "1")
    second = removals.ask()
    removals.note({"bob"}, A, "2")
    removals.note({"ann"}, A, "3")
    assert len(removals) == 4
    first.end()
    first.end()
    assert len(removals) == 3
    assert [second.removed(who, A) for who in ("ann", "bob")] == ["3", "2"]
    third = removals.ask()
    second.end()
    assert len(removals) == 1
    third.end()
    assert len(removals) == 0


def test_they_are_bounded_and_who_asked_before_what_is_forgotten_is_not_believed() -> None:
    removals = Removals(most=3)
    slow = removals.ask()
    removals.note({"ann"}, A, "out")
    quick = removals.ask()
    for number in range(3):
        removals.note({f"{number}"}, A, "out")
    assert len(removals) == 2 + 3
    assert slow.removed("eve", A) == "it was asked too long ago"
    assert quick.removed("eve", A) is None
    assert quick.removed("0", A) == "out"
