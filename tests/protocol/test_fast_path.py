"""The short ways of reading, in C and in Python: that they take what they may, leave the rest, and agree."""

import random
import sys
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubbub.protocol import fast_path, frames
from hubbub.protocol.fast_path import Plain, Texts, python_plain, python_texts
from hubbub.protocol.frames import Parser
from tests.kit.blocks import kept
from tests.protocol.implementations import c
from tests.protocol.masked import BINARY, CONT, FIN, PING, RSV1, TEXT, all_of, frame, header, text

LIMIT = 70_000


@pytest.fixture(scope="module", params=["C", "Python"])
def texts(request: pytest.FixtureRequest) -> Texts:
    implementation: Texts = c().texts if request.param == "C" else python_texts
    return implementation


@pytest.fixture(scope="module", params=["C", "Python"])
def plain(request: pytest.FixtureRequest) -> Plain:
    implementation: Plain = c().plain if request.param == "C" else python_plain
    return implementation


def read(texts: Texts, data: bytes, at: int = 0, limit: int = LIMIT) -> tuple[list[str], int]:
    """What was read, and where something else stands."""
    found: list[str] = []
    return found, texts(data, at, limit, found, len(data) + 1)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 125, 126, 127, 4095, 4096, 4097, 65535])
def test_a_text_of_any_length_is_read_when_it_is_whole(texts: Texts, length: int) -> None:
    payload = ("hubé" * length).encode()[:length].decode(errors="replace")[: length - 1] if length > 1 else "x" * length
    whole = text(payload)
    assert read(texts, whole) == ([payload], len(whole))
    for end in range(max(0, len(whole) - 9), len(whole)):
        assert read(texts, whole[:end]) == ([], 0)


def test_all_that_follow_one_another_are_appended(texts: Texts) -> None:
    said = ["one", "", "é" * 100, "x" * 60_000, "y" * 5000, "two"]
    data = b"".join(map(text, said))
    found: list[object] = [1]
    assert texts(data, 0, LIMIT, found, 100) == len(data)
    assert found == [1, *said]
    assert read(texts, data, len(data)) == ([], len(data))


def test_no_more_are_read_than_are_asked_for(texts: Texts) -> None:
    data = text("one") * 5
    found: list[object] = [1]
    assert texts(data, 0, LIMIT, found, 3) == 2 * len(text("one"))
    assert found == [1, "one", "one"]
    assert texts(data, len(text("one")), LIMIT, found, 3) == len(text("one"))
    assert texts(data, 0, LIMIT, found, 0) == 0
    assert found == [1, "one", "one"]


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x04\x08"])
@pytest.mark.parametrize("length", [*range(20), 200, 4096, 5000])
def test_any_mask_is_taken_off(texts: Texts, length: int, mask: bytes) -> None:
    payload = bytes(32 + at % 95 for at in range(length))
    whole = frame(FIN | TEXT, payload, mask=mask)
    assert read(texts, whole) == ([payload.decode()], len(whole))


OTHER = {
    "ping": frame(FIN | PING),
    "binary": frame(FIN | BINARY, b"a"),
    "a first fragment": frame(TEXT, b"a"),
    "a continuation": frame(FIN | CONT, b"a"),
    "compressed": frame(FIN | RSV1 | TEXT, b"a"),
    "not masked": header(FIN | TEXT, 8, masked=False) + b"a" * 8,
    "not masked, longer": header(FIN | TEXT, 200, masked=False) + b"a" * 200,
    "longer than 16 bits say": text("a" * 65536),
    "the same without a mask to speak of": frame(FIN | TEXT, b"a" * 65536, mask=bytes(4)),
    "126 in 64 bits": frame(FIN | TEXT, b"a" * 126, form=64),
    "125 in 16 bits": frame(FIN | TEXT, b"a" * 125, form=16),
    "not UTF-8": frame(FIN | TEXT, b"a\xff"),
    "a surrogate": frame(FIN | TEXT, b"\xed\xa0\x80"),
    "a character that is not whole": frame(FIN | TEXT, "é".encode()[:1]),
    "over the limit": text("a" * 3001),
}
PARTS = {"not whole": text("abc")[:-1], "a header that is not whole": text("a" * 200)[:3], "one byte": b"\x81"}


