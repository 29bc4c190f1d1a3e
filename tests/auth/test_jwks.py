"""Keys that an issuer publishes, read from a real server on loopback."""

import asyncio
import base64
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hubbub.auth import jwks
from hubbub.auth.jwt import JWTAuth
from hubbub.errors import ConfigurationError, CredentialError, Unavailable
from hubbub.ports.auth import Carrier, Credential
from hubbub.types import User
from tests.auth.tokens import KEY, ask, refused
from tests.kit.issuer import Issuer, certificate, issuing, jwk, private_key, send
from tests.kit.waiting import until

HOUR = 3600.0


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as it:
        yield it


class Clock:
    """The one the keys go by; what waits for a network goes by the real one."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(jwks, "time", clock)
    return clock


def test_a_key_that_comes_and_one_that_goes(issuer: Issuer, clock: Clock) -> None:
    auth = JWTAuth(jwks_url=issuer.url)
    old = issuer.token("one")
    assert issuer.reads == []
    assert ask(auth, old).id == ask(auth, issuer.token("one")).id == "alice"
    assert len(issuer.reads) == 1
    issuer.keys["two"] = private_key(2)
    clock.now += jwks.AGAIN
    assert ask(auth, issuer.token("two")).id == "alice"
    assert len(issuer.reads) == 2
    del issuer.keys["one"]
    assert ask(auth, old).id == "alice"
    clock.now += HOUR
    assert refused(auth, old).fault == "unknown"
    assert ask(auth, issuer.token("two")).id == "alice"
    assert len(issuer.reads) == 3


def test_a_kid_that_nobody_knows_is_looked_for_once_a_minute(issuer: Issuer, clock: Clock) -> None:
    auth = JWTAuth(jwks_url=issuer.url)
    for number in range(50):
        refused(auth, issuer.token(f"made up {number}", key=private_key(2)))
        assert ask(auth, issuer.token()).id == "alice"
    assert len(issuer.reads) == 1
    clock.now += jwks.AGAIN
    for number in range(50):
        refused(auth, issuer.token(f"made up {number}", key=private_key(2)))
    assert len(issuer.reads) == 2


def test_one_read_serves_all_who_wait_and_nobody_who_gives_up_ends_it(issuer: Issuer) -> None:
    auth, go = JWTAuth(jwks_url=issuer.url), threading.Event()

    def slowly(to: BaseHTTPRequestHandler) -> None:
        go.wait(30)
        send(to, json.dumps(issuer.document(issuer.keys)).encode())

    async def many() -> list[User]:
        credential = Credential(Carrier.QUERY, issuer.token())
        one = asyncio.create_task(auth.authenticate(credential))
        others = [asyncio.create_task(auth.authenticate(credential)) for _ in range(20)]
        # The loop goes on meanwhile.
        await until(lambda: issuer.reads, "the keys are asked for")
        one.cancel()
        await asyncio.wait((one,))
        go.set()
        return await asyncio.gather(*others)

    issuer.answer = slowly
    assert {user.id for user in asyncio.run(many())} == {"alice"}
    assert len(issuer.reads) == 1


FAILURES: dict[str, Any] = {
    "status 500": lambda to: send(to, b"{}", 500),
    "it is no JSON": lambda to: send(to, b"<html>"),
    "it is no JSON object": lambda to: send(to, b"[]"),
    "no key in it is for RS256": lambda to: send(to, b'{"keys": []}'),
    "more than 262144 bytes": lambda to: send(to, b" " * (jwks.MAX_BYTES + 1)),
    "it redirects to another host": lambda to: send(to, b"", 302, Location="http://localhost:1/keys"),
    "RemoteDisconnected": lambda to: None,
}


@pytest.mark.parametrize("why", FAILURES)
def test_while_it_is_away_the_keys_that_are_known_serve_on(
    issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    auth, token = JWTAuth(jwks_url=issuer.url), issuer.token()
    issuer.answer = FAILURES[why]
    with pytest.raises(Unavailable):
        ask(auth, token)
    assert f"cannot be read ({why}): nobody can be let in" in caplog.text
    with pytest.raises(Unavailable):
        ask(auth, token)
    assert len(issuer.reads) == 1
    issuer.answer = None
    clock.now += jwks.AGAIN_WITHOUT
    with caplog.at_level(logging.INFO):
        assert ask(auth, token).id == "alice"
    assert "can be read again" in caplog.text
    issuer.answer = FAILURES[why]
    clock.now += HOUR
    for _ in range(20):
        assert ask(auth, token).id == "alice"
    assert len(issuer.reads) == 3
    assert caplog.text.count(f"cannot be read ({why}): those of 3600 s ago serve on") == 1
    # What is not known may be the one that came since.
    with pytest.raises(Unavailable):
        ask(auth, issuer.token("two", key=private_key(2)))
    clock.now += jwks.STALE
    with pytest.raises(Unavailable):
        ask(auth, token)


def test_a_redirect_within_the_host_is_followed(issuer: Issuer) -> None:
    def elsewhere(to: BaseHTTPRequestHandler) -> None:
        if to.path == "/keys":
            send(to, json.dumps(issuer.document(issuer.keys)).encode())
        else:
            send(to, b"", 301, Location="/keys")

    issuer.answer = elsewhere
    assert ask(JWTAuth(jwks_url=issuer.url), issuer.token()).id == "alice"
    assert len(issuer.reads) == 2


def test_it_does_not_wait_for_ever(
    issuer: Issuer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "TIMEOUT", 0.2)
    over = threading.Event()
    issuer.answer = lambda to: over.wait(30) and None
    try:
        with pytest.raises(Unavailable):
            ask(JWTAuth(jwks_url=issuer.url), issuer.token())
    finally:
        over.set()
    assert "cannot be read (not within 0 s)" in caplog.text


CURVE = ec.generate_private_key(ec.SECP256R1())
USABLE: dict[str, dict[str, Any]] = {
    "plain": jwk("k", private_key(1)),
    "for signatures": jwk("k", private_key(1), use="sig", key_ops=["verify"], alg="RS256"),
    "with its certificate": jwk("k", private_key(1), x5c=["MII"], x5t="x", x5u="https://evil.example"),
}
UNUSABLE: dict[str, Any] = {
    "a secret": {"kty": "oct", "kid": "k", "k": base64.urlsafe_b64encode(KEY.encode()).decode()},
    "for encryption": jwk("k", private_key(1), use="enc"),
    "to sign only": jwk("k", private_key(1), key_ops=["sign"]),
    "operations that are none": jwk("k", private_key(1), key_ops="verify"),
    "another algorithm": jwk("k", private_key(1), alg="RS512"),
    "encryption's algorithm": jwk("k", private_key(1), alg="RSA-OAEP"),
    "a curve's": jwk("k", CURVE),
    "a weak one": jwk("k", rsa.generate_private_key(65537, 1024)),  # noqa: S505  # what is to be refused
    "a number that is none": {**jwk("k", private_key(1)), "n": "!"},
    "a modulus that is no string": {**jwk("k", private_key(1)), "n": 7},
    "no modulus": {"kty": "RSA", "kid": "k"},
    "a name that is none": jwk("k", private_key(1)) | {"kid": 7},
    "nothing": None,
    "a list": [],
}


@pytest.mark.parametrize("name", USABLE)
def test_keys_that_verify(issuer: Issuer, name: str) -> None:
    issuer.document = lambda _: {"keys": [None, {"kty": "oct"}, USABLE[name]]}
    assert ask(JWTAuth(jwks_url=issuer.url), issuer.token("k", key=private_key(1))).id == "alice"


@pytest.mark.parametrize("name", UNUSABLE)
def test_keys_that_do_not(issuer: Issuer, name: str) -> None:
    issuer.document = lambda keys: {"keys": [UNUSABLE[name], jwk("good", private_key(2))]}
    auth = JWTAuth(jwks_url=issuer.url)
    assert refused(auth, issuer.token("k", key=private_key(1))).fault == "unknown"
    assert refused(auth, pyjwt.encode({"sub": "a", "exp": 2**32}, KEY, headers={"kid": "k"})).fault == "unknown"
    assert ask(auth, issuer.token("good", key=private_key(2))).id == "alice"


def test_each_key_verifies_with_the_algorithms_it_is_for(issuer: Issuer) -> None:
    issuer.document = lambda _: {"keys": [jwk("r", private_key(1), alg="PS256"), jwk("e", CURVE)]}
    auth = JWTAuth(jwks_url=issuer.url, algorithms=["RS256", "PS256", "ES256"])
    assert ask(auth, issuer.token("r", key=private_key(1), algorithm="PS256")).id == "alice"
    assert ask(auth, issuer.token("e", key=CURVE, algorithm="ES256")).id == "alice"
    assert refused(auth, issuer.token("r", key=private_key(1))).fault == "algorithm"


def test_without_a_kid_there_is_one_key_or_none(issuer: Issuer) -> None:
    auth, token = JWTAuth(jwks_url=issuer.url), issuer.token(None)
    assert ask(auth, token).id == "alice"
    issuer.keys["two"] = private_key(2)
    error = refused(JWTAuth(jwks_url=issuer.url), token)
    assert (error.fault, str(error)) == ("unknown", "the token names no key (kid)")


def test_certificates_by_their_kid(issuer: Issuer) -> None:
    issuer.document = lambda keys: {kid: certificate(key) for kid, key in keys.items()} | {"odd": "no PEM", "n": 7}
    assert ask(JWTAuth(jwks_url=issuer.url), issuer.token()).id == "alice"
    assert ask(JWTAuth(keys={"one": certificate(private_key(1))}, algorithms="RS256"), issuer.token()).id == "alice"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"jwks_url": "http://issuer.example/keys"}, "https"),
        ({"jwks_url": "file:///etc/passwd"}, "https"),
        ({"jwks_url": "https://"}, "https"),
        ({"jwks_url": "https://[::1"}, "https"),
        ({"jwks_url": 7}, "https"),
        ({"jwks_url": "https://a:b@issuer.example/keys"}, "no user and password"),
        ({"jwks_url": "https://issuer.example", "algorithms": "HS256"}, "public keys"),
        ({"jwks_url": "https://issuer.example", "key": KEY}, "pass one of them"),
        ({"jwks_url": "https://issuer.example", "jwks_lifetime": 0}, "jwks_lifetime is 1 to 86400 seconds"),
        ({"jwks_url": "https://issuer.example", "jwks_lifetime": float("nan")}, "jwks_lifetime"),
        ({"keys": {}}, "at least one"),
        ({"keys": [KEY]}, "a mapping"),
        ({"keys": {"": KEY}}, "each kid"),
        ({"keys": {"k": "short"}}, "kid 'k': the key is too short"),
        ({"keys": {"k": "-----BEGIN CERTIFICATE-----"}, "algorithms": "RS256"}, "the certificate of kid 'k'"),
    ],
)
def test_what_would_not_protect_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as raised:
        JWTAuth(**options)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("url", ["http://localhost/k", "http://127.0.0.9:1/k", "http://[::1]/k", "https://a.example/k"])
def test_where_keys_may_be_read(url: str) -> None:
    assert "jwks of" in repr(JWTAuth(jwks_url=url))


class TestOwnKeys:
    def test_the_one_that_is_named_verifies_and_the_first_signs(self) -> None:
        new, old = "n" * 32, "o" * 32
        auth, before = JWTAuth(keys={"2026": new, "2025": old}), JWTAuth(keys={"2025": old})
        assert pyjwt.get_unverified_header(auth.sign("alice"))["kid"] == "2026"
        assert ask(auth, auth.sign("alice")).id == ask(auth, before.sign("alice")).id == "alice"
        assert refused(before, auth.sign("alice")).fault == "unknown"
        assert (
            refused(auth, pyjwt.encode({"sub": "a", "exp": 2**32}, old, headers={"kid": "2026"})).fault == "signature"
        )
        assert refused(auth, JWTAuth(old).sign("alice")).fault == "unknown"
        assert ask(before, JWTAuth(old).sign("alice")).id == "alice"
        assert "keys of 2" in repr(auth)
        assert new not in repr(auth)

    def test_claims_that_are_asked_for(self) -> None:
        auth = JWTAuth(KEY, required={"token_use": "access", "client_id": ["web", "app"]})
        assert ask(auth, auth.sign("alice", token_use="access", client_id="app")).id == "alice"
        for claims in ({"token_use": "id", "client_id": "app"}, {"token_use": "access"}, {"client_id": ["web"]}):
            assert refused(auth, auth.sign("alice", **claims)).fault == "claim"


@pytest.mark.parametrize("error", [OverflowError(), TypeError(), KeyError("exp"), RecursionError(), AssertionError()])
def test_whatever_a_token_makes_pyjwt_raise_is_a_refusal(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """As releases of it do for `exp: 1e400`, or for a date that is a list."""

    def fail(*_: object, **__: object) -> None:
        raise error

    auth = JWTAuth(keys={"k": KEY, "l": KEY})
    token = auth.sign("alice")
    for name in ("decode_complete", "decode", "get_unverified_header"):
        monkeypatch.setattr(pyjwt, name, fail)
        with pytest.raises(CredentialError):
            ask(auth, token)
