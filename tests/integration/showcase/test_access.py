"""What development allows, to whom, and what is refused outside it."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect

from hubbub import JWTAuth
from tests.integration.showcase.people import fresh, http, refusal
from tests.kit.client import Tab
from tests.kit.running import Served

SECRET = "a secret of thirty-two bytes or more"
KEY = "the key for publishing"


def _port(server: Served) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil", "x"]
)
async def test_in_development_a_foreign_host_is_refused(showcase: Served, host: str) -> None:
    name = host.format(port=_port(showcase))
    async with http(showcase, headers={"Host": name}) as client:
        for path in ("/", "/stats", "/health/live"):
            response = await client.get(path)
            assert response.status_code == 400
        assert (await client.post("/login", json={"name": "ann"})).status_code == 400
    for path in ("/ws", f"/ws/chat/{fresh('ann')}", "/ws/echo"):
        url = f"ws://{name}{path}"
        response = await refusal(url, host="127.0.0.1", port=_port(showcase), proxy=None)
        assert response.status_code == 400


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_in_development_loopback_names_pass(showcase: Served, host: str) -> None:
    for name in (host, f"{host}:{_port(showcase)}"):
        async with http(showcase, headers={"Host": name}) as client:
            assert (await client.get("/stats")).status_code == 200
        ann = fresh("ann")
        url = f"ws://{name}/ws/chat/{ann}"
        async with connect(url, host="127.0.0.1", port=_port(showcase), proxy=None, origin=f"http://{name}") as socket:
            assert json.loads(await socket.recv())["user"] == ann


@pytest.fixture(scope="module")
def production() -> Iterator[Served]:
    with Served(env={"HUBBUB_SECRET": SECRET}) as server:
        yield server


@pytest.fixture(scope="module")
def with_key() -> Iterator[Served]:
    with Served(env={"HUBBUB_SECRET": SECRET, "HUBBUB_PUBLISH_KEY": KEY}) as server:
        yield server


async def test_outside_development_login_is_refused_with_a_sentence(production: Served) -> None:
    async with http(production) as client:
        response = await client.post("/login", json={"name": "ann"})
    assert response.status_code == 403
    assert "--dev" in response.json()["detail"]
    assert "set-cookie" not in response.headers


async def test_outside_development_guests_are_refused_with_a_sentence(production: Served) -> None:
    response = await refusal(f"{production.ws}/ws/chat/ann")
    assert response.status_code == 403
    assert "--dev" in (response.body or b"").decode()
    token = JWTAuth(SECRET).sign("ann")
    assert (await refusal(f"{production.ws}/ws/chat/ann?token={token}")).status_code == 403


async def test_outside_development_a_signed_token_lets_in(production: Served) -> None:
    async with Tab(production.ws, token=JWTAuth(SECRET).sign("ann")) as tab:
        assert tab.welcome["user"] == "ann"
        await tab.join("tea")


async def test_outside_development_any_host_passes(production: Served) -> None:
    async with http(production, headers={"Host": "chat.example"}) as client:
        assert (await client.get("/health/live")).status_code == 200


PATHS = ["/api/rooms/tea/messages", "/api/users/ann/messages", "/api/broadcast"]


@pytest.mark.parametrize("path", PATHS)
async def test_outside_development_publishing_is_off_where_no_key_is_configured(production: Served, path: str) -> None:
    async with http(production) as client:
        for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x"}):
            response = await client.post(path, json={"type": "note"}, headers=headers)
            assert response.status_code == 403
            assert "HUBBUB_PUBLISH_KEY" in response.json()["detail"]


@pytest.mark.parametrize("path", PATHS)
async def test_outside_development_publishing_needs_the_key(with_key: Served, path: str) -> None:
    ann = fresh("ann")
    async with Tab(with_key.ws, token=JWTAuth(SECRET).sign("ann")) as tab, http(with_key) as client:
        await tab.join("tea")
        token = JWTAuth(SECRET).sign(ann)
        for shown in (None, "Bearer", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {token}", "Bearer sch\xfctzen"):
            headers = {} if shown is None else {"Authorization": shown.encode("latin-1")}
            response = await client.post(path, json={"type": "note"}, headers=headers)
            assert response.status_code == 401, shown
            assert response.headers["www-authenticate"] == "Bearer"
            assert KEY not in response.text
        response = await client.post(path, json={"type": "note", "n": 1}, headers={"Authorization": f"Bearer {KEY}"})
        assert response.status_code == 200
        assert (response.json()["position"] is None) is (path == "/api/broadcast")
        assert (await tab.receive("note"))["n"] == 1
        assert len(tab.received("note")) == 1
