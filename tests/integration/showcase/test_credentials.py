"""Every way to say who one is, and how the wrong ones are answered."""

import json
from typing import Any

import httpx
import pytest

from tests.integration.showcase.people import fresh, http, login, refusal
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.stopwatch import Stopwatch

BAD = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


async def _cookie(server: Served, name: str) -> tuple[httpx.Response, str]:
    async with http(server) as client:
        response = await client.post("/login", json={"name": name})
    return response, response.headers["set-cookie"].partition(";")[0]


def _with(cookie: str) -> dict[str, Any]:
    return {"additional_headers": {"Cookie": cookie}}


async def test_a_token_in_the_query_lets_in(showcase: Served) -> None:
    ann = fresh("ann")
    token = await login(showcase, ann)
    async with Tab(showcase.ws, f"/ws?token={token}") as tab:
        assert tab.welcome["user"] == ann
        assert tab.socket.subprotocol is None


async def test_a_token_as_subprotocol_lets_in_and_is_never_echoed(showcase: Served) -> None:
    ann = fresh("ann")
    token = await login(showcase, ann)
    for offered in (["hubbub.v1", f"hubbub.bearer.{token}"], [f"hubbub.bearer.{token}", "other", "hubbub.v1"]):
        async with Tab(showcase.ws, subprotocols=offered) as tab:
            assert tab.welcome["user"] == ann
            assert tab.socket.subprotocol == "hubbub.v1"
            assert tab.socket.response is not None
            assert token not in str(tab.socket.response.headers)


async def test_a_bearer_without_hubbub_v1_beside_it_is_a_bad_request(showcase: Served) -> None:
    token = await login(showcase, fresh("ann"))
    response = await refusal(f"{showcase.ws}/ws", subprotocols=[f"hubbub.bearer.{token}"])
    assert response.status_code == 400


async def test_hubbub_v1_is_selected_where_it_is_offered_and_nothing_else_ever(showcase: Served) -> None:
    token = await login(showcase, fresh("ann"))
    async with Tab(showcase.ws, f"/ws?token={token}", subprotocols=["chat", "hubbub.v1"]) as tab:
        assert tab.socket.subprotocol == "hubbub.v1"
    async with Tab(showcase.ws, f"/ws?token={token}", subprotocols=["chat", "hubbub.v2"]) as tab:
        assert tab.socket.subprotocol is None


async def test_the_cookie_of_login_is_kept_from_scripts_and_other_sites(showcase: Served) -> None:
    response, cookie = await _cookie(showcase, fresh("ann"))
    assert response.status_code == 200
    assert set(response.json()) == {"token"}
    attributes = [part.strip().lower() for part in response.headers["set-cookie"].split(";")[1:]]
    assert {"httponly", "samesite=lax", "path=/"} <= set(attributes)
    assert "secure" not in attributes
    assert not [each for each in attributes if each.startswith("domain")]
    assert cookie.partition("=")[2] == response.json()["token"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 5}, {"name": "a\nb"}, {"name": "x" * 129}, []], ids=str)
async def test_login_wants_a_name(showcase: Served, body: Any) -> None:
    async with http(showcase) as client:
        response = await client.post("/login", json=body)
    assert response.status_code == 422
    assert "set-cookie" not in response.headers


async def test_login_reads_no_more_than_a_name(showcase: Served) -> None:
    async with http(showcase) as client:
        response = await client.post("/login", json={"name": "x" * 5000})
    assert response.status_code == 413
    assert "4096 bytes" in response.text


async def test_the_cookie_lets_in_without_an_origin_and_from_the_own_one(showcase: Served) -> None:
    ann = fresh("ann")
    _, cookie = await _cookie(showcase, ann)
    async with Tab(showcase.ws, **_with(cookie)) as tab, Tab(showcase.ws, origin=showcase.url, **_with(cookie)) as page:
        assert tab.welcome["user"] == page.welcome["user"] == ann


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", ""])
async def test_the_cookie_and_guests_are_refused_from_another_origin(showcase: Served, origin: str) -> None:
    _, cookie = await _cookie(showcase, fresh("ann"))
    with_cookie = await refusal(f"{showcase.ws}/ws", origin=origin, **_with(cookie))
    guest = await refusal(f"{showcase.ws}/ws/chat/{fresh('guest')}", origin=origin)
    assert (with_cookie.status_code, guest.status_code) == (403, 403)


async def test_a_hostile_origin_is_refused_before_the_cookie_is_looked_at(showcase: Served) -> None:
    response = await refusal(f"{showcase.ws}/ws", origin="https://evil.example", **_with("hubbub=forged"))
    assert response.status_code == 403


async def test_a_token_of_its_own_lets_a_page_in_from_anywhere(showcase: Served) -> None:
    ann = fresh("ann")
    token = await login(showcase, ann)
    async with (
        Tab(showcase.ws, f"/ws?token={token}", origin="https://elsewhere.example") as query,
        Tab(showcase.ws, token=token, origin="https://elsewhere.example") as subprotocol,
        Tab(showcase.ws, user=fresh("guest"), origin=showcase.url) as guest,
    ):
        assert query.welcome["user"] == subprotocol.welcome["user"] == ann
        assert guest.welcome["type"] == "welcome"


