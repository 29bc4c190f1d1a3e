import unicodedata
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from hubbub.rooms.patterns import Match, Patterns, placeholders, shape

CONTROLS = ["\x00", "\t", "\n", "\r", "\x1f", "\x7f", "\x80", "\x85", "\x9f"]


class Colour(Enum):
    RED = "red"


def matched(pattern: str, name: str, **types: object) -> dict[str, str] | None:
    patterns: Patterns[str] = Patterns()
    patterns.declare(pattern, "found", types)
    match = patterns.match(name)
    assert match is None or match.value == "found"
    return None if match is None else dict(match.params)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("lobby", ()),
        ("@me", ()),
        ("team:{team_id}", ("team_id",)),
        ("{b}/{a}", ("b", "a")),
        ("files/{rest:path}", ("rest",)),
        ("{a}/{b:path}", ("a", "b")),
        ("{_1}", ("_1",)),
    ],
)
def test_the_placeholders_of_a_pattern_are_in_its_order(pattern: str, names: tuple[str, ...]) -> None:
    assert placeholders(pattern) == names


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "a room pattern is not empty"),
        ("{a}:{a}", "a placeholder occurs twice in '{a}:{a}'"),
        ("{a}:{a:path}", "a placeholder occurs twice"),
        ("{a}{b}", "could read a name in several ways"),
        ("{a}{b:path}", "could read a name in several ways"),
        ("{a:path}:{b:path}", "could read a name in several ways"),
        *(
            (odd, "a brace without a placeholder in .*: write {name} or {name:path}")
            for odd in ("{", "a}", "{}", "{1}", "{a b}", "{a:int}", "{a:}", "{{a}}", "{a", "{é}", "{a-b}")
        ),
    ],
)
def test_a_pattern_that_cannot_be_meant_so_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        placeholders(pattern)
    patterns: Patterns[None] = Patterns()
    with pytest.raises(ValueError, match=why):
        patterns.declare(pattern, None, {})
    assert patterns.match(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "name", "params"),
    [
        ("lobby", "lobby", {}),
        ("team:{id}", "team:7", {"id": "7"}),
        ("team:{id}", "team:a b-ü.😀@", {"id": "a b-ü.😀@"}),
        ("{a}:{b}", "x:y", {"a": "x", "b": "y"}),
        ("{a}-{b}", "x-y-z", {"a": "x-y", "b": "z"}),
        ("files/{rest:path}", "files/a/b:c", {"rest": "a/b:c"}),
        ("{rest:path}", "/", {"rest": "/"}),
        ("a.b*[c]|(d)+$^\\", "a.b*[c]|(d)+$^\\", {}),
    ],
)
def test_a_name_that_is_like_the_pattern_matches(pattern: str, name: str, params: dict[str, str]) -> None:
    assert matched(pattern, name) == params


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("lobby", "lobby2"),
        ("lobby", "a lobby"),
        ("lobby", "Lobby"),
        ("lobby", "lobby\n"),
        ("lobby", ""),
        ("team:{id}", "team:"),
        ("team:{id}", "team:a:b"),
        ("team:{id}", "team:a/b"),
        ("team:{id}", "team:a\n"),
        ("team:{id}", "x team:a"),
        ("files/{rest:path}", "files/"),
        ("a.c", "abc"),
        ("{a}:{b}", "x"),
    ],
)
def test_a_name_that_is_not_like_the_pattern_does_not_match(pattern: str, name: str) -> None:
    assert matched(pattern, name) is None


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
@pytest.mark.parametrize("pattern", ["{a}", "{a:path}"])
def test_no_placeholder_takes_a_control_character(pattern: str, control: str) -> None:
    for name in (control, f"x{control}", f"{control}x", f"x{control}y"):
        assert matched(pattern, name) is None


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            datetime,
            ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.500000Z"],
            ["2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.5Z", "2026-01-01 00:00:00"],
        ),
        (time, ["10:00:00Z", "10:00:00"], ["11:00:00+01:00", "10:00", "10:00:00+00:00"]),
    ],
)
def test_a_moment_has_one_name(kind: type, good: list[str], bad: list[str]) -> None:
    for name in good:
        assert matched("{at:path}", name, at=kind) == {"at": name}
    for name in bad:
        assert matched("{at:path}", name, at=kind) is None, name


