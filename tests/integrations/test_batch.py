"""`POST /api/messages`: several messages in one request, on a real server."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from hubbub import History, Hub, Limits
from hubbub.integrations.publishing import publishing
from hubbub.types import room_topic
from tests.kit.brokers import Failing
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple

KEY = {"Authorization": "Bearer a-key"}
LIMITS = Limits(batch=8, batch_bytes=4096, payload=1000, depth=8)
NOTE = {"type": "note"}


@dataclass
class Server:
    http: httpx.AsyncClient
    ws: str
    hub: Hub

    async def post(self, *messages: Any) -> list[Any]:
        answer = await self.http.post("/api/messages", json={"messages": messages})
        assert answer.status_code == 200, answer.text
        assert list(answer.json()) == ["results"]
        results: list[Any] = answer.json()["results"]
        return results


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    hub = Hub(Failing(room_topic("open:away")), auth=Names(), inbox=History(size=10, ttl=60), limits=LIMITS)

    @hub.rooms("kept:{name}", history=History(size=10, ttl=60))
    async def anybody(name: str) -> bool:
        return True

    app = simple(hub)
    app.include_router(publishing(keys=["a-key"]))
    async with (
        serving(app) as address,
        httpx.AsyncClient(base_url=address.url, headers=KEY, trust_env=False) as http,
    ):
        yield Server(http, address.ws, hub)


async def test_each_has_its_result_in_the_order_of_the_messages(server: Server) -> None:
    async with Tab(server.ws, token="ann") as ann:
        kept, inbox = await ann.join("kept:a"), await ann.join("@me", since={"offset": 0})
        await ann.join("open:a")
        results = await server.post(
            {"room": "kept:a", "message": {**NOTE, "n": 1}, "idempotency_key": "k"},
            {"user": "ann", "message": {**NOTE, "n": 2}},
            {"room": "open:a", "message": {**NOTE, "n": 3}},
            {"room": "kept:a", "message": {**NOTE, "n": 4}, "keep": False},
            {"room": "kept:a", "message": {**NOTE, "n": 5}, "keep": True},
            {"room": "kept:a", "message": {**NOTE, "n": 6}, "idempotency_key": "k"},
            {"user": "nobody", "message": {**NOTE, "n": 7}, "idempotency_key": None, "keep": False},
        )
        one, two = ({"position": {"epoch": kept["epoch"], "offset": n}} for n in (1, 2))
        none = {"position": None}
        mine = {"position": {"epoch": inbox["epoch"], "offset": 1}}
        assert results == [one, mine, none, none, two, one, none]
        got = [await ann.receive("note") for _ in range(5)]
        assert [each for each in got if each["room"] == "kept:a"] == [
            {**NOTE, "n": 1, "room": "kept:a", "offset": 1},
            {**NOTE, "n": 4, "room": "kept:a"},
            {**NOTE, "n": 5, "room": "kept:a", "offset": 2},
        ]
        assert {each["n"] for each in got} == {1, 2, 3, 4, 5}
        assert await server.post() == []


BAD: dict[str, tuple[Any, str | None, str]] = {
    "a string": ("hello", None, "object"),
    "null": (None, None, "object"),
    "a list": ([NOTE], None, "object"),
    "nowhere": ({"message": NOTE}, "room", "room or to a user"),
    "twice": ({"room": "open:a", "user": "ann", "message": NOTE}, "room", "not to both"),
    "no name": ({"room": "", "message": NOTE}, "room", "1 to 128"),
    "a number for a room": ({"room": 7, "message": NOTE}, "room", "string"),
    "null for a user": ({"user": None, "message": NOTE}, "user", "string"),
    "no message": ({"room": "open:a"}, "message", "object"),
    "a message that is none": ({"room": "open:a", "message": "hello"}, "message", "object"),
    "no type": ({"room": "open:a", "message": {}}, "message", "type"),
    "a reserved type": ({"room": "open:a", "message": {"type": "ack"}}, "message", "protocol"),
    "another room": ({"room": "open:a", "message": {**NOTE, "room": "b"}}, "message", "another room"),
    "too large": ({"room": "open:a", "message": {**NOTE, "x": "x" * 1000}}, "message", "more than the 1000"),
    "what nobody knows": ({"room": "open:a", "message": NOTE, "kept": False}, "kept", "nothing else"),
    "a keep that is no word": ({"room": "open:a", "message": NOTE, "keep": "false"}, "keep", "true or false"),
    "a keep of null": ({"room": "open:a", "message": NOTE, "keep": None}, "keep", "true or false"),
    "an empty key": ({"room": "open:a", "message": NOTE, "idempotency_key": ""}, "idempotency_key", "128"),
    "a key of a number": ({"room": "open:a", "message": NOTE, "idempotency_key": 1}, "idempotency_key", "string"),
    "a key of what is not kept": (
        {"room": "kept:a", "message": NOTE, "keep": False, "idempotency_key": "k"},
        "idempotency_key",
        "not kept",
    ),
}


async def test_a_bad_one_is_its_own_error_and_the_others_go_out(server: Server) -> None:
    async with Tab(server.ws, token="ann") as ann:
        await ann.join("open:a")
        for what, (bad, field, word) in BAD.items():
            before = len(ann.received("good"))
            good = {"room": "open:a", "message": {"type": "good"}}
            first, second, third = await server.post(good, bad, good)
            assert first == third == {"position": None}
            error = second["error"]
            assert (error["code"], error.get("field")) == ("invalid_message", field), what
            assert word in error["message"], what
            await ann.receive("good")
            await ann.receive("good")
            assert len(ann.received("good")) == before + 2
        assert not ann.received("note")


async def test_what_the_broker_did_not_take_is_told_of_its_message_alone(server: Server) -> None:
    away, there = await server.post({"room": "open:away", "message": NOTE}, {"room": "open:a", "message": NOTE})
    assert away == {"error": {"code": "unavailable", "message": "the broker is not available"}}
    assert there == {"position": None}


WHOLE: dict[str, tuple[bytes, list[str], str]] = {
    "nothing": (b"", ["body"], "not JSON"),
    "a list": (b'[{"room": "open:a", "message": {"type": "note"}}]', ["body"], "object"),
    "no messages": (b"{}", ["body", "messages"], "list"),
    "no list": (b'{"messages": {}}', ["body", "messages"], "list"),
    "more than messages": (b'{"messages": [], "keep": false}', ["body", "keep"], "nothing else"),
    "NaN": (b'{"messages": [NaN]}', ["body"], "NaN"),
    "too deep": (b'{"messages": [' + b"[" * 12 + b"]" * 12 + b"]}", ["body"], "deeper"),
    "too many": (
        json.dumps({"messages": [NOTE] * 9}).encode(),
        ["body", "messages"],
        "more than the 8 of Limits.batch",
    ),
    "too large": (
        b'{"messages": [' + b" " * 4096 + b"]}",
        ["body"],
        "more than the 4096 bytes of Limits.batch_bytes",
    ),
}


@pytest.mark.parametrize(("body", "loc", "word"), WHOLE.values(), ids=WHOLE.keys())
async def test_what_is_wrong_with_the_whole_is_refused(server: Server, body: bytes, loc: list[str], word: str) -> None:
    answer = await server.http.post("/api/messages", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == (413 if "batch_bytes" in word else 422)
    [problem] = answer.json()["detail"]
    assert problem["loc"] == loc
    assert word in problem["msg"]


async def test_a_message_may_be_as_deep_here_as_alone(server: Server) -> None:
    for depth, whole in ((8, 200), (9, 422)):
        message = '{"type": "note", "x": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
        json_ = {"Content-Type": "application/json"}
        alone = await server.http.post("/api/rooms/open:a/messages", content=message, headers=json_)
        body = f'{{"messages": [{{"room": "open:a", "message": {message}}}]}}'
        batch = await server.http.post("/api/messages", content=body, headers=json_)
        assert (alone.status_code, batch.status_code) == (whole, whole)


async def test_it_needs_the_key_says_that_it_is_json_and_has_no_key_and_no_keep_for_all(server: Server) -> None:
    body = {"messages": [{"room": "open:a", "message": NOTE}]}
    for headers, status in (
        ({"Authorization": "Bearer another"}, 401),
        ({"Authorization": ""}, 401),
        ({"Content-Type": "text/plain"}, 422),
        ({"Idempotency-Key": "k"}, 422),
    ):
        answer = await server.http.post("/api/messages", json=body, headers=headers)
        assert answer.status_code == status, headers
    assert answer.json()["detail"][0]["loc"] == ["header", "idempotency-key"]
    answer = await server.http.post("/api/messages?keep=false", json=body)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "keep"])


async def test_one_alone_may_be_ephemeral_too(server: Server) -> None:
    async with Tab(server.ws, token="ann") as ann:
        await ann.join("kept:a")
        for path, room in (("rooms/kept:a", "kept:a"), ("users/ann", "@me")):
            answer = await server.http.post(f"/api/{path}/messages?keep=false", json=NOTE)
            assert (answer.status_code, answer.json()) == (200, {"position": None})
            assert await ann.receive("note") == {**NOTE, "room": room}
            answer = await server.http.post(f"/api/{path}/messages?keep=true", json=NOTE)
            assert answer.json()["position"]["offset"] == 1
            assert await ann.receive("note") == {**NOTE, "room": room, "offset": 1}
            keyed = {"Idempotency-Key": "k"}
            for query, headers in (("keep=maybe", {}), ("keep=false", keyed)):
                answer = await server.http.post(f"/api/{path}/messages?{query}", json=NOTE, headers=headers)
                assert answer.status_code == 422


async def test_openapi_says_what_comes_and_goes(server: Server) -> None:
    paths = (await server.http.get("/openapi.json")).json()["paths"]
    batch = paths["/api/messages"]["post"]
    schema = batch["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]["messages"]["items"]["properties"]) == {
        "room",
        "user",
        "message",
        "keep",
        "idempotency_key",
    }
    assert {"200", "401", "403", "422", "429"} == set(batch["responses"])
    answers = {
        path: each["post"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for path, each in paths.items()
        if path.startswith("/api/")
    }
    assert answers == {
        "/api/rooms/{room}/messages": "Published",
        "/api/users/{user}/messages": "Published",
        "/api/broadcast": "Published",
        "/api/messages": "Results",
    }
    names = [each["name"] for each in paths["/api/rooms/{room}/messages"]["post"]["parameters"]]
    assert "keep" in names
