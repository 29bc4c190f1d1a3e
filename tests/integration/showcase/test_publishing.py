"""From outside: any program publishes by HTTP, and a service of the application's own."""

import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.integration.showcase.people import fresh, http, login
from tests.kit.client import Tab
from tests.kit.running import Served

NO_POSITION = {"position": None}


async def test_what_is_posted_to_a_user_reaches_all_tabs_of_the_user_alone(showcase: Served) -> None:
    ann = fresh("ann")
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(Tab(showcase.ws, user=ann)) for _ in range(4)]
        stranger = await stack.enter_async_context(Tab(showcase.ws, user=fresh("bob")))
        client = await stack.enter_async_context(http(showcase))
        response = await client.post(f"/api/users/{ann}/messages", json={"type": "order_shipped", "order": 7})
        assert (response.status_code, response.json()["position"]["offset"]) == (200, 1)
        for tab in tabs:
            expected = {"type": "order_shipped", "order": 7, "room": "@me", "offset": 1}
            assert await tab.receive("order_shipped") == expected
        await stranger.nothing("order_shipped")


async def test_what_is_posted_to_a_room_reaches_its_members_with_the_room(showcase: Served) -> None:
    room = f"team:7/{fresh('Küche')}"
    async with Tab(showcase.ws, user=fresh("ann")) as ann, Tab(showcase.ws, user=fresh("bob")) as bob:
        epoch = (await ann.join(room))["epoch"]
        async with http(showcase) as client:
            for offset, body in enumerate(({"type": "note", "n": 1}, {"type": "note", "n": 1, "room": room}), 1):
                response = await client.post(f"/api/rooms/{room}/messages", json=body)
                position = {"position": {"epoch": epoch, "offset": offset}}
                assert (response.status_code, response.json()) == (200, position)
                assert await ann.receive("note") == {"type": "note", "n": 1, "room": room, "offset": offset}
        await bob.nothing("note")


async def test_what_is_posted_as_broadcast_reaches_everyone_as_it_was_given(showcase: Served) -> None:
    body = {
        "type": "news",
        "id": "mine",
        "room": "none of yours",
        "text": fresh("grüße 👋"),
        "deep": {"a": [1.5, None]},
    }
    async with Tab(showcase.ws, user=fresh("ann")) as ann, Tab(showcase.ws, user=fresh("bob")) as bob:
        async with http(showcase) as client:
            response = await client.post("/api/broadcast", json=body)
        assert (response.status_code, response.json()) == (200, NO_POSITION)
        assert await ann.receive("news") == await bob.receive("news") == body


async def test_a_message_to_an_empty_room_or_an_absent_user_is_no_error(showcase: Served) -> None:
    async with http(showcase) as client:
        for path in (f"/api/rooms/{fresh('empty')}/messages", f"/api/users/{fresh('nobody')}/messages"):
            response = await client.post(path, json={"type": "note"})
            assert (response.status_code, response.json()["position"]["offset"]) == (200, 1)


async def test_what_is_posted_to_a_user_who_is_away_is_found_in_the_inbox(showcase: Served) -> None:
    ann = fresh("ann")
    async with http(showcase) as client:
        async with Tab(showcase.ws, user=ann) as tab:
            joined = await tab.join("@me", since={"offset": 0})
            assert (joined["offset"], joined["recovered"]) == (0, True)
        for order in (7, 8):
            response = await client.post(f"/api/users/{ann}/messages", json={"type": "order_shipped", "order": order})
        last = response.json()["position"]
        assert last == {"epoch": joined["epoch"], "offset": 2}
        async with Tab(showcase.ws, user=ann) as tab:
            found = await tab.join("@me", since={"epoch": joined["epoch"], "offset": 0})
            assert (found["offset"], found["recovered"]) == (2, True)
            assert [(await tab.receive())["order"], (await tab.receive())["order"]] == [7, 8]
        async with Tab(showcase.ws, user=ann) as tab:
            await tab.join("@me", since=last)
            await tab.nothing("order_shipped")
        async with Tab(showcase.ws, user=fresh("bob")) as stranger:
            await stranger.join("@me", since={"offset": 0})
            await stranger.nothing("order_shipped")


