"""An issuer of tokens that publishes its keys, on loopback: documents in the forms of those that people use."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt as pyjwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


@cache
def private_key(number: int) -> rsa.RSAPrivateKey:
    """Made once, because that is slow."""
    return rsa.generate_private_key(65537, 2048)


def jwk(kid: str, key: Any, **more: Any) -> dict[str, Any]:
    algorithm = pyjwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else None
    whole = (algorithm or pyjwt.algorithms.RSAAlgorithm).to_jwk(key.public_key(), as_dict=True)
    return {**whole, "kid": kid, **more}


def certificate(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken.system.gserviceaccount.com")])
    now = datetime.now(UTC)
    unsigned = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    dated = unsigned.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=16))
    return dated.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


class Issuer:
    """`keys` by kid are those it publishes now. `answer`, where set, is what it does instead."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"one": private_key(1)}
        self.document: Callable[[dict[str, Any]], Any] = lambda keys: {
            "keys": [jwk(kid, key, use="sig", alg="RS256") for kid, key in keys.items()]
        }
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.reads: list[str] = []
        self.url: str = ""

    def token(self, kid: str | None = "one", *, key: Any = None, algorithm: str = "RS256", **claims: Any) -> str:
        """Signed with the key of this name, or with another one. A claim that is None is left out."""
        whole = {"sub": "alice", "exp": int(time.time()) + 3600, **claims}
        payload = {name: value for name, value in whole.items() if value is not None}
        headers = {} if kid is None else {"kid": kid}
        return pyjwt.encode(payload, key or self.keys[kid or "one"], algorithm=algorithm, headers=headers)

    def respond(self, to: BaseHTTPRequestHandler) -> None:
        self.reads.append(to.path)
        if self.answer is not None:
            self.answer(to)
        else:
            send(to, json.dumps(self.document(self.keys)).encode())


def send(to: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    to.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        to.send_header(name, value)
    to.end_headers()
    to.wfile.write(body)


@contextmanager
def issuing() -> Iterator[Issuer]:
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.respond(self)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who asked has hung up."""

    server = Quiet(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}/.well-known/jwks.json"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
