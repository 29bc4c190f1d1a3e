"""The admin page's API, on three real workers that meet on a Valkey, and who is let in to it.

Longer than others, because all of it is asked of the same three workers, which take seconds to start.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hubbub import JWTAuth
from tests.kit.running import Served
from tests.kit.waiting import tries, until

KEY = "k" * 40
SECRET = "s" * 32

APP = """
from fastapi import Depends, FastAPI, Header, HTTPException
from hubbub import Connection, History, Hub, JWTAuth
from hubbub.integrations.admin import admin
from hubbub.integrations.operations import operations

hub = Hub(auth=JWTAuth(), audit=True)
app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())
app.include_router(admin(), prefix="/admin")


def operator(x_operator: str = Header("")) -> None:
    if x_operator != "yes":
        raise HTTPException(403, "no operator")


app.include_router(admin(dependencies=[Depends(operator)]), prefix="/own")


@hub.rooms("kept:{name}", history=History(size=100, ttl=60), presence=True)
async def kept(name: str) -> bool:
    return True


@hub.rooms("plain:{name}")
async def plain(name: str) -> bool:
    return True
"""

GETS = ["overview", "samples", "rooms", "rooms/kept:a", "users/ann", "connections"]
POSTS = ["publish", "users/ann/disconnect", "connections/x/disconnect"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    here = tmp_path_factory.mktemp("admin")
    (here / "main.py").write_text(APP)
    env: dict[str, str | None] = {"HUBBUB_SECRET": SECRET, "HUBBUB_ADMIN_KEY": KEY}
    with Served("main:app", "--workers", "3", cwd=here, env=env, ready="/health/ready") as server:
        with httpx.Client(base_url=server.url, trust_env=False) as http:
            for _ in tries("all three report"):
                if len(http.get("/stats").json()["workers"]) == 3:
                    break
        yield server


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    """An operator, by the key."""
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=f"{server.url}/admin/", headers=headers, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
async def api(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    """The same, for who awaits."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(
        base_url=f"{server.url}/admin/", headers=headers, trust_env=False, timeout=30
    ) as client:
        yield client


async def come(server: Served, user: str, *rooms: str) -> Any:
    socket = await connect(
        f"{server.ws}/ws",
        subprotocols=["hubbub.v1", f"hubbub.bearer.{JWTAuth(SECRET).sign(user)}"],  # type: ignore[list-item]
    )
    welcome = json.loads(await socket.recv())
    for room in rooms:
        await socket.send(json.dumps({"type": "join_room", "room": room, "id": 1}))
        while json.loads(await socket.recv())["type"] != "room_joined":
            pass
    return socket, welcome


async def heard(socket: Any, type: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 30))
        if message["type"] == type:
            return message


async def test_whoever_is_on_whichever_worker_is_found_and_can_be_sent_away(
    server: Served, api: httpx.AsyncClient
) -> None:
    tabs = [await come(server, user, "kept:a", "plain:a") for user in ("ann", "ann", "bob", "cid", "dan", "eve")]
    try:
        nodes = {welcome["node"] for _, welcome in tabs}
        assert (
            await api.post("api/publish", json={"room": "kept:a", "message": {"type": "said", "text": "<b>"}})
        ).json() == {"position": {"epoch": (await api.get("api/rooms/kept:a")).json()["history"]["epoch"], "offset": 1}}
        for socket, _ in tabs:
            assert (await heard(socket, "said"))["text"] == "<b>"
        rooms = (await api.get("api/rooms", params={"prefix": "kept:"})).json()
        assert rooms["rooms"] == [{"room": "kept:a", "connections": 6}]
        room = (await api.get("api/rooms/kept:a")).json()
        assert (room["connections"], room["members"], room["presence"]) == (
            6,
            ["ann", "bob", "cid", "dan", "eve"],
            True,
        )
        assert [each["message"]["text"] for each in room["history"]["messages"]] == ["<b>"]
        plain = (await api.get("api/rooms/plain:a")).json()
        assert (plain["members"], plain["history"], plain["presence"]) == (room["members"], None, False)

        ann = (await api.get("api/users/ann")).json()
        assert ann["online"] is True
        assert {each["connection"] for each in ann["connections"]} == {
            tabs[0][1]["connection"],
            tabs[1][1]["connection"],
        }
        assert {each["node"] for each in ann["connections"]} <= nodes
        assert all(each["rooms"] == ["kept:a", "plain:a"] for each in ann["connections"])
        assert all(each["address"] == "127.0.0.1" for each in ann["connections"])

        one = tabs[0][1]["connection"]
        gone = (await api.post(f"api/connections/{one}/disconnect", json={"reason": "enough"})).json()
        assert gone == {"connections": 1, "silent": [], "failed": []}
        with pytest.raises(ConnectionClosed):
            await heard(tabs[0][0], "never")
        assert (tabs[0][0].protocol.close_code, tabs[0][0].protocol.close_reason) == (4003, "enough")
        assert (await api.post("api/users/eve/disconnect", json={})).json() == {"connections": 1}
        with pytest.raises(ConnectionClosed):
            await heard(tabs[5][0], "never")
        assert 'cause="disconnected eve"' in server.output
    finally:
        for socket, _ in tabs:
            await socket.close()


