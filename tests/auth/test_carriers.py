from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.auth.carriers import (
    Absent,
    Found,
    Malformed,
    Presented,
    Unusable,
    find_credential,
    read_message,
    select_subprotocol,
)
from hubbub.ports.auth import Carrier, Credential


def scope(query: bytes = b"", offered: tuple[str, ...] = (), *cookies: bytes) -> dict[str, Any]:
    return {
        "type": "websocket",
        "query_string": query,
        "subprotocols": list(offered),
        "headers": [(b"host", b"app.example"), *((b"cookie", cookie) for cookie in cookies)],
    }


def find(handshake: dict[str, Any], *names: str, limit: int = 64) -> Presented:
    return find_credential(handshake, cookies=names, limit=limit)


def subprotocol(value: str) -> Found:
    return Found(Credential(Carrier.SUBPROTOCOL, value))


def query(value: str) -> Found:
    return Found(Credential(Carrier.QUERY, value))


def cookie(value: str, name: str = "session") -> Found:
    return Found(Credential(Carrier.COOKIE, value), name)


def test_nothing_is_absent() -> None:
    assert find(scope(), "session") == Absent()
    assert find({"type": "http"}, "session") == Absent()
    assert find(scope(b"room=1", ("hubbub.v1", "other"), b"theme=dark"), "session") == Absent()


def test_the_first_carrier_present_decides() -> None:
    both = ("hubbub.v1", "hubbub.bearer.A")
    assert find(scope(b"token=B", both, b"session=C"), "session") == subprotocol("A")
    assert find(scope(b"token=B", ("hubbub.v1",), b"session=C"), "session") == query("B")
    assert find(scope(b"", ("hubbub.v1",), b"session=C"), "session") == cookie("C")


def test_an_unusable_one_does_not_fall_through() -> None:
    offered = ("hubbub.bearer.", "hubbub.v1")
    assert find(scope(b"token=B", offered, b"session=C"), "session") == Unusable(Carrier.SUBPROTOCOL, "empty")
    assert find(scope(b"token=", (), b"session=C"), "session") == Unusable(Carrier.QUERY, "empty")
    assert find(scope(b"", (), b"session=; other=D"), "session", "other") == Unusable(Carrier.COOKIE, "empty")


@pytest.mark.parametrize("offered", [("hubbub.bearer.A",), ("hubbub.bearer.", "hubbub.v2"), ("hubbub.bearer.A",) * 2])
def test_a_bearer_without_the_version_is_malformed(offered: tuple[str, ...]) -> None:
    assert isinstance(find(scope(b"token=B", offered)), Malformed)


def test_twice_is_ambiguous_even_where_both_are_equal() -> None:
    twice = "presented more than once"
    offered = ("hubbub.v1", "hubbub.bearer.A", "hubbub.bearer.A")
    assert find(scope(b"", offered)) == Unusable(Carrier.SUBPROTOCOL, twice)
    assert find(scope(b"token=A&x=1&token=A")) == Unusable(Carrier.QUERY, twice)
    assert find(scope(b"token=A&%74oken=B")) == Unusable(Carrier.QUERY, twice)
    assert find(scope(b"token&token")) == Unusable(Carrier.QUERY, twice)
    assert find(scope(b"", (), b"session=A; session=A"), "session") == Unusable(Carrier.COOKIE, twice)
    assert find(scope(b"", (), b"session=A", b"session=B"), "session") == Unusable(Carrier.COOKIE, twice)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"token=a.b-c_d", "a.b-c_d"),
        (b"x=1&token=abc&y", "abc"),
        (b"token=a%2Bb%3D%26c", "a+b=&c"),
        (b"token=a+b", "a b"),
        (b"token=a=b==", "a=b=="),
        (b"%74%6F%6b%65n=abc", "abc"),
        (b"token=%C3%A9", "\u00e9"),
        (b"token=%FF", "\ufffd"),
        (b"token=%zz", "%zz"),
    ],
)
def test_the_query_is_read_as_browsers_write_it(raw: bytes, expected: str) -> None:
    assert find(scope(raw)) == query(expected)


@pytest.mark.parametrize(
    "raw", [b"Token=a", b"tokens=a", b"mytoken=a", b"a;token=b", b"token[]=a", b"=token", b"%ff=a"]
)
def test_only_the_parameter_called_token_counts(raw: bytes) -> None:
    assert find(scope(raw)) == Absent()


def test_a_parameter_without_a_value_is_present() -> None:
    assert find(scope(b"token")) == Unusable(Carrier.QUERY, "empty")