async def test_the_first_carrier_present_decides_and_there_is_no_falling_through(showcase: Served) -> None:
    ann, bob, carl = fresh("ann"), fresh("bob"), fresh("carl")
    first, second = await login(showcase, ann), await login(showcase, bob)
    _, cookie = await _cookie(showcase, carl)
    path = f"/ws?token={second}"
    async with (
        Tab(showcase.ws, path, token=first, **_with(cookie)) as tab,
        Tab(showcase.ws, path, **_with(cookie)) as t,
    ):
        assert (tab.welcome["user"], t.welcome["user"]) == (ann, bob)
    bad_first = ["hubbub.v1", f"hubbub.bearer.{BAD}"]
    for url, options in (
        (path, {"subprotocols": bad_first}),
        (path, {"subprotocols": ["hubbub.v1", "hubbub.bearer."]}),
        (f"/ws?token={BAD}", _with(cookie)),
        ("/ws?token=", _with(cookie)),
        (f"/ws?token={first}&token={second}", {}),
        ("/ws", _with("hubbub=")),
    ):
        assert (await refusal(showcase.ws + url, **options)).status_code == 401, url.partition("=")[0]


async def test_a_bad_token_is_401_without_an_origin_and_closed_with_4001_with_one(showcase: Served) -> None:
    for url, options in (
        (f"/ws?token={BAD}", {}),
        ("/ws?token=", {}),
        ("/ws", {"subprotocols": ["hubbub.v1", f"hubbub.bearer.{BAD}"]}),
        ("/ws", _with("hubbub=forged")),
    ):
        response = await refusal(showcase.ws + url, **options)
        assert response.status_code == 401
        assert BAD not in (response.body or b"").decode()
        tab = await Tab(showcase.ws, url, origin=showcase.url, **options).connect()
        try:
            assert await tab.closed() == 4001
            assert tab.log == []
        finally:
            await tab.close()


@pytest.mark.parametrize("bare", [False, True], ids=["auth", "bare token"])
async def test_a_token_as_first_message_lets_in(showcase: Served, bare: bool) -> None:
    ann = fresh("ann")
    token = await login(showcase, ann)
    tab = await Tab(showcase.ws, origin="https://elsewhere.example").connect()
    try:
        await tab.say(json.dumps({"token": token, "id": 7} | ({} if bare else {"type": "auth"})))
        welcome = await tab.receive()
        assert (welcome["type"], welcome["user"], welcome["id"]) == ("welcome", ann, 7)
        assert (await tab.request("ping"))["type"] == "pong"
    finally:
        await tab.close()


async def test_what_follows_the_first_message_at_once_waits_for_welcome(showcase: Served) -> None:
    token = await login(showcase, fresh("ann"))
    tab = await Tab(showcase.ws).connect()
    try:
        await tab.send({"type": "auth", "token": token})
        await tab.send({"type": "ping", "ts": "early"})
        await tab.send({"type": "join_room", "room": fresh("tea")})
        await tab.receive("room_joined")
        # Somebody else's coming or going may be told in between.
        told = [said["type"] for said in tab.log if not said["type"].startswith("user_")]
        assert told == ["welcome", "pong", "room_joined"]
    finally:
        await tab.close()


async def test_who_says_nothing_is_closed_with_4002_after_five_seconds(showcase: Served) -> None:
    tab = await Tab(showcase.ws).connect()
    watch = Stopwatch()
    try:
        assert await tab.closed() == 4002
        assert watch.wall > 4.5
        assert watch.own < 7.5
        assert tab.log == []
    finally:
        await tab.close()


@pytest.mark.parametrize(
    "frame",
    [
        '{"type": "ping"}',
        '{"type": "pong"}',
        '{"type": "join_room", "room": "tea"}',
        '{"type": "chat", "content": "hello"}',
        '{"type": "auth"}',
        '{"type": "auth", "token": 5}',
        '{"type": "auth", "token": ""}',
        f'{{"type": "auth", "token": "{BAD}"}}',
        f'{{"token": "{BAD}"}}',
        '{"token": null}',
        "{}",
        "[]",
        "not JSON",
        "",
        b"binary",
    ],
    ids=str,
)
async def test_any_other_first_frame_is_closed_with_4001_and_nothing_is_answered(
    showcase: Served, frame: str | bytes
) -> None:
    tab = await Tab(showcase.ws).connect()
    try:
        await tab.say(frame)
        assert await tab.closed() == 4001
        assert tab.log == []
    finally:
        await tab.close()


async def test_a_newer_token_of_the_same_user_is_acknowledged_and_anothers_is_not(showcase: Served) -> None:
    ann = fresh("ann")
    token, newer, other = [await login(showcase, name) for name in (ann, ann, fresh("bob"))]
    async with Tab(showcase.ws, token=token) as tab:
        answer = await tab.request("auth", token=newer)
        assert answer == {"type": "ack", "id": answer["id"]}
        for bad in (other, BAD, ""):
            answer = await tab.request("auth", token=bad)
            assert (answer["type"], answer["code"]) == ("error", "unauthorized")
            assert BAD not in json.dumps(answer)
        answer = await tab.request("auth")
        assert (answer["code"], answer["field"]) == ("invalid_message", "token")
        assert (await tab.request("ping"))["type"] == "pong"


async def test_no_token_reaches_the_log(showcase: Served) -> None:
    token = await login(showcase, fresh("ann"))
    async with Tab(showcase.ws, f"/ws?token={token}"), Tab(showcase.ws, token=token):
        pass
    await refusal(f"{showcase.ws}/ws?token={BAD}")
    assert token not in showcase.output
    assert BAD not in showcase.output
    assert "/ws?token=REDACTED" in showcase.output