async def test_the_same_idempotency_key_is_delivered_once_where_there_is_history(showcase: Served) -> None:
    ann, room = fresh("ann"), fresh("tea")
    async with Tab(showcase.ws, user=ann) as tab, http(showcase) as one, http(showcase) as other:
        await tab.join(room)
        for path, into in ((f"/api/rooms/{room}/messages", room), (f"/api/users/{ann}/messages", "@me")):
            key = {"Idempotency-Key": "order 7/~"}
            first = await one.post(path, json={"type": "note", "n": 1}, headers=key)
            # Whoever asks again may reach another worker, and may have made another body of it.
            again = await other.post(path, json={"type": "note", "n": 2}, headers=key)
            assert (first.status_code, again.status_code) == (200, 200)
            assert first.json() == again.json()
            third = await other.post(path, json={"type": "note", "n": 3}, headers={"Idempotency-Key": "order 8"})
            assert third.json()["position"]["offset"] == first.json()["position"]["offset"] + 1
            assert [(await tab.receive("note", room=into))["n"] for _ in range(2)] == [1, 3]
        await tab.nothing("note")
        # Of what is kept nowhere, nothing is known by a key.
        for n in (1, 2):
            response = await one.post("/api/broadcast", json={"type": "news", "n": n}, headers=key)
            assert (response.status_code, response.json()) == (200, NO_POSITION)
            await tab.receive("news", n=n)


@pytest.mark.parametrize("key", [b"", b"k" * 129, b"a\tb", "schl\xfcssel".encode("latin-1")])
async def test_an_idempotency_key_that_cannot_be_is_422_and_nothing_is_sent(showcase: Served, key: bytes) -> None:
    async with Tab(showcase.ws, user=fresh("ann")) as tab, http(showcase) as client:
        room = fresh("tea")
        await tab.join(room)
        for path in (f"/api/rooms/{room}/messages", f"/api/users/{tab.welcome['user']}/messages", "/api/broadcast"):
            response = await client.post(path, json={"type": "refused"}, headers={"Idempotency-Key": key})
            assert response.status_code == 422, path
            assert response.json()["detail"][0]["loc"] == ["header", "idempotency-key"]
        await tab.nothing("refused")


PATHS = {"room": "/api/rooms/tea/messages", "user": "/api/users/ann/messages", "everyone": "/api/broadcast"}

