"""Whoever is nobody yet chooses what stands in a token: none of it may choose who is believed, or make a server work.

A real hub and a real issuer on loopback.
"""

import json
from itertools import product
from typing import Any

import jwt as pyjwt
import pytest
import websockets

from hubbub import Hub, JWTAuth
from tests.auth.tokens import KEY, forge
from tests.kit.client import Tab
from tests.kit.issuer import Issuer, issuing, jwk, private_key
from tests.kit.serving import serving, simple

FAST = "hubbub.transports.uvicorn:HubbubProtocol"
CLAIMS = {"sub": "alice", "exp": 4_000_000_000, "iss": "https://issuer.example"}


async def refused(ws: str, token: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as raised:
        await Tab(ws, token=token).connect()
    assert raised.value.response.status_code == 401


def forgeries(issuer: Issuer) -> list[str]:
    """Signed with keys of the attacker's, or with what is public; every address in them leads to the issuer."""
    evil = private_key(2)
    public: dict[str, Any] = jwk("one", issuer.keys["one"])
    headers: list[dict[str, Any]] = [
        {"kid": "one"},
        {"kid": "evil", "jku": f"{issuer.url}?evil"},
        {"kid": "evil", "x5u": f"{issuer.url}?evil"},
        {"kid": "evil", "jwk": jwk("evil", evil)},
        {"kid": "../../dev/null"},
        {"kid": issuer.url},
    ]
    signed = [pyjwt.encode(CLAIMS, evil, algorithm="RS256", headers=header) for header in headers]
    confused = [
        forge({"alg": algorithm, "typ": "JWT", "kid": "one"}, CLAIMS, key)
        for algorithm in ("HS256", "RS256", "none")
        for key in (public["n"].encode(), json.dumps(public).encode(), b"", KEY.encode())
    ]
    return [*signed, *confused]


async def test_no_token_chooses_the_keys_or_makes_the_server_read_them_again(caplog: pytest.LogCaptureFixture) -> None:
    with issuing() as issuer:
        hub = Hub(auth=JWTAuth(jwks_url=issuer.url, issuer="https://issuer.example"))
        async with serving(simple(hub), ws=FAST) as server:
            for token in forgeries(issuer):
                await refused(server.ws, token)
            for number in range(100):
                await refused(server.ws, issuer.token(f"kid {number}", key=private_key(2)))
            async with Tab(server.ws, token=issuer.token(**CLAIMS)) as alice:
                assert alice.welcome["user"] == "alice"
        assert issuer.reads == ["/.well-known/jwks.json"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


DATES = ["1e400", "[1]", "{}", "null", "NaN", "-Infinity", "1" + "0" * 400, '"soon"']


async def test_no_claim_is_an_error_of_the_servers(caplog: pytest.LogCaptureFixture) -> None:
    """Some releases of PyJWT raise for these what is no error of theirs."""
    async with serving(simple(Hub(auth=JWTAuth(KEY))), ws=FAST) as server:
        for end, claim in product(DATES, ("exp", "nbf", "iat")):
            written = json.dumps({**CLAIMS, claim: 0}).replace(f'"{claim}": 0', f'"{claim}": {end}')
            await refused(server.ws, forge({"alg": "HS256", "typ": "JWT"}, written.encode()))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.complains("the keys of .* cannot be read")
async def test_an_issuer_that_is_away_sends_clients_back_and_not_off() -> None:
    with issuing() as issuer:
        issuer.answer = lambda to: None
        async with serving(simple(Hub(auth=JWTAuth(jwks_url=issuer.url))), ws=FAST) as server:
            with pytest.raises(websockets.InvalidStatus) as raised:
                await Tab(server.ws, token=issuer.token()).connect()
            assert raised.value.response.status_code == 503
            assert raised.value.response.headers["Retry-After"]
            tab = await Tab(server.ws).connect()
            await tab.send({"type": "auth", "token": issuer.token()})
            assert await tab.closed() == 1013
