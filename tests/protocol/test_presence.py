"""What a tab shows: a small object, carried as text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from hubbub.errors import InvalidMessage
from hubbub.protocol.messages import check_user, prepare
from hubbub.protocol.presence import around, beside, fields_of, of_each, of_some, owner, shown
from hubbub.types import User, UserId


class Card(BaseModel):
    name: str


def test_it_is_compact_json() -> None:
    assert shown({"name": "Änn", "at": [1, None]}, limit=100) == '{"name":"Änn","at":[1,null]}'.encode()
    assert shown(Card(name="Ann"), limit=100) == b'{"name":"Ann"}'
    assert fields_of(shown({"name": "Änn"}, limit=100)) == {"name": "Änn"}


def test_an_empty_one_is_none() -> None:
    assert shown({}, limit=1000) == b""
    assert fields_of(b"") == {}


@pytest.mark.parametrize("given", [None, [], "name", 7, [("a", 1)], User])
def test_what_is_no_object_is_refused(given: object) -> None:
    with pytest.raises(InvalidMessage, match=r"^presence is an object$") as refused:
        shown(given, limit=100)
    assert refused.value.field == "presence"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"a": float("nan")}, "cannot be written"),
        ({"a": "\ud800"}, "cannot be written"),
        ({"a": object()}, "cannot be written"),
        ({1: 1, "1": 2}, "a key occurs twice"),
        (json.loads('{"a":' * 33 + "1" + "}" * 33), "nested deeper than 32"),
    ],
)
def test_what_a_client_could_not_read_is_refused(given: Any, why: str) -> None:
    with pytest.raises(InvalidMessage, match=why) as refused:
        shown(given, limit=1000)
    assert refused.value.field == "presence"


def test_it_has_at_most_so_many_bytes() -> None:
    data = shown({"a": "é"}, limit=10)
    assert len(data) == 10
    with pytest.raises(InvalidMessage, match="presence has 10 bytes of JSON, more than the 9 it may have"):
        shown({"a": "é"}, limit=9)


def test_a_user_may_bring_one() -> None:
    user = User(UserId("ann"), presence={"name": "Ann"})
    assert check_user(user, limit=128) is user
    assert "Ann" not in repr(user)
    assert user == User(UserId("ann"))
    for wrong in ({"a": "x" * 20}, [], {"a": object()}):
        with pytest.raises(ValueError, match=r"^User\.presence "):
            check_user(User(UserId("ann"), presence=wrong), limit=128, shows=20)  # type: ignore[arg-type]


users = st.text(min_size=1, max_size=5)
objects = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2)


@given(st.dictionaries(users, objects, max_size=4), st.integers(2, 100))
def test_those_that_fit_stand_beside_the_names(each: dict[str, dict[str, Any]], limit: int) -> None:
    carried = {user: shown(fields, limit=1000) for user, fields in each.items()}
    assert json.loads(of_each(carried)) == each
    some, left_out = of_some(carried, limit=limit)
    assert len(some) <= limit
    those = [(user, fields) for user, fields in each.items() if fields]
    assert json.loads(some) == dict(those[: len(those) - left_out])
    if left_out:
        assert len(of_each({user: carried[user] for user, _ in those[: len(those) - left_out + 1]})) > limit


@given(users, objects)
def test_of_one_it_is_known_whose_it_is(user: str, fields: dict[str, Any]) -> None:
    data = shown(fields, limit=1000)
    before, after = around(user)
    assert owner(before + (data or b"{}") + after) == owner(of_each({user: data})) == (user, data)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"a":1}', b'{"a":{},"b":{}}', b'{"a":{}', b"\xff"])
def test_what_is_not_of_one_is_refused(data: bytes) -> None:
    with pytest.raises((InvalidMessage, UnicodeDecodeError)):
        owner(data)


def test_it_stands_last_in_a_message() -> None:
    message = prepare("user_joined_room", room="r", user="ann").data
    assert json.loads(beside(message, b'{"ann":{}}')) == {
        "type": "user_joined_room",
        "room": "r",
        "user": "ann",
        "presence": {"ann": {}},
    }
