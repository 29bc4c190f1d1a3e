"""The fast way of reading JSON and the strict one say the same, or the fast one says nothing."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubbub.errors import InvalidMessage
from hubbub.protocol.codec import _strictly, decode
from hubbub.protocol.fast_path import Plain, plain, python_plain

#: The one in Python, and the one that is used where that is another.
PLAINS = list({python_plain: "Python", plain: "chosen"})
each_plain = pytest.mark.parametrize("plain", PLAINS)

EVERYTHING = st.characters(categories=None)
LITTLE = st.text(st.sampled_from("abé😀 \t:,{}[]'/"), max_size=4)

#: As they stand in JSON, or nearly.
numbers = st.one_of(
    st.integers().map(str),
    st.sampled_from([2**53, 2**62 - 1, 2**62, 2**62 + 1, 2**63 - 1, 2**63, 2**64, 10**40]).map(str),
    st.sampled_from([4299, 4300, 4301]).map(lambda digits: "9" * digits),
    st.floats().map(repr),
    st.from_regex(r"-?[0-9]{1,3}(\.[0-9]{0,2})?([eE][+-]?[0-9]{0,3})?", fullmatch=True),
    st.sampled_from(
        ["-0", "-0.0", "01", "1.", ".5", "+1", "1e400", "-1e400", "1E+400", "1e-999", "0x1", "1_0", "٣", "-", "--1"]
    ),
)
words = st.sampled_from(
    ["true", "false", "null", "NaN", "Infinity", "-Infinity", "inf", "nan", "True", "None", "tru", "nulll"]
)
escapes = st.sampled_from(["\\n", '\\"', "\\\\", "\\/", "\\u0061", "\\u00e9", "\\ud800", "\\ud83d\\ude00", "\\x", "\\"])
strings = st.one_of(
    st.text(max_size=5).map(lambda text: json.dumps(text, ensure_ascii=False)),
    LITTLE.map(lambda text: f'"{text}"'),
    st.text(EVERYTHING, max_size=5).map(lambda text: f'"{text}"'),
    st.lists(escapes | LITTLE, max_size=3).map(lambda parts: f'"{"".join(parts)}"'),
    st.sampled_from(['"a"', '"b"', '"type"', '""', "a", "'a'", '"\ud800"', '"\x00"', '"\x7f"', '"\x9f"', '"\u2028"']),
)
blanks = st.sampled_from(["", "", "", " ", "\t", "\r\n", "  ", "\u00a0", "\x0b", "\x0c", "\ufeff", "/**/"])
values = st.recursive(
    numbers | words | strings,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]"),
        st.lists(st.tuples(strings, inner), max_size=2).map(
            lambda pairs: "{" + ",".join(f"{key}:{value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=4,
)


@st.composite
def objects(draw: st.DrawFn) -> str:
    """An object, or nearly; the same key more than once, often."""
    pairs = draw(st.lists(st.tuples(strings, values), max_size=5))
    if pairs and draw(st.booleans()):
        pairs.insert(draw(st.integers(0, len(pairs))), (draw(st.sampled_from(pairs))[0], draw(values)))
    blank = draw(blanks)
    body = f"{blank},".join(f"{key}{blank}:{draw(blanks)}{value}" for key, value in pairs)
    return f"{draw(blanks)}{{{body}}}{draw(blanks)}"


@st.composite
def damaged(draw: st.DrawFn) -> str:
    text = draw(objects())
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    return text[:start] + draw(st.text(EVERYTHING, max_size=3) | LITTLE | st.just('"')) + text[end:]


def alike(one: object, other: object) -> bool:
    """Equal, in the same order and of the same types: 1 is not true here, nor 1.0."""
    return repr(one) == repr(other)


def outcome(read: Callable[[], object]) -> tuple[object, ...]:
    """What was read, or how it was refused."""
    try:
        return ("read", read())
    except InvalidMessage as error:
        return ("refused", error.message, error.field)


def agree(text: str) -> None:
    strict = outcome(lambda: _strictly(text, 1))
    first, *others = [plain(text) for plain in PLAINS]
    assert first is None or alike(("read", first), strict)
    assert all(alike(other, first) for other in others)
    assert alike(outcome(lambda: decode(text, depth=1)), strict)


@settings(max_examples=600, deadline=None)
@given(objects())
@example('{"a":1,"a":2}')
@example('{"a":"x","a":1}')
@example('{"a":1,"a":"x","b":null}')
@example('{"a" : 1 ,\t"a" : 2 }')
@example('{"":1,"":2}')
@example('{"a":1,"\\u0061":2}')
def test_an_object_is_read_alike(text: str) -> None:
    agree(text)


@settings(max_examples=400, deadline=None)
@given(damaged())
def test_a_damaged_object_is_read_alike(text: str) -> None:
    agree(text)


@settings(deadline=None)
@given(st.text(EVERYTHING) | st.text(st.sampled_from('{}[]",:\\ud80c eE+-.0123NaNIfinty\ud800\ufeff\x00')))
def test_any_text_is_read_alike(text: str) -> None:
    agree(text)


@pytest.mark.parametrize("number", range(0x21))
def test_control_characters_and_blanks_are_read_alike_wherever_they_stand(number: int) -> None:
    char = chr(number)
    for text in (f'{{"a{char}":1}}', f'{{"a":"{char}"}}', f'{char}{{"a":1}}', f'{{"a":1}}{char}', f'{{"a"{char}:1}}'):
        agree(text)


@pytest.mark.parametrize("char", ["\x7f", "\x80", "\x85", "\xa0", "\u2028", "\u3000", "\ufeff", "\ufffe", "\ud800"])
def test_odd_characters_are_read_alike_wherever_they_stand(char: str) -> None:
    for text in (f'{{"a{char}":1}}', f'{{"a":"{char}"}}', f'{char}{{"a":1}}', f'{{"a":1}}{char}', f'{{"a"{char}:1}}'):
        agree(text)


@pytest.mark.parametrize("digits", [*map(str, (2**62 - 1, 1 - 2**62, 2**53, 0, -1)), "-0"])
@each_plain
def test_small_numbers_go_the_fast_way(plain: Plain, digits: str) -> None:
    assert alike(plain(f'{{"a":{digits}}}'), {"a": int(digits)})


@pytest.mark.parametrize(
    "digits", [*map(str, (2**62, -(2**62), 2**64, 10**400)), "1.0", "1e0", "1E5", "1e400", "NaN", "Infinity"]
)
@each_plain
def test_other_numbers_do_not(plain: Plain, digits: str) -> None:
    assert plain(f'{{"a":{digits}}}') is None


@each_plain
def test_what_nearly_all_messages_are_goes_the_fast_way(plain: Plain) -> None:
    message = {"type": "room_message", "room": "té:7", "content": "x" * 200 + "😀", "id": 7, "to": None, "new": True}
    for indent in (None, 2):
        assert alike(plain(json.dumps(message, ensure_ascii=False, indent=indent)), message)
    assert plain("{}") == {}


@pytest.mark.parametrize(
    "text",
    ['{"a":[]}', '{"a":{}}', '{"a":"\\n"}', '{"\\u0061":1}', "[]", "1", '"a"', "null", "", '{"a":1}x', '{"a":1,"a":1}'],
)
@each_plain
def test_all_else_is_left_to_the_strict_one(plain: Plain, text: str) -> None:
    assert plain(text) is None
