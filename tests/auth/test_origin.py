from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.auth.origin import Host, Origin, OriginRules, parse_hosts, parse_origins, shown
from hubbub.errors import ConfigurationError


def scope(*origins: str | bytes, host: str | None = "app.example", scheme: str = "ws") -> dict[str, Any]:
    headers = [(b"origin", origin if isinstance(origin, bytes) else origin.encode("latin-1")) for origin in origins]
    if host is not None:
        headers.append((b"host", host.encode("latin-1")))
    return {"type": "websocket", "scheme": scheme, "headers": headers}


def origin_allowed(
    handshake: dict[str, Any],
    *,
    required: bool,
    allowed: frozenset[Origin] | None,
    hosts: frozenset[Host] | None = None,
    cookie: bool = False,
) -> bool:
    return OriginRules(allowed, hosts).refusal(handshake, required=required, cookie=cookie) is None


LIST = parse_origins(
    [
        "https://app.example",
        "http://localhost:5173",
        "https://Shop.Example:8443",
        "https://münchen.example",
        "http://[::1]:3000",
        "capacitor://localhost",
        "http://127.0.0.1",
    ]
)

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
PACKAGED = {
    "app://-": ["app://.", "app://", "app://--", "app://-/", "app://-:1"],
    "app://.": ["app://-", "app://..", "app://app"],
    "capacitor://localhost": ["capacitor://localhost.evil.example", "ionic://localhost", "http://localhost"],
    "ionic://localhost": ["capacitor://localhost"],
    "tauri://localhost": ["tauri://localhost:1", "http://tauri.localhost"],
    "http://tauri.localhost": ["https://tauri.localhost", "tauri://localhost"],
    "chrome-extension://gighmmpiobklfepjocnamgkkbiglidom": ["chrome-extension://gighmmpiobklfepjocnamgkkbiglidon"],
    "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc": ["moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdd"],
    "safari-web-extension://E1C91E2B-BF8C-4D8D-A8A1-11E4E6E6DB70": ["safari-web-extension://e1c91e2b"],
    "file://": ["null", "file:///", "file://localhost"],
    "null": ["file://", "", "nul", "null,null"],
}


@pytest.mark.parametrize("entry", PACKAGED)
def test_packaged_applications_pass_where_they_are_listed(entry: str) -> None:
    listed = parse_origins([entry])
    assert origin_allowed(scope(entry), required=True, allowed=listed)
    assert origin_allowed(scope(entry.lower()), required=False, allowed=listed)
    assert not origin_allowed(scope(entry), required=False, allowed=LIST - listed)
    for other in PACKAGED[entry]:
        assert not origin_allowed(scope(other), required=False, allowed=listed), other


def test_null_is_let_in_by_no_cookie() -> None:
    listed = parse_origins(["null", "file://"])
    assert not origin_allowed(scope("null"), required=True, cookie=True, allowed=listed)
    assert origin_allowed(scope("null"), required=True, allowed=listed)
    assert origin_allowed(scope("file://"), required=True, cookie=True, allowed=listed)


HOSTS = parse_hosts(
    ["app.example", "LOCALHOST:8000", "[::1]", "münchen.example", "127.0.0.1", "secure.example:443", "bare.example:80"]
)
OWN = [
    ("https://app.example", "app.example", "ws"),  # React Native, behind a proxy that ends TLS
    ("http://app.example:8080", "App.Example:8080", "ws"),  # Python's websocket-client
    ("http://localhost:8000", "localhost:8000", "ws"),
    ("http://[::1]:3000", "[0:0:0:0:0:0:0:1]:3000", "ws"),
    ("https://xn--mnchen-3ya.example", "xn--mnchen-3ya.example:443", "wss"),
    ("http://127.0.0.1:9", "127.0.0.1:9", "ws"),
    # A default port that was written out, where a Host leaves it out.
    ("https://secure.example", "secure.example", "wss"),
    ("https://secure.example", "secure.example", "ws"),
    ("http://bare.example", "bare.example", "ws"),
]


