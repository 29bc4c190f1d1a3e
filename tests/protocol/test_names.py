"""What may be an id, a name, a key and a user, and what is said of what may not."""

import json
import math
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import InvalidMessage
from hubbub.protocol.messages import (
    check_id,
    check_key,
    check_name,
    check_room,
    check_shared,
    check_user,
    expiring,
    is_own_room,
)
from hubbub.types import User, UserId

CONTROLS = "".join(char for char in map(chr, range(sys.maxunicode)) if unicodedata.category(char) == "Cc")


@pytest.mark.parametrize(
    "id", ["", "a", "x" * 128, "é" * 64, 0, 1, -1, 2**53, -(2**53), None], ids=lambda id: repr(id)[:12]
)
def test_an_id_is_a_short_string_or_an_exact_integer(id: object) -> None:
    assert check_id({"id": id}) == id


def test_a_message_may_have_no_id() -> None:
    assert check_id({}) is None


@pytest.mark.parametrize(
    "id",
    ["x" * 129, "é" * 65, 2**53 + 1, -(2**53) - 1, 10**400, True, False, 1.0, 0.5, [], ["a"], {}],
    ids=lambda id: repr(id)[:12],
)
def test_anything_else_is_no_id(id: object) -> None:
    with pytest.raises(InvalidMessage) as caught:
        check_id({"id": id})
    assert caught.value.field == "id"


@pytest.mark.parametrize("name", ["a", "team:7", "é" * 64, "x" * 128, " ", "a b", "\u200d", "😀", "@me", "\ue000"])
def test_a_name_is_what_it_was(name: str) -> None:
    assert check_name(name, limit=128, field="user") == name
    assert check_room(name, limit=128) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "room is a string"),
        (7, "room is a string"),
        (b"a", "room is a string"),
        (["a"], "room is a string"),
        ("", "room has 1 to 128 bytes"),
        ("x" * 129, "room has 1 to 128 bytes"),
        ("é" * 65, "room has 1 to 128 bytes"),
        ("\ud800", "room is not valid Unicode"),
        ("a\n", "room has no control characters"),
        ("\x00", "room has no control characters"),
        ("a\x7f", "room has no control characters"),
        ("\x9f", "room has no control characters"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_name_is_refused_with_its_field(name: object, message: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        check_room(name, limit=128)
    assert (caught.value.message, caught.value.field) == (message, "room")


def test_the_field_of_a_bad_name_is_the_one_asked_about() -> None:
    with pytest.raises(InvalidMessage) as caught:
        check_name("", limit=5, field="to")
    assert (caught.value.message, caught.value.field) == ("to has 1 to 5 bytes", "to")


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
def test_no_control_character_is_in_a_name(control: str) -> None:
    with pytest.raises(InvalidMessage):
        check_name(f"a{control}b", limit=128, field="room")


def test_there_are_65_control_characters() -> None:
    assert len(CONTROLS) == 65


@given(st.text(st.characters(categories=None)), st.integers(1, 10))
def test_a_name_fits_its_limit_and_can_be_sent(name: str, limit: int) -> None:
    try:
        checked = check_name(name, limit=limit, field="room")
    except InvalidMessage:
        assert (
            not name
            or not set(CONTROLS).isdisjoint(name)
            or len(name.encode("utf-8", "surrogatepass")) > limit
            or (any(unicodedata.category(char) == "Cs" for char in name))
        )
    else:
        assert checked == name
        assert 1 <= len(name.encode()) <= limit
        assert set(CONTROLS).isdisjoint(name)


@pytest.mark.parametrize("key", [None, "a", "cpu:7", "x" * 128, "é" * 64])
def test_a_key_is_called_as_names_are(key: str | None) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 129, "é" * 65, "a\n", "\ud800", 7, b"a", ["a"]], ids=ascii)
def test_what_is_no_key_fails_in_the_senders_turn(key: object) -> None:
    with pytest.raises(ValueError, match=r"^key "):
        check_key(key)


def test_a_key_that_is_none_is_called_by_its_field() -> None:
    with pytest.raises(ValueError, match=r"^idempotency_key has 1 to 128 bytes$"):
        check_key("", field="idempotency_key")


def test_a_users_own_room_is_none_that_others_name() -> None:
    assert check_shared("team:7", limit=6) == "team:7"
    with pytest.raises(InvalidMessage, match="each user's own") as refused:
        check_shared("@me", limit=6, field="rooms[3]")
    assert refused.value.field == "rooms[3]"


@pytest.mark.parametrize(("left", "told"), [(59.9994, 59_999), (0.0, 0), (-1.0, 0)])
def test_what_is_left_of_a_credential_is_milliseconds(left: float, told: int) -> None:
    assert json.loads(expiring(left).data) == {"type": "expiring", "expires_in": told}


def test_a_user_has_one_room_of_its_own() -> None:
    assert is_own_room("@me")
    assert not is_own_room("@you")


@pytest.mark.parametrize("expires", [None, 0, -1.5, 2e9])
def test_a_user_that_can_be_is_what_it_was(expires: float | None) -> None:
    user = User(UserId("x" * 5), expires=expires)
    assert check_user(user, limit=5) is user


@pytest.mark.parametrize("given", [None, "ann", {"id": "ann"}, User])
def test_what_is_no_user_is_named_by_its_type(given: object) -> None:
    with pytest.raises(TypeError, match=f"not {type(given).__name__}"):
        check_user(given, limit=5)


@pytest.mark.parametrize("id", ["", "x" * 6, "é" * 3, "a\nb", "\ud800", 7, None])
def test_a_user_is_called_as_names_are(id: object) -> None:
    with pytest.raises(ValueError, match=r"^User\.id ") as error:
        check_user(User(id), limit=5)  # type: ignore[arg-type]
    assert str(id)[:3] not in str(error.value) or id in ("", 7, None)


@pytest.mark.parametrize("expires", [math.inf, -math.inf, math.nan, 1e300, "soon"])
def test_a_credential_ends_at_a_time_or_never(expires: Any) -> None:
    with pytest.raises(ValueError, match=r"^User\.expires "):
        check_user(User(UserId("ann"), expires=expires), limit=5)


@pytest.mark.parametrize("issued", [math.inf, math.nan, "then"])
def test_a_credential_was_made_at_a_time_or_nobody_knows(issued: Any) -> None:
    with pytest.raises(ValueError, match=r"^User\.issued "):
        check_user(User(UserId("ann"), issued=issued), limit=5)


@pytest.mark.parametrize("field", ["token_id", "session"])
def test_what_a_credential_is_revoked_by_is_a_string(field: str) -> None:
    named: Any = {field: 7}
    with pytest.raises(ValueError, match=rf"^User\.{field} is a string, or None, not int"):
        check_user(User(UserId("ann"), **named), limit=5)
    named = {field: "7"}
    assert check_user(User(UserId("ann"), **named), limit=5).id == "ann"
