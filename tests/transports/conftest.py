"""Everything here that runs a loop runs on asyncio's and on uvloop's."""

import datetime
import ipaddress
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hubbub import Limits
from tests.kit.raw_peers import Both, both, hub_of
from tests.transports.driven import Ends, ends_of


@pytest.fixture(scope="session", params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself: where it is and where its key is."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("certificate")
    where, key_where = directory / "certificate.pem", directory / "key.pem"
    where.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_where.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return where, key_where


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """What a client needs to believe it."""
    return ssl.create_default_context(cafile=str(certificate[0]))


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    async with ends_of() as here:
        yield here


@pytest.fixture
async def server() -> AsyncIterator[Both]:
    async with both(hub_of(limits=Limits(closing=1.0))) as here:
        yield here


@pytest.fixture
def no_traceback(caplog: pytest.LogCaptureFixture) -> object:
    """Whatever a client does, the server has nothing to complain about."""
    caplog.set_level(logging.WARNING)
    yield
    records = caplog.get_records("call")
    bad = [record.getMessage() for record in records if record.levelno >= logging.ERROR or record.exc_info]
    assert not bad
