"""What a `join_room` asks for: one room, or several."""

from typing import Any

import pytest

from hubbub.errors import InvalidMessage
from hubbub.options import Limits
from hubbub.protocol.join_room import Join, JoinSeveral, Since, named, read_joins
from hubbub.types import RoomName

LIMITS = Limits(rooms=2, name=8)


def join(room: str, since: Since | None = None) -> Join:
    return Join(RoomName(room), since, 7)


def each(room: str, since: Since | None = None) -> Join:
    return Join(RoomName(room), since, 7, several=True)


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        ({"room": "a"}, join("a")),
        ({"room": "a", "rooms": None, "since": None}, join("a")),
        ({"room": "a", "since": {"epoch": "e", "offset": 3}}, join("a", Since("e", 3))),
        ({"room": "a", "since": {"offset": 0}}, join("a", Since(None, 0))),
        ({"rooms": [{"room": "a"}]}, JoinSeveral((each("a"),))),
        (
            {"rooms": [{"room": "b", "since": {"epoch": "e", "offset": 3}}, {"room": "a"}, {"room": "@me"}]},
            JoinSeveral((each("b", Since("e", 3)), each("a"), each("@me"))),
        ),
        # More than it may be in are asked for all the same: each is answered for itself.
        ({"rooms": [{"room": str(number)} for number in range(8)]}, JoinSeveral(tuple(each(str(n)) for n in range(8)))),
    ],
)
def test_what_is_asked_for(fields: dict[str, Any], event: object) -> None:
    assert read_joins(fields, 7, LIMITS) == event


def test_a_refusal_names_the_room_where_the_id_does_not_tell() -> None:
    assert [named(request) for request in (each("a"), join("a"), object())] == ["a", None, None]


A = {"room": "a"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "room"),
        ({"room": 1}, "room"),
        ({"room": ""}, "room"),
        ({"room": "x" * 9}, "room"),
        ({"room": "a", "since": 3}, "since"),
        ({"room": "a", "since": {"epoch": 1, "offset": 3}}, "since.epoch"),
        ({"room": "a", "since": {"epoch": "e"}}, "since.offset"),
        ({"room": "a", "since": {"offset": -1}}, "since.offset"),
        ({"room": "a", "since": {"offset": True}}, "since.offset"),
        ({"room": "a", "rooms": [A]}, "room"),
        ({"since": {"offset": 3}, "rooms": [A]}, "since"),
        ({"rooms": []}, "rooms"),
        ({"rooms": "a"}, "rooms"),
        ({"rooms": A}, "rooms"),
        ({"rooms": [{"room": str(number)} for number in range(9)]}, "rooms"),
        ({"rooms": [A, "b"]}, "rooms.1"),
        ({"rooms": [A, {}]}, "rooms.1.room"),
        ({"rooms": [A, {"room": "x" * 9}]}, "rooms.1.room"),
        ({"rooms": [A, {"room": "b"}, A]}, "rooms.2.room"),
        ({"rooms": [{"room": "a", "since": 3}]}, "rooms.0.since"),
        ({"rooms": [A, {"room": "b", "since": {"offset": 1.5}}]}, "rooms.1.since.offset"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        read_joins(fields, 7, LIMITS)
    assert refused.value.field == field


def test_all_rooms_with_the_longest_names_fit_one_message() -> None:
    limits = Limits()
    # As many bytes of JSON as a name can have, where it is written in ASCII, and the longest position.
    name = r"\u00e9" * (limits.name // 2)
    one = f'{{"room": "{name}", "since": {{"epoch": "{"0" * 32}", "offset": {2**53}}}}}, '
    assert len(one) * limits.rooms + 200 < limits.message