async def test_the_overview_is_of_all_workers_and_a_stopped_one_is_called_silent(
    server: Served, api: httpx.AsyncClient
) -> None:
    said = (await api.get("api/overview")).json()
    assert [worker["state"] for worker in said["workers"]] == ["answers"] * 3
    assert len({worker["pid"] for worker in said["workers"]}) == 3
    # Not the one that is asked: it would answer nothing until its lease is over, and then it is none of the workers.
    stopped = next(worker["pid"] for worker in said["workers"] if worker["node"] != said["node"])

    async def seen(*states: str) -> list[dict[str, Any]]:
        """The workers, once their states are these."""

        async def look() -> list[dict[str, Any]] | None:
            workers: list[dict[str, Any]] = (await api.get("api/overview")).json()["workers"]
            return workers if {each["state"] for each in workers} == set(states) else None

        found = await until(look, f"the states are {states}")
        assert found is not None
        return found

    os.kill(stopped, signal.SIGSTOP)
    try:
        [silent] = [each for each in await seen("answers", "silent") if each["state"] == "silent"]
        assert silent["reason"] == "it said nothing within a second"
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert len(await seen("answers")) == 3


async def test_it_comes_live_to_who_is_let_in(server: Served) -> None:
    url = f"{server.ws}/admin/api/live"
    async with connect(url) as socket:
        await socket.send(json.dumps({"type": "auth", "key": KEY}))
        assert (await heard(socket, "overview"))["workers"]
        await heard(socket, "overview")
    long = json.dumps({"type": "auth", "key": KEY, "more": "x" * 5_000})
    words = ['{"type": "auth", "key": "wrong"}', '{"type": "hello"}', "no JSON", '{"type": "auth", "key": 7}']
    for word in (*words, "[" * 3_000, '"auth"', json.dumps({"type": "auth", "key": KEY}).encode(), long):
        async with connect(url) as socket:
            await socket.send(word)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.protocol.close_code == 4001


async def test_a_page_of_another_site_is_let_in_nowhere(server: Served) -> None:
    async with httpx.AsyncClient(base_url=f"{server.url}/admin/", trust_env=False, timeout=30) as browser:
        elsewhere = {"Origin": "https://evil.example"}
        assert (await browser.post("login", json={"key": KEY}, headers=elsewhere)).status_code == 403
        assert (await browser.post("login", json={"key": KEY})).status_code == 204
        cookie = browser.cookies["hubbub_admin"]
        assert (await browser.get("api/overview")).status_code == 200
        for path in POSTS:
            assert (await browser.post(f"api/{path}", json={}, headers=elsewhere)).status_code == 403
        assert (await browser.get("session")).json()["in"] is True
        headers = {"Cookie": f"hubbub_admin={cookie}"}
        with pytest.raises(Exception, match="403"):
            await connect(f"{server.ws}/admin/api/live", origin="https://evil.example", additional_headers=headers)  # type: ignore[arg-type]
        async with connect(f"{server.ws}/admin/api/live", additional_headers=headers) as socket:
            await heard(socket, "overview")
        await browser.post("logout")
        assert (await browser.get("api/overview")).status_code == 401


def test_without_a_credential_nothing_is_told(server: Served) -> None:
    with httpx.Client(base_url=f"{server.url}/admin/", trust_env=False, timeout=30) as stranger:
        page = stranger.get("")
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert stranger.get("session").json() == {"login": True, "in": False}
        for path in GETS:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {KEY}"}):
                answer = stranger.get(f"api/{path}", headers=headers)
                assert (answer.status_code, set(answer.json())) == (401, {"detail"})
        for path in POSTS:
            assert stranger.post(f"api/{path}", content=b"{").status_code == 401
        for cookie in ("", "9999999999.", "9999999999." + "0" * 64, "x", f"{KEY}", "inf." + "0" * 64):
            assert stranger.get("api/rooms", headers={"Cookie": f"hubbub_admin={cookie}"}).status_code == 401
        assert stranger.get("static/..%2frouter.py").status_code == 404
        assert (
            stranger.get("static/admin.js")
            .headers["Content-Type"]
            .startswith(("text/javascript", "application/javascript"))
        )
    assert KEY not in server.output


