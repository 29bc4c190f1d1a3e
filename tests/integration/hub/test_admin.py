"""The admin page where something is odd: a proxy before it, a stranger at its socket, a hub that has stopped."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hubbub import Hub
from hubbub.errors import Unavailable
from hubbub.hub.operators import EVERY
from hubbub.integrations.admin import admin, live
from hubbub.integrations.operations import operations
from tests.kit.inside import inside
from tests.kit.serving import Address, Names, serving
from tests.kit.waiting import SOON, until

KEY = "k" * 40
OPERATOR = {"Authorization": f"Bearer {KEY}"}


def made() -> tuple[Hub, FastAPI]:
    hub, app = Hub("memory", auth=Names()), FastAPI()
    app.include_router(hub.router)
    app.include_router(operations())
    app.include_router(admin(key=KEY), prefix="/admin")

    @hub.rooms("counted", presence=True)
    async def counted() -> bool:
        return True

    return hub, app


@pytest.fixture
async def server() -> AsyncIterator[Address]:
    async with serving(made()[1]) as server:
        yield server


def browser(server: Address, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30, **options)


async def test_a_file_that_is_none_is_not_found_however_long_its_name(server: Address) -> None:
    async with browser(server) as stranger:
        for name in ("index.html", "a" * 300, "a" * 5000, "a%00b", "%2e%2e%2frouter.py"):
            assert (await stranger.get(f"/admin/static/{name}")).status_code == 404


@pytest.mark.parametrize("word", ["[" * 100_000, b'{"type": "auth"}', "null", '{"type": "auth"}'])
async def test_what_a_stranger_says_on_the_live_socket_ends_it_in_words(server: Address, word: str | bytes) -> None:
    async with connect(f"{server.ws}/admin/api/live") as socket:
        await socket.send(word)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.protocol.close_code == 4001


async def test_a_session_is_one_whatever_a_proxy_puts_into_the_header(server: Address) -> None:
    async with browser(server) as operator:
        assert (await operator.post("/admin/login", json={"key": KEY})).status_code == 204
        for header in ("Basic YWRtaW46c2VjcmV0", "Bearer of-the-proxy"):
            answer = await operator.get("/admin/api/overview", headers={"Authorization": header})
            assert answer.status_code == 200
            elsewhere = {"Authorization": header, "Origin": "https://evil.example"}
            answer = await operator.post("/admin/api/publish", json={}, headers=elsewhere)
            assert answer.status_code in (401, 403)


async def test_a_session_is_for_where_the_browser_has_the_page() -> None:
    """Behind a proxy that cuts `/inner` off the browser alone knows that: of a path of ours it would know nothing."""
    async with serving(made()[1], root_path="/inner") as server, browser(server) as operator:
        answer = await operator.post("/admin/login", json={"key": KEY})
        words = answer.headers["set-cookie"].lower()
        assert "path=" not in words
        assert "httponly" in words
        assert [cookie.path for cookie in operator.cookies.jar] == ["/admin"]
        assert (await operator.get("/admin/api/overview")).status_code == 200
        await operator.post("/admin/logout")
        assert (await operator.get("/admin/api/overview")).status_code == 401


async def test_of_a_hub_that_does_not_run_it_is_said_in_words() -> None:
    hub, app = made()
    async with serving(app) as server, browser(server, headers=OPERATOR) as operator:
        await hub.stop()
        answers = [
            await operator.get("/stats"),
            *[await operator.get(f"/admin/api/{path}") for path in ("overview", "samples", "rooms", "connections")],
            *[await operator.get(f"/admin/api/{path}") for path in ("rooms/a", "users/ann")],
            await operator.post("/admin/login", json={"key": KEY}),
            await operator.post("/admin/api/publish", json={"message": {"type": "x"}, "room": "counted"}),
        ]
        for answer in answers:
            assert answer.status_code == 503
            assert "not running" in answer.json()["detail"]
        assert (await operator.get("/admin/")).status_code == 200
        assert (await operator.get("/admin/session")).json() == {"login": True, "in": False}
        with pytest.raises(InvalidStatus, match="503"):
            await connect(f"{server.ws}/admin/api/live")
        await hub.start()


async def test_an_empty_room_has_presence_where_it_was_declared(server: Address) -> None:
    async with browser(server, headers=OPERATOR) as operator:
        said = (await operator.get("/admin/api/rooms/counted")).json()
        assert (said["members"], said["presence"]) == ([], True)


async def test_in_a_mounted_application_who_looks_has_samples_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody runs the lifespan of the page's router there."""
    hub, outer = Hub("memory", auth=Names()), FastAPI()
    outer.include_router(hub.router)
    inner = FastAPI()
    inner.include_router(admin(key=KEY, hub=hub))
    outer.mount("/inner", inner)
    monkeypatch.setattr("hubbub.hub.operators.EVERY", 0.01)
    async with serving(outer) as server, browser(server, headers=OPERATOR) as operator:

        async def sampled() -> bool:
            await operator.get("/inner/api/overview")
            [worker] = (await operator.get("/inner/api/samples")).json()["workers"]
            return bool(worker["samples"])

        await until(sampled, "there are samples")
        said = (await operator.get("/inner/api/overview")).json()
        assert said["workers"][0]["rates"] is not None
    assert EVERY == 5.0


@pytest.mark.complains("ValueError: not foreseen", "Exception in ASGI application")
async def test_who_watches_when_the_unforeseen_happens_is_closed_and_not_left(
    server: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any) -> dict[str, Any]:
        raise ValueError("not foreseen")

    monkeypatch.setattr(live, "overview", failing)
    async with connect(f"{server.ws}/admin/api/live") as socket:
        await socket.send(json.dumps({"type": "auth", "key": KEY}))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), SOON)


async def test_while_nobody_can_be_asked_it_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, app = made()
    async with serving(app) as server:
        monkeypatch.setattr(live, "EVERY", 0.01)
        async with connect(f"{server.ws}/admin/api/live") as socket:
            await socket.send(json.dumps({"type": "auth", "key": KEY}))
            assert json.loads(await socket.recv())["type"] == "overview"

            async def away(*_: Any, **__: Any) -> Any:
                raise Unavailable

            with monkeypatch.context() as context:
                context.setattr(inside(hub).questions, "ask", away)
                while (said := json.loads(await socket.recv()))["type"] == "overview":
                    pass
                assert said["detail"]
            while json.loads(await socket.recv())["type"] != "overview":
                pass
