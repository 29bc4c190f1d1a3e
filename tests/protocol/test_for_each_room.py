"""A message to several rooms: as if it had been composed for each."""

from typing import Any

import pytest
from pydantic import BaseModel

from hubbub.protocol.for_each_room import ForEachRoom
from hubbub.protocol.messages import compose

LIMIT = 200


class Note(BaseModel):
    type: str = "note"
    text: str = "hé"


@pytest.mark.parametrize("message", [{"type": "note"}, {"type": "note", "deep": {"a": [1, None]}}, Note()])
def test_it_is_what_each_room_would_have_been_sent(message: Any) -> None:
    rooms = ["team:7", 'a "quoted" one', "Küche", "NaN", "\u2028"]
    composed = ForEachRoom(message, rooms, limit=LIMIT)
    for room in rooms:
        assert composed.to(room) == compose(message, limit=LIMIT, room=room)
    assert composed.to(None) == compose(message, limit=LIMIT)
    assert len(composed) == len(composed.to(None))


def test_it_is_not_changed_by_what_becomes_of_the_message_afterwards() -> None:
    message = {"type": "note"}
    composed = ForEachRoom(message, ["a"], limit=LIMIT)
    message["type"] = "another"
    assert composed.to("a") == b'{"type":"note","room":"a"}'


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ({"type": "note", "room": "a"}, "`room`"),
        ({"type": "note", "offset": 1}, "`offset`"),
        ({"type": "ack"}, "protocol"),
        ({}, "type"),
        ({"type": "note", "x": float("nan")}, "NaN"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(message: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        ForEachRoom(message, ["a"], limit=LIMIT)


def test_what_is_no_message() -> None:
    with pytest.raises(TypeError, match="mapping"):
        ForEachRoom("hello", ["a"], limit=LIMIT)  # type: ignore[arg-type]


def test_the_limit_is_that_of_the_room_with_the_longest_name_as_it_is_written() -> None:
    bare = len(b'{"type":"note","room":""}')
    for rooms in (["a", "bbbb"], ["bbbb", "a"], ["bbb", '""'], ["b", "éé"]):
        ForEachRoom({"type": "note"}, rooms, limit=bare + 4)
        with pytest.raises(ValueError, match=f"more than the {bare + 3}"):
            ForEachRoom({"type": "note"}, rooms, limit=bare + 3)
    assert ForEachRoom({"type": "note"}, [], limit=15).to(None) == b'{"type":"note"}'