@pytest.mark.parametrize(("origin", "host", "scheme"), OWN)
@pytest.mark.parametrize("allowed", [None, LIST - parse_origins("https://app.example"), frozenset()])
def test_the_own_origin_of_a_host_that_is_named_passes(
    origin: str, host: str, scheme: str, allowed: frozenset[Origin] | None
) -> None:
    assert origin_allowed(scope(origin, host=host, scheme=scheme), required=True, allowed=allowed, hosts=HOSTS)


REBOUND = [
    ("http://evil.example", "evil.example", "ws"),
    ("http://localhost:8001", "localhost:8001", "ws"),
    ("https://app.example", "app.example:8000", "ws"),
    ("http://app.example", "app.example", "wss"),
    ("http://secure.example", "secure.example", "ws"),
    ("https://secure.example:8443", "secure.example:8443", "wss"),
    ("https://app.example.evil.example", "app.example.evil.example", "wss"),
    ("https://sub.app.example", "sub.app.example", "wss"),
    ("https://app.example.", "app.example.", "wss"),
    ("https://other.example", "app.example", "wss"),
    ("null", "app.example", "ws"),
]


@pytest.mark.parametrize(("origin", "host", "scheme"), REBOUND)
@pytest.mark.parametrize("allowed", [None, frozenset()])
def test_that_of_any_other_host_does_not(
    origin: str, host: str, scheme: str, allowed: frozenset[Origin] | None
) -> None:
    assert not origin_allowed(scope(origin, host=host, scheme=scheme), required=True, allowed=allowed, hosts=HOSTS)


@pytest.mark.parametrize("entry", ["*", "*.example", "https://app.example", "app.example/", "a.example.", "::1", "", 7])
def test_an_entry_that_is_no_host_is_named(entry: Any) -> None:
    with pytest.raises(ConfigurationError, match="allowed_hosts") as raised:
        parse_hosts(["app.example", entry])
    assert repr(entry) in str(raised.value)


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("https://evil.example", "Origin https://evil.example, Host app.example"),
        ("https://ann:s3cret@evil.example/s3cret?token=s3cret#s3cret", "Origin https://evil.example, Host app.example"),
        ("ann:s3cret@evil.example", "Origin evil.example, Host app.example"),
        ("https://a\x1b[2J\r\nb", r"Origin https://a\x1b[2J\r\nb, Host app.example"),
        ("null", "Origin null, Host app.example"),
        ("x" * 500, f"Origin {'x' * 120}…, Host app.example"),
    ],
)
def test_what_a_log_may_have_of_it(origin: str, said: str) -> None:
    assert shown(scope(origin)) == said


def test_which_rule_it_was() -> None:
    def rule(origin: str, rules: OriginRules, *, host: str = "app.example") -> str | None:
        return rules.refusal(scope(origin, host=host), required=True, cookie=True)

    assert rule("https://evil.example", OriginRules()) == "it is not the Host's"
    assert rule("https://evil.example", OriginRules(LIST)) == "it is not in origins="
    assert rule("https://evil.example", OriginRules(LIST, HOSTS)) == "it is neither in origins= nor the Host's"
    rebound = rule("https://evil.example", OriginRules(None, HOSTS), host="evil.example")
    assert rebound == "it is the Host's, which is not in allowed_hosts="
    assert rule("evil", OriginRules()) == "it is no origin"
    assert rule("null", OriginRules(parse_origins("null"))) == "null is let in by no cookie"


@pytest.mark.parametrize("given", [5, b"https://app.example", None])
def test_what_is_no_list_is_named(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^origins: a list of texts, not "):
        parse_origins(given)
    with pytest.raises(ConfigurationError, match=r"^allowed_hosts: a list of texts, not "):
        parse_hosts(given)
