"""`docs/howto/authenticate.md`, on a real server."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from types import ModuleType
from typing import Any

import httpx
import jwt
import pytest
import websockets

from hubbub import Hub, JWTAuth, User
from tests.docs.conftest import SECRET
from tests.docs.pages import examples
from tests.kit.client import Tab
from tests.kit.issuer import certificate, issuing, jwk, private_key, send
from tests.kit.serving import serving, simple

PAGE = "docs/howto/authenticate.md"
Example = Callable[[str, str], ModuleType]


async def status(tab: Tab) -> int:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await tab.connect()
    code: int = refused.value.response.status_code
    return code


def shop(**claims: Any) -> str:
    """A token of the accounts' service; a claim that is None is left out."""
    whole = {"sub": "alice", "exp": 4_000_000_000, "aud": "shop", "iss": "https://accounts.example.com", **claims}
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, SECRET)


def test_no_example_hides_a_module_it_needs() -> None:
    assert not {"jwt.py", "redis.py", "fastapi.py", "hubbub.py"} & set(examples(PAGE))


async def test_without_auth_nobody_gets_in(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(simple(Hub())) as server:
        assert await status(Tab(server.ws)) == 403
    assert "auth=" in caplog.text


async def test_a_token_must_be_what_was_asked_for(example: Example) -> None:
    module = example(PAGE, "tokens.py")
    async with serving(module.app) as server:
        for token in (shop(role="admin"), module.auth.sign("alice", expires_in=3600, role="admin")):
            async with Tab(server.ws, token=token) as alice:
                assert alice.welcome["user"] == "alice"
        for wrong in ({"exp": None}, {"exp": 1}, {"aud": None}, {"aud": "bank"}, {"iss": None}, {"iss": "x"}):
            assert await status(Tab(server.ws, token=shop(**wrong))) == 401
        assert await status(Tab(server.ws, token=jwt.encode({"sub": "alice"}, "x" * 32))) == 401


async def test_a_token_ends_unless_it_is_renewed(example: Example) -> None:
    module = example(PAGE, "tokens.py")
    async with serving(module.app) as server:
        short = module.auth.sign("alice", expires_in=2)
        async with Tab(server.ws, token=short) as alice, Tab(server.ws, token=short) as renewed:
            assert (await renewed.request("auth", token=shop()))["type"] == "ack"
            assert await alice.closed() == 4005
            assert (await renewed.request("ping"))["type"] == "pong"


async def test_the_four_ways_a_token_travels_and_the_first_decides() -> None:
    hub = Hub(auth=JWTAuth(cookie="session"))
    token = JWTAuth().sign("alice")
    async with serving(simple(hub)) as server:
        async with Tab(server.ws, token=token), Tab(server.ws, f"/ws?token={token}"):
            pass
        async with Tab(server.ws, additional_headers={"Cookie": f"session={token}"}, origin=server.url):
            pass
        tab = await Tab(server.ws).connect()
        await tab.send({"type": "auth", "token": token})
        assert (await tab.receive("welcome"))["user"] == "alice"
        await tab.close()
        assert await status(Tab(server.ws, "/ws?token=bad", additional_headers={"Cookie": f"session={token}"})) == 401


async def test_the_recipes_for_issuers(example: Example) -> None:
    """Documents and tokens in the form of each; a token for another application, or of another kind, is refused."""
    recipes = example(PAGE, "issuers.py")
    with issuing() as issuer:
        base, _, _ = issuer.url.partition("/.well-known")

        def answer(to: BaseHTTPRequestHandler) -> None:
            found = {"one": certificate(issuer.keys["one"])} if to.path == "/x509" else documents(issuer.keys)
            send(to, json.dumps(found).encode())

        issuer.answer = answer
        realm, pool, googles = f"{base}/realms/shop", f"{base}/eu-west-1_Ab", "https://accounts.google.com"
        firebase = "https://securetoken.google.com/shop"
        of_keycloak = {"iss": realm, "aud": "account", "typ": "Bearer", "azp": "shop"}
        of_cognito = {"iss": pool, "token_use": "access", "client_id": "shop"}
        cases: list[tuple[JWTAuth, list[dict[str, Any]], dict[str, Any]]] = [
            (recipes.auth0(base, "api"), [{"iss": f"{base}/", "aud": ["api", f"{base}/userinfo"]}], {"aud": "other"}),
            (recipes.keycloak(realm, "shop"), [of_keycloak], {"typ": "ID"}),
            (recipes.cognito(pool, "shop"), [of_cognito], {"client_id": "other"}),
            (
                recipes.google("shop", f"{base}/certs"),
                [{"iss": googles, "aud": "shop"}, {"iss": "accounts.google.com", "aud": "shop"}],
                {"aud": "other"},
            ),
            (recipes.firebase("shop", f"{base}/x509"), [{"iss": firebase, "aud": "shop"}], {"aud": "other"}),
        ]
        async with serving(simple(Hub(auth=[auth for auth, *_ in cases]))) as server:
            for _, good, wrong in cases:
                for claims in good:
                    async with Tab(server.ws, token=issuer.token(**claims)) as alice:
                        assert alice.welcome["user"] == "alice"
                for claims in (wrong, {"iss": "https://evil.example"}, {"exp": 1}):
                    assert await status(Tab(server.ws, token=issuer.token(**{**good[0], **claims}))) == 401
                # One's own key, under the name of theirs.
                forged = issuer.token(key=private_key(2), **good[0])
                assert await status(Tab(server.ws, token=forged)) == 401
        assert len(issuer.reads) == len(cases)


def documents(keys: dict[str, Any]) -> Any:
    """As Auth0, Keycloak, Cognito and Google publish them: each with what the others leave out."""
    encrypts = jwk("enc", private_key(2), use="enc", alg="RSA-OAEP")
    listed = [jwk(kid, key, use="sig", alg="RS256", x5c=["MIIC"], x5t="dGh1bWI") for kid, key in keys.items()]
    return {"keys": [encrypts, *listed]}


async def test_sessions_and_logging_out(example: Example) -> None:
    module = example(PAGE, "sessions.py")
    cookie = {"Cookie": "sid=5f2d6c1e"}
    async with serving(module.app) as server, httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        async with (
            Tab(server.ws, additional_headers=cookie) as one,
            Tab(server.ws, additional_headers=cookie) as two,
        ):
            assert one.welcome["user"] == "alice"
            assert (await http.post("/logout/alice")).status_code == 200
            assert [await tab.closed() for tab in (one, two)] == [4001, 4001]
        assert await status(Tab(server.ws, additional_headers=cookie)) == 401
        assert await status(Tab(server.ws, token="5f2d6c1e")) == 401


async def test_a_password_that_was_changed_logs_out_everywhere_else(example: Example) -> None:
    module = example(PAGE, "logout.py")
    before = module.auth.sign("alice")
    async with serving(module.app) as server, httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        async with Tab(server.ws, token=before) as tab:
            token = (await http.post("/password/alice")).json()
            assert await tab.closed() == 4003
        assert await status(Tab(server.ws, token=before)) == 401
        async with Tab(server.ws, token=token) as again:
            assert again.welcome["user"] == "alice"


async def test_what_is_asked_again(example: Example) -> None:
    module = example(PAGE, "again.py")
    assert [await module.account_is_open(User(name)) for name in ("alice", "mallory")] == [True, False]


async def test_keys_of_ones_own_beside_tokens(example: Example) -> None:
    module = example(PAGE, "keys.py")
    async with serving(module.app) as server:
        async with Tab(server.ws, token="robot-7-key") as robot:
            assert robot.welcome["user"] == "robot-7"
        async with Tab(server.ws, additional_headers={"Cookie": "sid=5f2d6c1e"}) as alice:
            assert alice.welcome["user"] == "alice"
        assert await status(Tab(server.ws, token="5f2d6c1e")) == 401


async def test_an_identity_from_elsewhere(example: Example) -> None:
    module = example(PAGE, "elsewhere.py")
    async with serving(module.app) as server, Tab(server.ws, "/greet/ann") as ann:
        assert ann.welcome["user"] == "ann"
        await ann.send({"type": "anything"})
        assert await ann.receive() == {"type": "greeting", "text": "hello ann"}