@given(st.characters(categories=None))
def test_a_placeholder_takes_any_other_character(char: str) -> None:
    control = unicodedata.category(char) == "Cc"
    assert (matched("{a}", char) is None) == (control or char in ":/")
    assert (matched("{a:path}", char) is None) == control


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (int, ["7", "0", "-7", "9" * 100], ["7.0", "+7", "07", " 7", "7 ", "-0", "1_000", "٣", "", "x", "1e3"]),
        (float, ["1.5", "7.0", "0.0", "-1.5"], ["7", "1.50", "+1.5", "1e3", ".5", "-0.0"]),
        (
            Decimal,
            ["7", "0", "-7", "7.5", "0.05", "0.0000001", "1000", f"0.{'1' * 90}"],
            ["7.0", "7.50", "70e-1", "7E0", "1e3", "1E+3", "-0", "-0.0", "0.0", "07", "+7", ".5", "7.", "NaN", "1_0"],
        ),
        (bool, ["True"], ["true", "1", "yes", "TRUE"]),
        (
            UUID,
            ["0a000000-0000-0000-0000-000000000001"],
            ["0A000000-0000-0000-0000-000000000001", "0a000000000000000000000000000001", "7"],
        ),
        (date, ["2026-01-02"], ["20260102", "2026-1-2", "0", "1767312000"]),
        (Colour, ["red"], ["RED", "blue"]),
        (Literal["a", "b"], ["a", "b"], ["c", "A"]),
        (Annotated[str, Field(max_length=3)], ["abc", "07"], ["abcd"]),
        (Annotated[int, Field(gt=0)], ["1"], ["0", "-1", "01"]),
        (int | None, ["7"], ["None", "null", "07"]),
        (str, ["7", "07", "None"], []),
    ],
    ids=str,
)
def test_a_parameter_is_a_name_only_as_its_type_prints_it(kind: object, good: list[str], bad: list[str]) -> None:
    assert [matched("team:{id}", f"team:{text}", id=kind) for text in good] == [{"id": text} for text in good]
    assert [text for text in bad if matched("team:{id}", f"team:{text}", id=kind) is not None] == []


@given(st.text(st.sampled_from("0123456789+-_. eE٣²"), min_size=1) | st.integers().map(str))
def test_no_number_has_two_names(text: str) -> None:
    expected = None
    try:
        expected = {"id": text} if str(int(text)) == text else None
    except ValueError:
        pass
    assert matched("team:{id}", f"team:{text}", id=int) == expected


def test_each_parameter_is_read_by_its_own_type_and_one_without_is_text() -> None:
    types = {"a": int, "not in the pattern": int}
    assert matched("{a}:{b}", "7:07", **types) == {"a": "7", "b": "07"}
    assert matched("{a}:{b}", "07:7", **types) is None
    assert matched("{a}:{b}", "7:07", a=int, b=int) is None


def test_the_first_declared_that_matches_wins() -> None:
    patterns: Patterns[str] = Patterns()
    patterns.declare("team:{id}", "number", {"id": int})
    patterns.declare("team:lobby", "lobby", {})
    patterns.declare("team:{name}", "name", {})
    patterns.declare("{rest:path}", "rest", {})
    patterns.declare("team:7", "never", {})
    assert patterns.match("team:7") == Match("number", {"id": "7"})
    assert patterns.match("team:lobby") == Match("lobby", {})
    assert patterns.match("team:07") == Match("name", {"name": "07"})
    assert patterns.match("team:7:8") == Match("rest", {"rest": "team:7:8"})


@given(st.text())
def test_what_no_pattern_matches_does_not_exist(name: str) -> None:
    assert Patterns[None]().match(name) is None
    patterns: Patterns[None] = Patterns()
    patterns.declare("team:{id}", None, {"id": int})
    if not name.startswith("team:"):
        assert patterns.match(name) is None


def test_patterns_of_two_hubs_do_not_meet() -> None:
    Patterns[None]().declare("lobby", None, {})
    assert Patterns[None]().match("lobby") is None


def test_the_shape_of_a_pattern_is_the_same_whatever_its_placeholders_are_called() -> None:
    assert shape("team:{id}:{rest:path}") == shape("team:{team_id}:{all:path}") == "team:{}:{:path}"
    assert shape("team:{id}") != shape("team:{id:path}")
