"""Addresses, and TLS."""

import ssl
from pathlib import Path

import pytest

from hubbub.errors import ConfigurationError
from hubbub.loadtest.result import Errors
from hubbub.loadtest.run import run
from hubbub.loadtest.workloads import BenchError, Target, Workload
from tests.kit.certificates import make_certificate
from tests.loadtest.scripted import Plain, Server


def test_tls(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)
    with Server(tls=served) as server:
        target = Target("127.0.0.1", server.port, tls=True, context=trusting)
        many = Workload(connections=3, in_flight=5, messages=50, text=50_000, warm_up=0, duration=20, patience=3)
        result = run(many, Plain(), target)
        assert (result.deliveries, result.errors) == (150, Errors())
    with Server(tls=served) as server, pytest.raises(BenchError, match=r"TLS with 127\.0\.0\.1 failed: .*CERTIFICATE"):
        run(Workload("idle", connections=1), Plain(), Target("127.0.0.1", server.port, tls=True))


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("ws://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://localhost", "localhost"),
        ("wss://example.org/", "example.org"),
        ("https://[::1]:8443", "[::1]:8443"),
    ],
)
def test_addresses(url: str, authority: str) -> None:
    target = Target.parse(url)
    assert target.authority == authority
    assert target.tls is url.startswith(("wss", "https"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://x",
        "ws://",
        "ws://x:0",
        "ws://x:99999",
        "ws://x/ws",
        "ws://x?a=b",
        "ws://u:secret@x",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigurationError, match="like ws://127") as wrong:
        Target.parse(url)
    assert "secret" not in str(wrong.value)
