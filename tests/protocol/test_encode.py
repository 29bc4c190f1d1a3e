"""What goes out: what may be written, what fails in the sender's turn, and one text for all who receive it."""

import json
import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel

from hubbub.protocol.codec import Prepared, as_mapping, decode, encode


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int


class Shipped(BaseModel):
    type: str = "shipped"
    order: int
    at: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    sender: str = Field(default="shop", serialization_alias="from")


class Measured(BaseModel):
    value: float


class Loud:
    def __repr__(self) -> str:
        return "SECRET"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": 1, "b": None, "c": [True, 1.5]}, '{"a":1,"b":null,"c":[true,1.5]}'),
        ({"a": "é😀"}, '{"a":"é😀"}'),
        ({"a": '"\\\n\x00'}, '{"a":"\\"\\\\\\n\\u0000"}'),
        (Shipped(order=7), '{"type":"shipped","order":7,"at":"2026-01-02T03:04:05Z","from":"shop"}'),
        ({"a": Measured(value=1.5)}, '{"a":{"value":1.5}}'),
        ({"a": datetime(2026, 1, 2, tzinfo=UTC)}, '{"a":"2026-01-02T00:00:00Z"}'),
        ({"a": date(2026, 1, 2)}, '{"a":"2026-01-02"}'),
        ({"a": timedelta(seconds=90)}, '{"a":"PT1M30S"}'),
        ({"a": Decimal("1.10")}, '{"a":"1.10"}'),
        ({"a": UUID(int=1)}, '{"a":"00000000-0000-0000-0000-000000000001"}'),
        ({"a": {1}}, '{"a":[1]}'),
        ({"a": frozenset({"x"})}, '{"a":["x"]}'),
        ({"a": (1, 2)}, '{"a":[1,2]}'),
        ({"a": Colour.RED}, '{"a":"red"}'),
        ({"a": Point(1, 2)}, '{"a":{"x":1,"y":2}}'),
        ({"a": b"text"}, '{"a":"text"}'),
        ({"a": (n for n in (1, 2))}, '{"a":[1,2]}'),
        ({1: "a"}, '{"1":"a"}'),
        ({"a": 2**70}, '{"a":1180591620717411303424}'),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_message_is_written_as_compact_json(value: object, written: str) -> None:
    assert encode(value).decode() == written


@pytest.mark.parametrize(
    "value",
    [
        {"a": math.nan},
        {"a": math.inf},
        {"a": [{"b": -math.inf}]},
        math.nan,
        {"a": "NaN", "b": math.nan},
        as_mapping(Measured(value=math.nan)),
        {"a": "\ud800"},
        {"\udfff": 1},
        {"a": ["😀", {"b": "\ud83d\ude00"}]},
        Shipped.model_construct(order="\ud800"),
        {"a": object()},
        {object(): 1},
        {"a": Loud()},
        {"a": b"\xff"},
        {"a": len},
    ],
    ids=lambda value: ascii(value).partition(" at 0x")[0][:30],
)
def test_what_json_cannot_say_fails_in_the_senders_turn(value: object) -> None:
    with pytest.raises(ValueError, match="the message cannot be written as JSON: ") as caught:
        encode(value)
    assert "SECRET" not in str(caught.value)


def test_what_has_no_end_fails_in_the_senders_turn() -> None:
    round_and_round: dict[str, object] = {}
    round_and_round["a"] = round_and_round
    with pytest.raises(ValueError, match="the message cannot be written as JSON"):
        encode(round_and_round)


@pytest.mark.parametrize(
    "value",
    [
        {"a": "NaN"},
        {"NaN": "Infinity"},
        {"a": ["-Infinity", 'NaN"', "\\NaN", '":NaN,"']},
        {"a": "NaN", "b": 10**30, "c": 1e308},
    ],
)
def test_a_text_may_speak_of_nan_and_infinity(value: object) -> None:
    assert json.loads(encode(value)) == value


def test_speaking_of_nan_changes_nothing_else() -> None:
    assert encode({1: "NaN", "1": 2}) == b'{"1":"NaN","1":2}'
    assert encode({"NaN": 10**5000}).startswith(b'{"NaN":1000')


def test_a_model_says_itself_what_it_writes_for_nan() -> None:
    assert encode(Measured(value=math.nan)) == b'{"value":null}'
    assert encode({"a": Measured(value=math.inf)}) == b'{"a":{"value":null}}'


@given(
    st.dictionaries(
        st.text(),
        st.text() | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_what_is_written_is_what_a_client_reads(message: dict[str, object]) -> None:
    assert decode(encode(message).decode(), depth=1) == message


def test_prepared_bytes_and_text_are_the_same_message() -> None:
    message = Prepared(encode({"a": "é😀"}))
    assert message.text.encode() == message.data


def test_a_prepared_message_is_as_long_as_its_bytes() -> None:
    assert len(Prepared("é".encode())) == 2


def test_the_text_is_made_once_for_all() -> None:
    message = Prepared(b'{"type":"a"}')
    assert message.text is message.text


@pytest.mark.parametrize(
    "message",
    [{"a": 1}, OrderedDict(a=1), MappingProxyType({"a": 1}), RootModel[dict[str, int]]({"a": 1})],
    ids=lambda message: type(message).__name__,
)
def test_a_mapping_or_a_model_of_one_is_a_message(message: dict[str, object]) -> None:
    assert as_mapping(message) == {"a": 1}


def test_the_fields_of_a_message_are_a_copy() -> None:
    message = {"a": 1}
    as_mapping(message)["room"] = "lobby"
    assert message == {"a": 1}


def test_the_fields_of_a_model_are_those_it_has_on_the_wire() -> None:
    fields = as_mapping(Shipped(order=7))
    assert fields == {"type": "shipped", "order": 7, "at": "2026-01-02T03:04:05Z", "from": "shop"}
    assert encode(fields) == encode(Shipped(order=7))


@pytest.mark.parametrize(
    "message", [None, "text", b"{}", 7, [("a", 1)], Point(1, 2), Shipped, RootModel[list[int]]([1])]
)
def test_anything_else_is_no_message(message: object) -> None:
    with pytest.raises(TypeError, match="a message is a mapping or a Pydantic model, not "):
        as_mapping(message)  # type: ignore[arg-type]
