from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.auth.origin import Origin, parse_origins
from hubbub.errors import ConfigurationError
from tests.auth.origins import LIST, origin_allowed, scope

ACCEPTED = [
    "https://app.example",
    "https://app.example:443",
    "HTTPS://APP.EXAMPLE",
    "https://App.Example",
    "http://localhost:5173",
    "https://shop.example:8443",
    "https://xn--mnchen-3ya.example",
    "https://XN--MNCHEN-3YA.example",
    "http://[::1]:3000",
    "http://[0:0:0:0:0:0:0:1]:3000",
    "capacitor://localhost",
    "http://127.0.0.1:80",
]

REFUSED = [
    "https://app.example.evil.com",
    "https://evil-app.example",
    "https://evil.app.example",
    "https://app.example-evil.com",
    "https://app.exampl",
    "https://example",
    "http://app.example",
    "wss://app.example",
    "ws://app.example",
    "https://app.example:80",
    "https://app.example:8443",
    "https://app.example:4430",
    "https://app.example:0443",
    "https://app.example:443443",
    "https://app.example:0",
    "https://app.example:-443",
    "https://app.example:",
    "https://app.example:443:443",
    "http://app.example:443",
    "http://localhost",
    "http://localhost:5174",
    "http://localhost.evil.com:5173",
    "https://shop.example",
    "null",
    "NULL",
    "",
    " ",
    "*",
    "https://*",
    "https://*.example",
    "https://user@app.example",
    "https://user:password@app.example",
    "https://app.example@evil.com",
    "https://evil.com@app.example",
    "https://app.example.",
    "https://.app.example",
    "https://app..example",
    "https://app.example/",
    "https://app.example/path",
    "https://app.example?",
    "https://app.example#",
    "https://app.example\\evil.com",
    "https://evil.com/https://app.example",
    "https://evil.com?https://app.example",
    "https://app.example https://evil.com",
    "https://app.example,https://evil.com",
    " https://app.example",
    "https://app.example ",
    "https://app.example\n",
    "https://app.example\x00",
    "https://app%2Eexample",
    "https://app.example%00.evil.com",
    "https:app.example",
    "https:/app.example",
    "https:///app.example",
    "//app.example",
    "app.example",
    "://app.example",
    "https://",
    "file://",
    "https://m\u00fcnchen.example",
    b"https://m\xc3\xbcnchen.example",
    b"https://m\xc3\xbcnchen.example:443",
    "https://munchen.example",
    "http://[::1]",
    "http://[::1%25lo]:3000",
    "http://[::1:3000",
    "http://::1:3000",
    "http://[::2]:3000",
    "http://[127.0.0.1]",
    "http://127.0.0.1.evil.com",
    "http://127.1",
    "http://2130706433",
    "capacitor://localhost:80",
    "ionic://localhost",
]


@pytest.mark.parametrize("origin", ACCEPTED)
def test_an_origin_of_the_list_passes(origin: str) -> None:
    assert origin_allowed(scope(origin), required=False, allowed=LIST)
    assert origin_allowed(scope(origin), required=True, allowed=LIST)


@pytest.mark.parametrize("origin", REFUSED)
def test_any_other_does_not(origin: str | bytes) -> None:
    assert not origin_allowed(scope(origin), required=False, allowed=LIST)
    assert not origin_allowed(scope(origin), required=True, allowed=LIST)


# The host is theirs; only a list can tell the schemes apart.
OF_THE_HOST = ("http://app.example", "ws://app.example", "wss://app.example")


@pytest.mark.parametrize("origin", [origin for origin in REFUSED if origin not in OF_THE_HOST])
def test_nor_does_it_pass_where_the_host_decides(origin: str | bytes) -> None:
    assert not origin_allowed(scope(origin), required=True, allowed=None)


def test_a_list_replaces_the_host() -> None:
    assert not origin_allowed(scope("https://other.example", host="other.example"), required=True, allowed=LIST)
    assert origin_allowed(scope("https://app.example", host="other.example"), required=True, allowed=LIST)
    assert not origin_allowed(scope("https://app.example"), required=True, allowed=parse_origins([]))


