"""A broker's URL is read before anything is connected; what is wrong with it is one line that repeats none of it."""

import ssl
from pathlib import Path

import pytest

from hubbub import ConfigurationError, Hub
from hubbub.brokers.choose import check_broker_url
from hubbub.brokers.url import IGNORED, OPTIONS, ServerUrl, read_url
from hubbub.client.publisher import Publisher
from tests.docs.pages import plain, rows, sections
from tests.kit.certificates import make_certificate

HOST = "redis://user:hush@host"


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("redis://", ServerUrl(kind="tcp")),
        ("REDIS://[::1]:7000/", ServerUrl(kind="tcp", host="::1", port=7000)),
        ("valkey://host/15", ServerUrl(kind="tcp", host="host", db=15)),
        ("valkeys://host?db=3", ServerUrl(kind="tls", host="host", db=3)),
        ("rediss://host/3?db=3", ServerUrl(kind="tls", host="host", db=3)),
        ("unix:///run/a%20b.sock?db=2", ServerUrl(kind="unix", path="/run/a b.sock", db=2)),
        ("redis://me:h%40sh@host", ServerUrl(kind="tcp", host="host", options={"username": "me", "password": "h@sh"})),
        ("unix://:hush@/run/socket", ServerUrl(kind="unix", path="/run/socket", options={"password": "hush"})),
        ("redis://host?client_name=shop", ServerUrl(kind="tcp", host="host", options={"client_name": "shop"})),
        ("rediss://h?ssl_cert_reqs=none", ServerUrl(kind="tls", host="h", options={"ssl_cert_reqs": "none"})),
        ("rediss://h?ssl_check_hostname=0", ServerUrl(kind="tls", host="h", options={"ssl_check_hostname": False})),
        (
            "rediss://h?ssl_min_version=TLSv1_3",
            ServerUrl(kind="tls", host="h", options={"ssl_min_version": ssl.TLSVersion.TLSv1_3}),
        ),
        # What is the broker's own to decide.
        (
            "redis://host?protocol=3&socket_timeout=soon&decode_responses=1&max_connections=",
            ServerUrl(kind="tcp", host="host"),
        ),
    ],
)
def test_what_is_read(url: str, read: ServerUrl) -> None:
    assert read_url(url) == read
    assert "h@sh" not in repr(read_url(url))
    assert check_broker_url(url) == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "a broker is memory, redis://"),
        ("localhost", "a broker is memory, redis://"),
        ("redis+sentinel://host", "a broker is memory, redis://"),
        ("memory://host", "a broker is memory, redis://"),
        (f"{HOST}?ssl=true", "'ssl': TLS is rediss:// or valkeys://"),
        (f"{HOST}?tls=1", "'tls': TLS is rediss:// or valkeys://"),
        (f"{HOST}?no_such=hush", "an option that is not known, 'no_such'"),
        (f"{HOST}?connection_class=hush", "'connection_class'"),
        (f"{HOST}?maint_notifications_config=hush", "'maint_notifications_config'"),
        (f"{HOST}?hush", "no name=value"),
        (f"{HOST}?db=hush", "its db has a value"),
        (f"{HOST}?db=-1", "its db has a value"),
        (f"{HOST}?db=1&db=2", "db twice"),
        (f"{HOST}/1?db=2", "two databases"),
        (f"{HOST}/hush", "the number of a database"),
        (f"{HOST}/1/2", "the number of a database"),
        (f"{HOST}/\N{SUPERSCRIPT TWO}", "the number of a database"),
        ("redis:host", "the number of a database"),
        (f"{HOST}:0", "a port is 1 to 65535"),
        (f"{HOST}:99999", "a port is 1 to 65535"),
        (f"{HOST}:hush", "a port is 1 to 65535"),
        ("redis://[::1", "its host or port cannot be read"),
        ("redis://user:hu/sh@host", "percent-encoded"),
        ("redis://user:1/sh@host", "an @ behind the host"),
        ("redis://user:hu?sh@host", "percent-encoded"),
        ("redis://user:hu#sh@host", "percent-encoded"),
        (f"{HOST}#hush", "percent-encoded"),
        (f"{HOST}\n", "white space or a control character"),
        ("redis:// host", "white space or a control character"),
        ("redis://one,two", "several servers"),
        ("unix://", "the path of the socket is missing"),
        ("unix://host/path", "a path and no host"),
        (f"{HOST}?ssl_cert_reqs=none", "ssl_cert_reqs is for TLS"),
        ("rediss://host?ssl_cert_reqs=hush", "its ssl_cert_reqs has a value"),
        ("rediss://host?ssl_check_hostname=hush", "its ssl_check_hostname has a value"),
        ("rediss://host?ssl_min_version=hush", "its ssl_min_version has a value"),
        ("rediss://host?ssl_ciphers=hush", "ssl_ciphers: "),
        ("rediss://host?ssl_ca_data=hush", "ssl_ca_data: "),
        ("rediss://host?ssl_password=", "its ssl_password has a value"),
        ("rediss://host?ssl_ca_certs=/no/such", "ssl_ca_certs: /no/such: No such file"),
        ("rediss://host?ssl_ca_path=/no/such", "ssl_ca_path: /no/such: No such file"),
        ("rediss://host?ssl_certfile=/no/such", "ssl_certfile: /no/such: No such file"),
    ],
)
def test_what_is_wrong_is_one_line(url: str, says: str) -> None:
    for make in (Hub, Publisher) if url else (Hub,):
        with pytest.raises(ConfigurationError) as refused:
            make(url)
        assert says in str(refused.value)
        assert "hush" not in str(refused.value)
        assert "\n" not in str(refused.value)
        assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_certificates_that_make_none(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    assert read_url(f"rediss://host?ssl_ca_certs={certificate}&ssl_certfile={certificate}&ssl_keyfile={key}")
    for options, says in (
        (f"ssl_ca_certs={key}", "ssl_ca_certs: "),
        (f"ssl_keyfile={key}", "ssl_keyfile needs ssl_certfile"),
        (f"ssl_certfile={key}&ssl_keyfile={key}", "ssl_certfile and ssl_keyfile: "),
    ):
        with pytest.raises(ConfigurationError, match=says):
            read_url(f"rediss://host?{options}")


def test_the_page_has_all_options() -> None:
    section = sections("docs/reference/settings.md")["The broker's URL"]
    assert {name for row in rows(section) for name in plain(row[0]).split(", ")} == {*OPTIONS}
    assert not {*OPTIONS} & IGNORED
