"""What comes in: which texts are one message, and what the sender of any other text is told."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import InvalidMessage
from hubbub.protocol.codec import check_nodes, decode, encode

NOT_JSON = "not JSON"
TOO_DEEP = "JSON is nested deeper than 32"
NO_OBJECT = "not a JSON object"
TOO_LARGE = "a number is too large"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def lists(depth: int) -> str:
    """An object with lists in it, `depth` levels in all."""
    return '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


def objects(depth: int) -> str:
    return '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)


def refusal(text: str, depth: int = 32) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        decode(text, depth=depth)
    return caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", NOT_JSON),
        (" ", NOT_JSON),
        ("{", NOT_JSON),
        ("{}{}", NOT_JSON),
        ("{} x", NOT_JSON),
        ("{'a':1}", NOT_JSON),
        ('{"a":1,}', NOT_JSON),
        ("{a:1}", NOT_JSON),
        ('{"a":01}', NOT_JSON),
        ('{"a":.5}', NOT_JSON),
        ('{"a":+1}', NOT_JSON),
        ('{"a":1.}', NOT_JSON),
        ('{"a":0x1}', NOT_JSON),
        ('{"a":٣}', NOT_JSON),
        ('{"a":True}', NOT_JSON),
        ('{"a":"\t"}', NOT_JSON),
        ('{"a":"\n"}', NOT_JSON),
        ('{"a":"\x00"}', NOT_JSON),
        ('{"a":"\\x41"}', NOT_JSON),
        ('{"a":"\\u12"}', NOT_JSON),
        ('{"a":"', NOT_JSON),
        ('{"a":"\\', NOT_JSON),
        ("{}\u00a0", NOT_JSON),
        ("\x0b{}", NOT_JSON),
        ("\ufeff{}", NOT_JSON),  # a byte order mark
        ("/* */{}", NOT_JSON),
        ("null", NO_OBJECT),
        ("true", NO_OBJECT),
        ("7", NO_OBJECT),
        ('"type"', NO_OBJECT),
        ("[]", NO_OBJECT),
        ('[{"type":"ping"}]', NO_OBJECT),
        ("NaN", "NaN is not JSON"),
        ('{"a":NaN}', "NaN is not JSON"),
        ('{"a":[Infinity]}', "Infinity is not JSON"),
        ('{"a":-Infinity}', "-Infinity is not JSON"),
        ('{"a":-NaN}', NOT_JSON),
        ('{"a":1e999}', TOO_LARGE),
        ('{"a":[-1e999]}', TOO_LARGE),
        ('{"a":1.0E+999}', TOO_LARGE),
        ('{"a":' + "9" * 5000 + "}", NOT_JSON),
        ('{"a":-' + "9" * 5000 + "}", NOT_JSON),
    ],
)
def test_what_is_no_json_object_is_refused_as_a_whole(text: str, message: str) -> None:
    error = refusal(text)
    assert (error.message, error.field) == (message, "")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 50_000 + "]" * 50_000,
        lists(33),
        objects(33),
        '{"b":[[],[],{}],"a":' + "[" * 32 + "]" * 32 + "}",  # what was closed before makes no more room than it took
        '{"b":"]]]]","a":' + "[" * 32 + "]" * 32 + "}",  # closing ones in a string do not make room
        '{"b":"\\"]","a":' + "[" * 32 + "]" * 32 + "}",
        '{"b":"\\\\","a":' + "[" * 32 + "]" * 32 + "}",  # the string ends after an escaped backslash
    ],
    ids=lambda text: f"{len(text)} characters",
)
def test_more_than_the_allowed_depth_is_refused(text: str) -> None:
    error = refusal(text)
    assert (error.message, error.field) == (TOO_DEEP, "")


@pytest.mark.parametrize("write", [lists, objects])
@pytest.mark.parametrize("depth", [2, 32, 100])
def test_exactly_the_allowed_depth_is_read(write: Callable[[int], str], depth: int) -> None:
    assert decode(write(depth), depth=depth) == json.loads(write(depth))
    assert refusal(write(depth), depth - 1).message == f"JSON is nested deeper than {depth - 1}"


@pytest.mark.parametrize(
    "value",
    [
        "[" * 1000,
        "{" * 1000,
        '\\"' * 1000 + "[" * 1000,
        '"[' * 500,
        "\\" * 7 + '"' + "{" * 100,
        [[]] * 1000,  # many, not deep
        [{}] * 1000,
        ["[" * 100, {"[" * 100: "{"}],
    ],
    ids=lambda value: repr(value)[:20],
)
def test_brackets_in_strings_and_beside_each_other_are_not_depth(value: object) -> None:
    message = {"type": "a", "value": value}
    assert decode(json.dumps(message), depth=4) == message


def test_nesting_that_is_allowed_but_too_deep_for_the_stack_is_refused() -> None:
    # Since Python 3.12 the decoder's depth has a limit of its own, which no setting moves; this is far beyond both.
    with pytest.raises(InvalidMessage, match=NOT_JSON):
        decode(lists(100_000), depth=1_000_000)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"type":"a","type":"b"}', "type"),
        ('{"type":"a","type":"a"}', "type"),
        ('{"a":1,"b":2,"b":3,"c":4}', "b"),
        ('{"type":"a","x":{"y":[{"z":1,"z":2}]}}', "z"),
        ('{"a":1,"\\u0061":2}', "a"),
        ('{"":1,"":2}', ""),
        ('{"é":1,"\\u00e9":2}', "é"),
    ],
)
def test_a_key_that_occurs_twice_is_refused_and_named(text: str, field: str) -> None:
    error = refusal(text)
    assert (error.message, error.field) == ("a key occurs twice", field)


def test_the_same_key_in_two_objects_is_no_duplicate() -> None:
    message = {"a": {"a": [{"a": 1}, {"a": 2}]}}
    assert decode(json.dumps(message), depth=32) == message


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"\\ud800"}',
        '{"a":"\\uDFFF"}',
        '{"a":"\\uDbff."}',
        '{"\\ud800":1}',
        '{"x":[{"\\udc00":1}]}',
        '{"a":["b",{"c":"\\udead"}]}',
        '{"a":"\\ude00\\ud83d"}',  # a pair the wrong way round
        '{"a":"\\ud83d \\ude00"}',
        '{"a":"\\ud83d\\ud83d\\ude00"}',
        '{"a":"\ud800"}',
        '{"\udfff":1}',
        '{"a":"\ud83d\ude00"}',  # not a pair in a Python string
    ],
)
def test_a_lone_surrogate_is_refused_wherever_it_stands(text: str) -> None:
    error = refusal(text)
    assert (error.message, error.field) == (NOT_JSON, "")


@pytest.mark.parametrize("key", ["\\ud800", "\ud800"])
def test_the_refusal_of_a_key_that_cannot_be_sent_can_be_sent(key: str) -> None:
    error = refusal(f'{{"{key}":1,"{key}":2}}')
    assert json.loads(encode(error.on_the_wire()))["field"] == "?"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":"\\ud83d\\ude00"}', "😀"),
        ('{"a":"\\uD83D\\uDE00"}', "😀"),
        ('{"a":"😀"}', "😀"),
        ('{"a":"\\\\ud800"}', "\\ud800"),  # the text of an escape, not one
        ('{"a":"\\\\\\ud83d\\ude00"}', "\\😀"),
        ('{"a":"\\ud7ff\\ue000"}', "\ud7ff\ue000"),
        ('{"a":"\\u0000"}', "\x00"),
        ('{"a":"NaN, Infinity"}', "NaN, Infinity"),
        ('{"a":1e308}', 1e308),
        ('{"a":1e-999}', 0.0),
        (' \t\r\n{ "a" : 7 }\n', 7),
    ],
)
def test_what_is_json_is_read(text: str, value: object) -> None:
    assert decode(text, depth=32) == {"a": value}


def test_a_pair_of_surrogates_may_be_in_a_key() -> None:
    assert decode('{"\\ud83d\\ude00":1}', depth=32) == {"😀": 1}


@given(st.dictionaries(st.text(), json_values))
def test_what_json_writes_is_read_as_it_was(message: dict[str, object]) -> None:
    assert decode(json.dumps(message), depth=32) == message
    assert decode(json.dumps(message, ensure_ascii=False, indent=1), depth=32) == message


anything = st.text(st.characters(categories=None)) | st.text(st.sampled_from('{}[]",:\\ud80c eE+-.0123NaNIfinty\ud800'))


def try_to_read(text: str) -> None:
    try:
        message = decode(text, depth=32)
    except InvalidMessage as error:
        encode(error.on_the_wire())
    else:
        encode(message)


@given(anything)
def test_whatever_comes_is_a_message_or_a_refusal_that_can_be_sent(text: str) -> None:
    try_to_read(text)


@given(st.dictionaries(st.text(), json_values).map(json.dumps), anything, st.data())
def test_a_damaged_message_is_a_message_or_a_refusal_that_can_be_sent(
    text: str, rest: str, data: st.DataObject
) -> None:
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    try_to_read(text[:start] + rest + text[end:])


@given(
    st.lists(st.sampled_from(['"a"', '"a"', '"\\ud800"', ":", ",", "{", "}", "1", "[", "]", "NaN", " "])).map("".join)
)
def test_words_of_json_in_any_order_are_a_message_or_a_refusal_that_can_be_sent(text: str) -> None:
    try_to_read(text)


def values(text: str, limit: int) -> bool:
    """Whether it has no more than so many."""
    try:
        check_nodes(text, limit)
    except InvalidMessage:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('{"a":1}', 2),
        ('{"a":1,"b":2}', 3),
        ('{"a":[1,2,3],"b":{"c":null}}', 7),
        ('{"a":"1,2,[3],{4}"}', 2),
        (r'{"a":"\"1,2,[","b\\":"]\\\",,,[["}', 3),
        (r'{"a":"\\","b":"\\\"","c":[1]}', 5),
        ('{"a":{},"b":[]}', 5),  # what is empty counts twice
    ],
)
def test_values_are_counted_and_what_stands_in_strings_is_not(text: str, count: int) -> None:
    json.loads(text)
    assert values(text, count)
    assert not values(text, count - 1)


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_no_more_values_than_are_counted(value: object) -> None:
    def number(value: object) -> int:
        if isinstance(value, dict):
            return 1 + (sum(map(number, value.values())) or 1)
        if isinstance(value, list):
            return 1 + (sum(map(number, value)) or 1)
        return 1

    for ascii_only in (True, False):
        text = json.dumps({"a": value}, ensure_ascii=ascii_only)
        assert values(text, number({"a": value}))
        assert not values(text, number({"a": value}) - 1)