SAME = [
    ("http://app.example", "app.example", "ws"),
    ("https://app.example", "app.example", "ws"),  # TLS ends at a proxy that does not say so
    ("https://app.example", "app.example", "wss"),
    ("https://app.example:443", "APP.example", "wss"),
    ("http://app.example", "app.example:80", "ws"),
    ("https://app.example", "app.example:443", "wss"),
    ("http://localhost:8000", "localhost:8000", "ws"),
    ("https://app.example:8443", "app.example:8443", "wss"),
    ("http://127.0.0.1:8000", "127.0.0.1:8000", "ws"),
    ("http://[::1]:8000", "[::1]:8000", "ws"),
    ("http://my_host:8000", "my_host:8000", "ws"),
]
OTHER = [
    ("http://app.example", "app.example", "wss"),  # a page that was not protected on its way
    ("http://app.example:8000", "app.example", "ws"),
    ("https://app.example:8443", "app.example", "ws"),
    ("https://app.example", "app.example:80", "ws"),
    ("http://app.example", "app.example:443", "wss"),
    ("http://localhost:8000", "127.0.0.1:8000", "ws"),
    ("http://localhost:8000", "localhost:8001", "ws"),
    ("http://localhost:3000", "localhost:8000", "ws"),
    ("https://evil.example", "app.example", "wss"),
    ("https://sub.app.example", "app.example", "wss"),
    ("https://app.example", "sub.app.example", "wss"),
    ("capacitor://localhost", "localhost", "ws"),
    ("chrome-extension://abcdef", "abcdef", "ws"),
    ("https://app.example", "user@app.example", "wss"),
    ("https://app.example", "app.example.", "wss"),
    ("https://app.example", "app.example:", "wss"),
    ("https://app.example", "app.example, evil.example", "wss"),
    ("https://app.example", "", "wss"),
    ("https://app.example", None, "wss"),
    ("http://[::1]:8000", "[::x]:8000", "ws"),
    ("null", "null", "ws"),
]


@pytest.mark.parametrize(("origin", "host", "scheme"), SAME)
def test_without_a_list_the_host_decides(origin: str, host: str, scheme: str) -> None:
    assert origin_allowed(scope(origin, host=host, scheme=scheme), required=True, allowed=None)


@pytest.mark.parametrize(("origin", "host", "scheme"), OTHER)
def test_another_host_or_port_is_another_site(origin: str, host: str | None, scheme: str) -> None:
    assert not origin_allowed(scope(origin, host=host, scheme=scheme), required=True, allowed=None)


def test_two_hosts_are_none() -> None:
    handshake = scope("https://app.example")
    handshake["headers"].append((b"host", b"app.example"))
    assert not origin_allowed(handshake, required=True, allowed=None)


@pytest.mark.parametrize("allowed", [None, LIST, parse_origins([])])
def test_no_origin_passes(allowed: frozenset[Origin] | None) -> None:
    assert origin_allowed(scope(), required=True, allowed=allowed)


@pytest.mark.parametrize("allowed", [None, LIST])
def test_two_origins_do_not(allowed: frozenset[Origin] | None) -> None:
    twice = scope("https://app.example", "https://app.example")
    assert not origin_allowed(twice, required=True, allowed=allowed)


def test_what_no_browser_adds_needs_no_check() -> None:
    assert origin_allowed(scope("https://evil.example"), required=False, allowed=None)
    assert origin_allowed(scope("null"), required=False, allowed=None)
    assert not origin_allowed(scope("https://evil.example"), required=True, allowed=None)


def test_the_header_is_found_however_a_server_spells_it() -> None:
    handshake = {"headers": [(b"Origin", b"https://evil.example"), (b"Host", b"app.example")]}
    assert not origin_allowed(handshake, required=True, allowed=None)


def test_the_list_is_read_as_people_write_it() -> None:
    assert parse_origins(["HTTP://App.Example:80", "http://app.example"]) == {Origin("http", "app.example", 80)}
    assert parse_origins("https://one.example") == {Origin("https", "one.example", 443)}
    # As browsers do since 2023, and not "strasse" as the standard library's codec.
    assert parse_origins(["https://straße.example"]) == {Origin("https", "xn--strae-oqa.example", 443)}
    assert parse_origins(["http://bücher.example:8000"]) == {Origin("http", "xn--bcher-kva.example", 8000)}
    assert parse_origins(["https://MÜNCHEN.example"]) == parse_origins(["https://münchen.example"])
    assert parse_origins(["capacitor://localhost"]) == {Origin("capacitor", "localhost", None)}


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "app.example",
        "localhost:5173",
        "https://*.example",
        "https://app.example/",
        "https://app.example/path",
        "https://user@app.example",
        "https://app.example.",
        "https://app.example:99999",
        "https://app.example:x",
        "NULL ",
        "file:///home",
        "app://*",
        "app://",
        "https://-",
        "https://.",
        "",
        "http://[::x]",
        "https://bü cher.example",
        "https://bücher..example",
        "https://\u212a@x",
        "\u212attp://app.example",
        7,
        None,
    ],
)
def test_an_entry_that_is_no_origin_is_named(entry: Any) -> None:
    with pytest.raises(ConfigurationError, match="origins") as raised:
        parse_origins(["https://app.example", entry])
    assert repr(entry) in str(raised.value)


@given(st.binary(max_size=60), st.binary(max_size=30))
def test_no_garbage_raises_or_passes(origin: bytes, host: bytes) -> None:
    handshake = {"headers": [(b"origin", origin), (b"host", host)]}
    assert not origin_allowed(handshake, required=True, allowed=LIST)
    origin_allowed(handshake, required=True, allowed=None)


#: What the tools' pages send, as the tools' own documentation has it, and what of it is another's.
