import ipaddress
from dataclasses import replace
from typing import Any

import pytest

from hubbub.errors import ConfigurationError
from hubbub.hub.client_address import (
    BELIEVES_ALL,
    NOT_NAMED,
    SAYS_NOBODY,
    Client,
    client_of,
    group_of,
    parse_proxies,
    shown,
)

PUBLIC = "203.0.113.7"


def scope(peer: str | None, *headers: tuple[str, str]) -> dict[str, Any]:
    return {
        "client": None if peer is None else (peer, 4711),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }


def limited(address: str) -> Client:
    return Client(ipaddress.ip_address(address), limited=True)


def told(value: str) -> tuple[str, str]:
    return "X-Forwarded-For", value


@pytest.mark.parametrize(
    "headers",
    [(), (told("198.51.100.1"),), (("Forwarded", "for=198.51.100.1"),), (told("127.0.0.1"), ("Via", "1.1 x"))],
)
@pytest.mark.parametrize("proxies", [None, [], ["10.0.0.0/8"]])
def test_what_anybody_sends_changes_nothing(headers: tuple[tuple[str, str], ...], proxies: list[str] | None) -> None:
    assert client_of(scope(PUBLIC, *headers), parse_proxies(proxies)) == limited(PUBLIC)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (PUBLIC, PUBLIC),
        (f"198.51.100.1, {PUBLIC}", PUBLIC),  # what stands before it came from the client
        (f"198.51.100.1, {PUBLIC}, 10.0.0.8", PUBLIC),
        (f"unknown, nonsense,{PUBLIC}:1234 ,10.0.0.8:80", PUBLIC),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        (f"::ffff:{PUBLIC}", PUBLIC),
        ("10.0.0.9, 10.0.0.8", "10.0.0.9"),  # a chain that begins within
        ("nonsense, 10.0.0.8", "10.0.0.8"),
    ],
)
def test_whom_a_named_proxy_speaks_for(value: str, address: str) -> None:
    proxies = parse_proxies("10.0.0.7, 10.0.0.8/31")
    assert client_of(scope("10.0.0.7", told(value)), proxies) == limited(address)
    assert client_of(scope("::ffff:10.0.0.7", told(value)), proxies) == limited(address)
    *before, last = value.split(",")
    lines = [told(",".join(before)), told(last)] if before else [told(last)]
    assert client_of(scope("10.0.0.7", *lines), proxies) == limited(address), "several lines are one list"


@pytest.mark.parametrize("headers", [(), (told(""),), (told("unknown"),), (told(f"{PUBLIC}, _hidden"),)])
def test_a_named_proxy_that_says_nobody(headers: tuple[tuple[str, str], ...]) -> None:
    found = client_of(scope("10.0.0.7", *headers), parse_proxies(["10.0.0.7"]))
    assert found == Client(None, limited=False, fault=SAYS_NOBODY)


def test_forwarded_and_the_headers_of_those_who_deliver_for_others() -> None:
    proxies = parse_proxies(["10.0.0.7"], "Forwarded")
    line = 'for=198.51.100.1;by=x, proto=https;For="[2001:db8::2]:80"'
    assert client_of(scope("10.0.0.7", ("Forwarded", line), told(PUBLIC)), proxies) == limited("2001:db8::2")
    assert client_of(scope("10.0.0.7", ("Forwarded", "proto=https")), proxies).fault == SAYS_NOBODY
    proxies = parse_proxies(["10.0.0.7"], "CF-Connecting-IP")
    assert client_of(scope("10.0.0.7", ("CF-Connecting-IP", PUBLIC), told("1.1.1.1")), proxies) == limited(PUBLIC)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "testclient", None])
@pytest.mark.parametrize("headers", [(), (told(PUBLIC),)])
def test_loopback_and_those_without_an_address(peer: str | None, headers: tuple[tuple[str, str], ...]) -> None:
    found = client_of(scope(peer, *headers), parse_proxies(None))
    assert not found.limited
    assert found.fault is None


def test_a_unix_socket_that_was_named() -> None:
    proxies = parse_proxies(["unix"])
    assert client_of(scope(None, told(PUBLIC)), proxies) == limited(PUBLIC)
    assert client_of(scope(None), proxies).fault == SAYS_NOBODY
    assert client_of(scope(None, told("127.0.0.1")), proxies) == Client(
        ipaddress.ip_address("127.0.0.1"), limited=False
    )


@pytest.mark.parametrize("peer", ["10.1.2.3", "172.20.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "fe80::1%eth0"])
@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
def test_a_proxy_in_a_private_network_that_was_not_named(peer: str, name: str) -> None:
    found = client_of(scope(peer, (name, PUBLIC)), parse_proxies(None))
    assert (found.limited, found.fault) == (False, NOT_NAMED)
    assert client_of(scope(peer), parse_proxies(None)).limited, "it is a client, as it seems"
    assert client_of(scope(peer, (name, PUBLIC)), parse_proxies([])).limited, "it was said that there is none"
    assert client_of(scope(peer, told(f"{PUBLIC}, {peer}")), parse_proxies(None)).limited, "the server has read it"


def test_a_server_that_believes_anybody_says_nothing_of_its_clients() -> None:
    proxies = replace(parse_proxies(["unix"]), believes_all=True)
    rewritten = scope("1.1.1.1", told(f"1.1.1.1, {PUBLIC}"))
    assert client_of(rewritten, proxies) == Client(None, limited=False, fault=BELIEVES_ALL)
    assert client_of(rewritten, replace(proxies, unix_only=True)) == limited(PUBLIC)
    assert not client_of(rewritten, replace(proxies, unix_only=True, unix=False)).limited


def test_none_is_a_word_where_a_text_is_all_there_is() -> None:
    assert parse_proxies(" none ") == parse_proxies([])
    assert parse_proxies("unix, 10.0.0.7").unix


def test_what_is_limited_together() -> None:
    def groups(*addresses: str) -> int:
        return len({group_of(ipaddress.ip_address(each)) for each in addresses})

    assert groups("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff") == 1
    assert groups("2001:db8::1", "2001:db8:0:1::1") == 2
    assert groups("203.0.113.7", "203.0.113.8") == 2
    assert shown(ipaddress.ip_address("2001:db8:0:1:2::3")) == "2001:db8:0:1::/64"
    assert shown(ipaddress.ip_address(PUBLIC)) == PUBLIC


@pytest.mark.parametrize("wrong", [["*"], ["10.0.0.1/8"], ["proxy.example"], [7], "10.0.0.7,,", [""], b"10.0.0.7", 7])
def test_what_names_no_proxy(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^proxies: "):
        parse_proxies(wrong)
