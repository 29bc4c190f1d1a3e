"""Origins that are no web page's, hosts that are named, and which rule it was that refused one."""

from typing import Any

import pytest

from hubbub.auth.origin import Origin, OriginRules, origin_text, parse_hosts, parse_origins, shown
from hubbub.errors import ConfigurationError
from tests.auth.origins import LIST, origin_allowed, scope

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


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("app.example", "its scheme is missing, as in 'https://app.example'"),
        ("app.example:8443", "its scheme is missing, as in 'https://app.example:8443'"),
        ("https://app.example/", "without the slash at its end, 'https://app.example'"),
        ("https://app.example/page", "an origin has no path, 'https://app.example'"),
        ("*", "there are no wildcards"),
        ("https://*.example", "there are no wildcards"),
        (7, "it is of <class 'int'>"),
    ],
)
def test_the_usual_mistakes_are_named(entry: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_origins([entry])
    assert f"is not an origin: {said}" in str(raised.value)


@pytest.mark.parametrize(
    "text", ["https://app.example", "https://app.example:8443", "http://[::1]:5173", "app://-", "null", "file://"]
)
def test_an_origin_is_told_as_a_browser_writes_it(text: str) -> None:
    [origin] = parse_origins([text])
    assert origin_text(origin) == text