@pytest.mark.parametrize("offered", ["Hubbub.Bearer.A", "hubbub.bearer", "x.hubbub.bearer.A", "base64url.bearer.A", ""])
def test_other_subprotocols_are_no_bearers(offered: str) -> None:
    assert find(scope(b"", ("hubbub.v1", offered))) == Absent()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"session=abc", "abc"),
        (b"  theme=dark ;session = abc ", "abc"),
        (b'session="abc"', "abc"),
        (b"session=a=b==", "a=b=="),
        (b"=;;; ; garbage; \xff=\xfe; session=abc; =x", "abc"),
        (b"Session=no; xsession=no; session=abc; session2=no", "abc"),
    ],
)
def test_the_cookie_is_found_in_whatever_stands_around_it(header: bytes, expected: str) -> None:
    assert find(scope(b"", (), header), "session") == cookie(expected)


def test_a_cookie_header_in_pieces_is_one() -> None:
    assert find(scope(b"", (), b"theme=dark", b"session=abc"), "session") == cookie("abc")
    upper = {"headers": [(b"Cookie", b"session=abc")]}
    assert find(upper, "session") == cookie("abc")


def test_only_the_cookies_asked_for_count_and_the_first_name_wins() -> None:
    handshake = scope(b"", (), b"a=1; b=2")
    assert find(handshake) == Absent()
    assert find(handshake, "b") == cookie("2", "b")
    assert find(handshake, "c", "b", "a") == cookie("2", "b")


def test_the_limit_is_bytes_after_decoding() -> None:
    assert find(scope(b"token=" + b"%41" * 8), limit=8) == query("A" * 8)
    assert find(scope(b"token=" + b"A" * 9), limit=8) == Unusable(Carrier.QUERY, "longer than 8 bytes")
    assert find(scope(b"token=" + b"%C3%A9" * 5), limit=8) == Unusable(Carrier.QUERY, "longer than 8 bytes")
    long = scope(b"", ("hubbub.v1", "hubbub.bearer." + "A" * 9))
    assert find(long, limit=8) == Unusable(Carrier.SUBPROTOCOL, "longer than 8 bytes")
    assert find(scope(b"", (), b"s=" + b"A" * 9), "s", limit=8) == Unusable(Carrier.COOKIE, "longer than 8 bytes")


@pytest.mark.parametrize("raw", [b"%00", b"a%0Ab", b"a%7F", b"%1b%5B31m", b"%E2%80%A8"])
def test_what_is_not_printable_is_no_credential(raw: bytes) -> None:
    assert find(scope(b"token=" + raw)) == Unusable(Carrier.QUERY, "has characters that are not printable")


def test_a_cookie_quoted_with_controls_is_no_credential() -> None:
    assert isinstance(find(scope(b"", (), b'session="a\\000b"'), "session"), Unusable)


@pytest.mark.parametrize("token", [None, 7, True, ["a"], {"token": "a"}, b"a", "", "a\x00", "\ud800", "A" * 65])
def test_a_message_is_held_to_the_same_rules(token: object) -> None:
    presented = read_message(token, limit=64)
    assert isinstance(presented, Unusable)
    assert presented.carrier is Carrier.MESSAGE


def test_a_message_with_a_token_is_found() -> None:
    assert read_message("A" * 64, limit=64) == Found(Credential(Carrier.MESSAGE, "A" * 64))


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        ((), None),
        (("chat",), None),
        (("HUBBUB.V1",), None),
        (("hubbub.bearer.hubbub.v1",), None),
        (("chat", "hubbub.v1"), "hubbub.v1"),
        (("hubbub.bearer.A", "hubbub.v1"), "hubbub.v1"),
    ],
)
def test_only_the_version_is_ever_selected(offered: tuple[str, ...], selected: str | None) -> None:
    assert select_subprotocol(scope(b"", offered)) == selected


def test_no_secret_in_what_is_said() -> None:
    found = [
        find(scope(b"token=S3CRET")),
        find(scope(b"token=S3CRET&token=S3CRET")),
        find(scope(b"token=S3CRET"), limit=3),
        find(scope(b"token=S3CRET%00")),
        find(scope(b"", ("hubbub.bearer.S3CRET",))),
        read_message(["S3CRET"], limit=64),
    ]
    assert [type(each) for each in found] == [Found, Unusable, Unusable, Unusable, Malformed, Unusable]
    assert "S3CRET" not in repr(found)


@given(st.binary(max_size=60), st.lists(st.text(max_size=30), max_size=4), st.lists(st.binary(max_size=60), max_size=3))
def test_no_garbage_raises(raw: bytes, offered: list[str], cookies: list[bytes]) -> None:
    presented = find(scope(raw, tuple(offered), *cookies), "session", "")
    assert isinstance(presented, Absent | Found | Unusable | Malformed)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.isprintable))
def test_what_a_browser_encodes_comes_back(token: str) -> None:
    """`encodeURIComponent` and `URLSearchParams` differ in the space, and both are read."""
    for encoded in (quote(token, safe="!'()*~-_."), quote_plus(token, safe="*-._")):
        assert find(scope(b"a=b&token=" + encoded.encode()), limit=1000) == query(token)
