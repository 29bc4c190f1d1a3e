"""Addresses, and TLS."""

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hubbub.errors import ConfigurationError
from hubbub.loadtest.result import Errors
from hubbub.loadtest.run import run
from hubbub.loadtest.workloads import BenchError, Target, Workload
from tests.loadtest.scripted import Plain, Server


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    no_password = serialization.NoEncryption()
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def test_tls(certificate: Path) -> None:
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificate)
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
