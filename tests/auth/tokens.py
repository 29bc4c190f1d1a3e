"""Tokens good and bad, written by hand, because a library that signs refuses to write most of the bad ones."""

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt as pyjwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from hubbub.auth.jwt import JWTAuth
from hubbub.errors import CredentialError
from hubbub.ports.auth import Carrier, Credential
from hubbub.types import User

KEY = "k" * 32
SECRET = "S3CRET-"
HOUR = 3600


def ask(auth: JWTAuth, token: str) -> User:
    return asyncio.run(auth.authenticate(Credential(Carrier.QUERY, token)))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: object, payload: object, key: bytes = KEY.encode()) -> str:
    """A token signed with HMAC-SHA256 whatever its header says, and with whatever JSON Python can write."""
    head, body = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload))
    signed = f"{b64(head)}.{b64(body)}"
    mac = hmac.HMAC(key or b"\0", hashes.SHA256())
    mac.update(signed.encode())
    return f"{signed}.{b64(mac.finalize())}"


HEADER = {"alg": "HS256", "typ": "JWT"}


def claims(**changes: Any) -> dict[str, Any]:
    """A payload that is accepted, with changes; `...` takes a claim away."""
    whole = {"sub": "alice", "exp": int(time.time()) + HOUR, **changes}
    return {name: value for name, value in whole.items() if value is not ...}


def refused(auth: JWTAuth, token: str) -> CredentialError:
    with pytest.raises(CredentialError) as raised:
        ask(auth, token)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return raised.value


@dataclass
class Rsa:
    private: rsa.RSAPrivateKey
    forms: dict[str, bytes]

    @property
    def private_pem(self) -> str:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def make_rsa() -> Rsa:
    """A key pair, and its public half in every form in which one meets it."""
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    spki, pkcs1 = PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1
    forms = {
        "SPKI": public.public_bytes(Encoding.PEM, spki),
        "PKCS1": public.public_bytes(Encoding.PEM, pkcs1),
        "SSH": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "X509": certificate.public_bytes(Encoding.PEM),
        "SPKI DER": public.public_bytes(Encoding.DER, spki),
        "X509 DER": certificate.public_bytes(Encoding.DER),
        "SPKI DER in base64": base64.b64encode(public.public_bytes(Encoding.DER, spki)),
        "SPKI DER in base64 with lines": base64.encodebytes(public.public_bytes(Encoding.DER, spki)),
        "X509 DER in base64": base64.b64encode(certificate.public_bytes(Encoding.DER)),
        "JWK": pyjwt.algorithms.RSAAlgorithm.to_jwk(public).encode(),
        "private": private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    }
    forms |= {
        "SPKI indented": b"\n  " + forms["SPKI"],
        "SPKI cut": forms["SPKI"].rpartition(b"-----END")[0],
        "SSH after a line break": b"\n" + forms["SSH"],
        "SSH of a security key": b"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
    }
    return Rsa(private, forms)


FORMS = (
    "SPKI",
    "PKCS1",
    "SSH",
    "X509",
    "SPKI DER",
    "X509 DER",
    "SPKI DER in base64",
    "SPKI DER in base64 with lines",
    "X509 DER in base64",
    "JWK",
    "private",
    "SPKI indented",
    "SPKI cut",
    "SSH after a line break",
    "SSH of a security key",
)