@pytest.mark.parametrize("other", [*(other + text("after") for other in OTHER.values()), *PARTS.values()])
def test_at_anything_else_it_stops(texts: Texts, other: bytes) -> None:
    before = text("one") + text("x" * 200)
    assert read(texts, before + other, limit=3000) == (["one", "x" * 200], len(before))
    assert read(texts, before + other, len(text("one")), limit=3000) == (["x" * 200], len(before))


@pytest.mark.parametrize("limit", [0, 1, 125, 126, 4096, 4097])
def test_a_text_may_have_its_limit_and_no_byte_more(texts: Texts, limit: int) -> None:
    whole = text("a" * limit)
    assert read(texts, whole + text("a" * (limit + 1)), limit=limit) == (["a" * limit], len(whole))


@pytest.mark.parametrize(("limit", "many"), [(2**62, 2), (2**80, 2), (-1, 0), (-(2**80), 0)])
def test_the_limit_may_be_any_integer(texts: Texts, limit: int, many: int) -> None:
    assert read(texts, text("") + text("x" * 300), limit=limit)[0] == ["", "x" * 300][:many]


some_frames = st.one_of(
    st.text(max_size=20).map(text),
    st.sampled_from([125, 126, 127, 300, 4096, 4097]).map(lambda size: text("x" * size)),
    st.tuples(st.binary(max_size=20), st.binary(min_size=4, max_size=4)).map(
        lambda pair: frame(FIN | TEXT, pair[0], mask=pair[1])
    ),
    st.tuples(st.sampled_from([0, 1, 125, 126]), st.sampled_from([16, 64])).map(
        lambda pair: frame(FIN | TEXT, b"x" * pair[0], form=pair[1])
    ),
    st.sampled_from([*OTHER.values(), *PARTS.values()]),
)
limits = st.sampled_from([0, 1, 100, 126, 4096, LIMIT])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames, one byte of which is another, often."""
    data = bytearray(b"".join(draw(st.lists(some_frames, max_size=6))))
    if data and draw(st.booleans()):
        data[draw(st.integers(0, min(len(data), 400) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@settings(max_examples=500, deadline=None)
@given(streams(), limits, st.data())
def test_frames_whole_and_damaged_are_read_alike(
    accelerator: ModuleType, data: bytes, limit: int, more: st.DataObject
) -> None:
    for at in (0, more.draw(st.integers(0, len(data)))):
        assert read(accelerator.texts, data, at, limit) == read(python_texts, data, at, limit)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=40) | st.binary(max_size=20).map(lambda rest: b"\x81\x84" + rest), limits)
def test_any_bytes_are_read_alike(accelerator: ModuleType, data: bytes, limit: int) -> None:
    assert read(accelerator.texts, data, 0, limit) == read(python_texts, data, 0, limit)


@settings(max_examples=300, deadline=None)
@given(streams(), limits, st.integers(0, 2**32).map(random.Random))
def test_in_any_chunks_a_parser_finds_the_same_with_both(
    accelerator: ModuleType, data: bytes, limit: int, cut: random.Random
) -> None:
    chunks, at = [], 0
    while at < len(data):
        size = cut.choice([1, 2, 5, 14, 100, 5000])
        chunks.append(data[at : at + size])
        at += size
    outcomes = []
    for function in (accelerator.texts, python_texts):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(frames, "texts", function)
            parser = Parser(limit=limit)
            outcomes.append(([all_of(parser, chunk) for chunk in chunks], parser.assembling))
    assert outcomes[0] == outcomes[1]


pieces = ['"a"', '"b"', '"é\x1f"', '"', ":", ",", "{", "}", "1", "-0", "01", "true", "false", "null", "nul", " ", "\n"]
numbers = st.integers(-(2**64), 2**64) | st.sampled_from([2**62 - 1, 2**62, 1 - 2**62, -(2**62), 10**18, 10**19])


@settings(max_examples=500, deadline=None)
@given(
    st.text(st.characters(categories=None))
    | st.text(st.sampled_from('{}[]",:\\ud80c eE+-.0123truefalsn\ud800\ufeff\x00\x1f\x7fé'))
    | st.lists(st.sampled_from(pieces)).map(lambda parts: "{" + "".join(parts) + "}")
    | st.lists(st.tuples(st.text(max_size=12), numbers), max_size=8).map(
        lambda pairs: "{" + ", ".join(f'"{key}" :{number}' for key, number in pairs) + "}"
    )
)
@example('{"a":1,"a":1}')
@example("{")
@example('{"a')
@example('{"a":tru')
@example('{"a":-')
@example('{"a":1}\x00')
@example('{"a":1]')
@example('{"a":01}')
@example('{"a":}')
@example('{"a":"\\n"}')
@example('{\r"a"\r:\r1\r}\r')
def test_any_text_is_read_alike(accelerator: ModuleType, text: str) -> None:
    # As text, because 1 equals True, and in the same order.
    assert repr(accelerator.plain(text)) == repr(python_plain(text))


@pytest.mark.parametrize("end", range(48))
def test_a_message_cut_anywhere_is_left(plain: Plain, end: int) -> None:
    whole = '{"a" : "xyz", "b":true,"c":false, "d":null,"e":7}'
    assert plain(whole) == {"a": "xyz", "b": True, "c": False, "d": None, "e": 7}
    assert plain(whole[:end]) is None


@pytest.mark.parametrize("length", range(20))
@pytest.mark.parametrize("char", ["\x00", "\x1f", "\x20", "\x7f", "\x80", "\u00a0", "\uffff", "\U0010ffff"])
def test_a_control_is_found_wherever_it_stands_in_a_string(plain: Plain, char: str, length: int) -> None:
    for at in range(length + 1):
        value = "\xe9" * (at // 2) + "x" * (at - at // 2) + char + " " * (length - at)
        for message in ({"a": value}, {value: "a"}):
            [(key, told)] = message.items()
            assert plain(f'{{"{key}":"{told}"}}') == (None if char < " " else message)


# With keys and values of several characters: those of one are Python's own, and always there.
TEXTS = [
    '{"one":1000, "two":"xyz", "three":null}',
    '{"one":"xyz","one":1000}',
    '{"one":"\ud800"}',
    '{"one":"xyz","two',
    '{"one":"xyz",1}',
    '{"one":"xyz"}x',
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_nothing_is_kept_of_json_that_was_read(plain: Plain, text: str) -> None:
    assert kept(lambda: plain(text)) < 200


@pytest.mark.parametrize("last", ["", "not UTF-8", "ping"])
def test_nothing_is_kept_of_frames_that_were_read(texts: Texts, last: str) -> None:
    data = text("a" * 5000) + text("b") + OTHER.get(last, b"")
    assert kept(lambda: read(texts, data)) < 200


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ((b"", 0, 0, []), TypeError),
        ((bytearray(b""), 0, 0, [], 1), TypeError),
        (("", 0, 0, [], 1), TypeError),
        ((b"", 0, 0, (), 1), TypeError),
        ((b"", "0", 0, [], 1), TypeError),
        ((b"", 0, "0", [], 1), TypeError),
        ((b"", 0, 0, [], "1"), TypeError),
        ((b"", 1, 0, [], 1), IndexError),
        ((b"abcd", -1, 0, [], 1), IndexError),
        ((b"", 2**80, 0, [], 1), OverflowError),
    ],
)
def test_c_refuses_what_no_caller_gives(
    accelerator: ModuleType, arguments: tuple[object, ...], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        accelerator.texts(*arguments)


@pytest.mark.parametrize("wrong", [b"{}", None, 1])
def test_c_reads_json_in_a_str_alone(accelerator: ModuleType, wrong: object) -> None:
    with pytest.raises(TypeError):
        accelerator.plain(wrong)


def test_where_it_is_switched_off_it_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fast_path.SWITCH, "0")
    assert fast_path.load() == (None, "switched off by HUBBUB_ACCELERATOR=0")


def test_where_it_was_not_built_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(fast_path.SWITCH, raising=False)
    monkeypatch.setitem(sys.modules, "hubbub._accelerator", None)  # an import of it is a ModuleNotFoundError
    assert fast_path.load() == (None, "not built")


def test_where_it_cannot_be_loaded_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> ModuleType:
        raise ImportError(f"{name} is for something else")

    monkeypatch.delenv(fast_path.SWITCH, raising=False)
    monkeypatch.setattr(fast_path, "import_module", broken)
    assert fast_path.load() == (None, "cannot be loaded: hubbub._accelerator is for something else")


def test_where_it_is_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(fast_path.SWITCH, raising=False)
    built = ModuleType("hubbub._accelerator")
    monkeypatch.setitem(sys.modules, "hubbub._accelerator", built)
    assert fast_path.load() == (built, "")