def test_the_application_may_let_in_its_own_operators(server: Served) -> None:
    with httpx.Client(base_url=f"{server.url}/own/", trust_env=False, timeout=30) as client:
        assert client.get("session").json()["login"] is False
        assert client.get("api/overview").status_code == 403
        assert client.get("api/overview", headers={"Authorization": f"Bearer {KEY}"}).status_code == 403
        assert client.get("api/overview", headers={"X-Operator": "yes"}).status_code == 200
        assert client.post("login", json={"key": KEY}).status_code == 401


async def test_its_live_socket_is_theirs_too(server: Served) -> None:
    with pytest.raises(Exception, match="403"):
        await connect(f"{server.ws}/own/api/live")
    async with connect(f"{server.ws}/own/api/live", additional_headers={"X-Operator": "yes"}) as socket:
        await heard(socket, "overview")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("publish", {}, "message"),
        ("publish", {"message": {"type": "x"}}, "room"),
        ("publish", {"message": {"type": "x"}, "room": "a", "user": "b"}, "room"),
        ("publish", {"message": {"type": "x"}, "room": 7}, "room"),
        ("publish", {"message": {"type": "x"}, "everyone": False}, "everyone"),
        ("publish", {"message": {"text": "no type"}, "room": "kept:a"}, "type"),
        ("users/ann/disconnect", {"reason": 7}, "reason"),
    ],
)
def test_what_cannot_be_done_names_its_field(http: httpx.Client, path: str, body: Any, field: str) -> None:
    answer = http.post(f"api/{path}", json=body)
    assert answer.status_code == 422
    assert field in json.dumps(answer.json()["detail"])


def test_limits_are_named(http: httpx.Client) -> None:
    for path, field in (("rooms?limit=0", "limit"), ("rooms?order=age", "order"), ("rooms?limit=501", "limit")):
        answer = http.get(f"api/{path}")
        assert answer.status_code == 422
        assert field in json.dumps(answer.json()["detail"])
    assert http.post("api/publish", content=b"x" * 10, headers={"Content-Type": "text/plain"}).status_code == 422


def test_a_room_is_found_page_by_page(http: httpx.Client) -> None:
    assert http.get("api/rooms", params={"prefix": "none:"}).json()["rooms"] == []


async def test_pages_follow_each_other_and_the_largest_come_first(server: Served, api: httpx.AsyncClient) -> None:
    rooms = [f"plain:{number}" for number in range(7)]
    first, _ = await come(server, "zoe", *rooms)
    second, _ = await come(server, "yan", *rooms[3:5])
    try:
        found: list[str] = []
        after: str | None = None
        while True:
            page = (
                await api.get(
                    "api/rooms", params={"limit": 3, "prefix": "plain:", **({"after": after} if after else {})}
                )
            ).json()
            found += [each["room"] for each in page["rooms"]]
            after = page["after"]
            if after is None:
                break
        assert found == rooms
        largest = (await api.get("api/rooms", params={"limit": 2, "prefix": "plain:", "order": "size"})).json()
        assert {each["room"] for each in largest["rooms"]} == set(rooms[3:5])
        assert (largest["more"], largest["after"]) == (True, None)
    finally:
        await first.close()
        await second.close()


@pytest.mark.parametrize("key", [None, "", "short"])
def test_there_is_no_page_without_a_credential(
    tmp_path: Path, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hubbub.errors import ConfigurationError
    from hubbub.integrations.admin import admin

    monkeypatch.delenv("HUBBUB_ADMIN_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="admin"):
        admin(key=key)


async def test_a_list_says_that_there_are_more(server: Served, api: httpx.AsyncClient) -> None:
    tabs = [await come(server, "many") for _ in range(3)]
    try:
        for limit, more in ((2, True), (3, False)):
            said = (await api.get("api/users/many", params={"limit": limit})).json()
            assert (len(said["connections"]), said["more"]) == (limit, more)
    finally:
        for socket, _ in tabs:
            await socket.close()