#: What is wrong, and a word of the sentence that says so.
BODIES = {
    "not JSON": (b"hello", ""),
    "nothing": (b"", ""),
    "an array": (b'[{"type": "note"}]', "object"),
    "a string": (b'"note"', "object"),
    "null": (b"null", "object"),
    "no type": (b"{}", "type"),
    "a type that is a number": (b'{"type": 5}', "type"),
    "a type that is null": (b'{"type": null}', "type"),
    "a reserved type": (b'{"type": "room_joined"}', "room_joined"),
    "the reserved type ping": (b'{"type": "ping", "ts": 1}', "ping"),
    "NaN": (b'{"type": "note", "x": NaN}', "NaN"),
    "infinity": (b'{"type": "note", "x": [-Infinity]}', "Infinity"),
    "only NaN": (b"NaN", ""),
    "an array of NaN": (b"[NaN]", ""),
    "a lone surrogate": (b'{"type": "note", "x": "\\ud800"}', "JSON"),
    "an array of a lone surrogate": (b'["\\ud800"]', ""),
    "not UTF-8": (b'{"type": "note", "x": "\xff"}', ""),
    "nested without end": (b'{"type": "note", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
    "too large": (json.dumps({"type": "note", "x": "x" * 600_000}).encode(), "bytes"),
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize(("body", "word"), BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_cannot_be_sent_is_refused_and_says_what_is_wrong(
    showcase: Served, path: str, body: bytes, word: str
) -> None:
    async with http(showcase) as client:
        response = await client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == (413 if word == "bytes" else 422), response.text
        detail = response.json()["detail"]
        assert detail[0]["loc"][0] == "body"
        assert word in detail[0]["msg"]
        assert detail[0]["msg"]


async def test_a_room_or_offset_of_its_own_is_422(showcase: Served) -> None:
    async with http(showcase) as client:
        for extra in ({"room": "coffee"}, {"room": None}, {"offset": 1}):
            response = await client.post("/api/rooms/tea/messages", json={"type": "note", **extra})
            assert response.status_code == 422
            [name] = extra
            assert name in response.json()["detail"][0]["msg"]


@pytest.mark.parametrize("name", ["r" * 129, "%00", "te%09a", "%7F", "%C2%85"])
async def test_a_name_in_the_path_that_cannot_be_is_422(showcase: Served, name: str) -> None:
    async with http(showcase) as client:
        for kind in ("room", "user"):
            response = await client.post(f"/api/{kind}s/{name}/messages", json={"type": "note"})
            assert response.status_code == 422
            assert response.json()["detail"][0]["loc"] == ["path", kind]


async def test_a_body_that_a_foreign_page_could_post_unasked_is_422(showcase: Served) -> None:
    async with http(showcase) as client:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            response = await client.post("/api/broadcast", content=b'{"type": "note"}', headers={"Content-Type": kind})
            assert response.status_code == 422, kind


async def test_a_certificate_is_told_to_all_tabs_of_its_user_and_to_the_caller(showcase: Served) -> None:
    ann = fresh("ann")
    token = await login(showcase, ann)
    credentials: list[dict[str, Any]] = [
        {"headers": {"Authorization": f"Bearer {token}"}},
        {"headers": {"Authorization": f"bearer {token}"}},
        {"headers": {"Cookie": f"hubbub={token}"}},
    ]
    async with (
        Tab(showcase.ws, token=token) as one,
        Tab(showcase.ws, user=ann) as other,
        Tab(showcase.ws, user=fresh("bob")) as stranger,
        http(showcase) as client,
    ):
        for number, credential in enumerate(credentials):
            response = await client.post(f"/api/certificates/{number}/process", **credential)
            assert response.status_code == 200, response.text
            data = response.json()
            assert set(data) == {"id", "status", "volume"}
            assert (data["id"], data["status"]) == (number, "processed")
            assert isinstance(data["volume"], int | float)
            for tab in (one, other):
                told = await tab.receive("certificate_processed")
                own = {"room": "@me", "offset": number + 1}
                assert told == {"type": "certificate_processed", "data": data, **own}
        await stranger.nothing("certificate_processed")


async def test_a_certificate_is_processed_for_nobody_without_a_good_credential(showcase: Served) -> None:
    ann = fresh("ann")
    token = await login(showcase, ann)
    wrong = [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer forged"},
        {"Authorization": f"Basic {token}"},
        {"Cookie": "hubbub=forged"},
        {"Cookie": f"session={token}"},
        {"Authorization": "Bearer forged", "Cookie": f"hubbub={token}"},
    ]
    async with Tab(showcase.ws, user=ann) as tab, http(showcase) as client:
        for headers in wrong:
            response = await client.post("/api/certificates/7/process", headers=headers)
            assert response.status_code == 401, headers
            assert response.headers["www-authenticate"] == "Bearer"
            assert token not in response.text
        await tab.nothing("certificate_processed")


async def test_a_certificate_is_processed_by_cookie_for_its_own_pages_alone(showcase: Served) -> None:
    """SameSite counts every port of a host as the same, and whatever else runs there would be let in."""
    ann = fresh("ann")
    token = await login(showcase, ann)
    cookie = {"Cookie": f"hubbub={token}"}
    path = "/api/certificates/7/process"
    strangers = [
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        "http://evil.example",
        "null",
        "",
    ]
    async with Tab(showcase.ws, user=ann) as tab, http(showcase) as client:
        for origin in strangers:
            response = await client.post(path, headers={**cookie, "Origin": origin})
            assert response.status_code == 403, origin
        await tab.nothing("certificate_processed")
        for headers in (cookie, {**cookie, "Origin": showcase.url}):
            assert (await client.post(path, headers=headers)).status_code == 200, headers
            await tab.receive("certificate_processed")
        # Nobody's browser sends a token by itself.
        bearer = {"Authorization": f"Bearer {token}", "Origin": "http://localhost:3000"}
        assert (await client.post(path, headers=bearer)).status_code == 200


async def test_the_id_of_a_certificate_comes_back_as_it_was_written(showcase: Served) -> None:
    ann = fresh("ann")
    token = await login(showcase, ann)
    ids = {
        "7": 7,
        "0": 0,
        "01": "01",
        "%2B7": "+7",
        "-7": "-7",
        "1_0": "1_0",
        "abc": "abc",
        "%D9%A7": "\u0667",
        "7.0": "7.0",
        "9" * 15: 999_999_999_999_999,
        "9" * 16: "9" * 16,
        "9" * 4301: "9" * 4301,
    }
    async with Tab(showcase.ws, user=ann) as tab, http(showcase) as client:
        for written, read in ids.items():
            response = await client.post(
                f"/api/certificates/{written}/process", headers={"Authorization": f"Bearer {token}"}
            )
            assert response.status_code == 200, written
            told = (await tab.receive("certificate_processed"))["data"]["id"]
            for id in (response.json()["id"], told):
                assert (id, type(id)) == (read, type(read))
