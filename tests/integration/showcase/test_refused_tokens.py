"""Tokens that prove nobody, on an application that names its audience."""

import asyncio
import time
from typing import Any

import jwt
import pytest

from hubbub import JWTAuth
from tests.integration.showcase.conftest import AUDIENCE, SECRET
from tests.integration.showcase.people import fresh, refusal
from tests.kit.client import Tab
from tests.kit.running import Served

NOW = int(time.time())
GOOD: dict[str, Any] = {"sub": "ann", "aud": AUDIENCE, "exp": NOW + 3600}


def _signed(claims: dict[str, Any], key: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm=algorithm)


def _without(claim: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != claim}


def _tampered() -> str:
    head, _, signature = _signed(GOOD).split(".")
    return ".".join([head, _signed(GOOD | {"sub": "admin"}).split(".")[1], signature])


REFUSED = {
    "expired": _signed(GOOD | {"exp": NOW - 1}),
    "forged": _signed(GOOD, key="another secret of thirty-two bytes or more"),
    "tampered with": _tampered(),
    "unsigned": jwt.encode(GOOD, None, algorithm="none"),
    "another algorithm": _signed(GOOD, key=SECRET * 2, algorithm="HS512"),
    "without exp": _signed(_without("exp")),
    "wrong audience": _signed(GOOD | {"aud": "another"}),
    "without audience": _signed(_without("aud")),
    "without a user": _signed(_without("sub")),
    "not valid yet": _signed(GOOD | {"nbf": NOW + 3600}),
    "no token at all": "nonsense",
}


async def test_the_token_they_all_differ_from_is_good(shop: Served) -> None:
    async with Tab(shop.ws, token=_signed(GOOD)) as tab:
        assert tab.welcome["user"] == "ann"


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED.keys())
async def test_it_is_401_without_an_origin(shop: Served, token: str) -> None:
    answers = await asyncio.gather(
        refusal(f"{shop.ws}/ws?token={token}"),
        refusal(f"{shop.ws}/ws", subprotocols=["hubbub.v1", f"hubbub.bearer.{token}"]),
        refusal(f"{shop.ws}/ws", additional_headers={"Cookie": f"session={token}"}),
    )
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert all(token not in (answer.body or b"").decode() for answer in answers)


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED.keys())
async def test_it_is_accepted_and_closed_with_4001_where_there_is_an_origin(shop: Served, token: str) -> None:
    async def code(path: str, **options: Any) -> int:
        tab = await Tab(shop.ws, path, origin=shop.url, **options).connect()
        try:
            closed = await tab.closed()
            assert tab.log == []
            return closed
        finally:
            await tab.close()

    codes = await asyncio.gather(
        code(f"/ws?token={token}"),
        code("/ws", subprotocols=["hubbub.v1", f"hubbub.bearer.{token}"]),
        code("/ws", additional_headers={"Cookie": f"session={token}"}),
    )
    assert codes == [4001, 4001, 4001]


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED.keys())
async def test_it_is_closed_with_4001_as_first_message(shop: Served, token: str) -> None:
    tab = await Tab(shop.ws).connect()
    try:
        await tab.send({"type": "auth", "token": token})
        assert await tab.closed() == 4001
        assert tab.log == []
    finally:
        await tab.close()


async def test_a_token_that_expires_on_the_living_connection_closes_it_with_4005_unless_renewed(shop: Served) -> None:
    auth = JWTAuth(SECRET, audience=AUDIENCE)
    ann, bob = fresh("ann"), fresh("bob")
    # `exp` is in whole seconds, rounded up.
    short, shorter = auth.sign(ann, expires_in=1), auth.sign(bob, expires_in=1)
    async with Tab(shop.ws, token=short) as renewed, Tab(shop.ws, token=shorter) as forgotten:
        assert (await renewed.request("auth", token=auth.sign(ann)))["type"] == "ack"
        assert await forgotten.closed() == 4005
        assert (await renewed.request("ping"))["type"] == "pong"
