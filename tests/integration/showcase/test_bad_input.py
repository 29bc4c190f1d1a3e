"""What the protocol says to nonsense, row by row. After each answer that does not close, the socket still works."""

import asyncio
import json
from typing import Any, NamedTuple

import pytest

from hubbub import JWTAuth
from tests.integration.showcase.conftest import AUDIENCE, SECRET
from tests.integration.showcase.people import fresh
from tests.kit.client import Tab
from tests.kit.running import Served


class Row(NamedTuple):
    """`field` is what an `invalid_message` must name; the empty string is the frame as a whole."""

    name: str
    frame: str
    code: str
    field: str | None = None
    id: str | int | None = None


def _frame(type: Any, **fields: Any) -> str:
    return json.dumps({"type": type, **fields})


def _deep(levels: int) -> str:
    """`levels` in all: the message is the first of them."""
    return '{"type": "nonsense", "deep": ' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


WHOLE = ""
ROWS = [
    Row("not JSON", "hello", "invalid_message", WHOLE),
    Row("nothing", "", "invalid_message", WHOLE),
    Row("half an object", '{"type": "chat"', "invalid_message", WHOLE),
    Row("two objects", '{"type": "ping"}{"type": "ping"}', "invalid_message", WHOLE),
    Row("single quotes", "{'type': 'ping'}", "invalid_message", WHOLE),
    Row("an array", "[]", "invalid_message", WHOLE),
    Row("a number", "5", "invalid_message", WHOLE),
    Row("a string", '"ping"', "invalid_message", WHOLE),
    Row("null", "null", "invalid_message", WHOLE),
    Row("NaN", '{"type": "ping", "ts": NaN}', "invalid_message", WHOLE),
    Row("minus infinity", '{"type": "ping", "ts": -Infinity}', "invalid_message", WHOLE),
    Row("a number beyond all", '{"type": "ping", "ts": 1e999}', "invalid_message", WHOLE),
    Row("a lone surrogate", '{"type": "chat", "content": "\\ud800"}', "invalid_message", WHOLE),
    Row("a lone surrogate as key", '{"type": "chat", "\\udfff": 1}', "invalid_message", WHOLE),
    Row("a type twice", '{"type": "chat", "type": "ping"}', "invalid_message", "type"),
    Row("a key twice, deep inside", '{"type": "ping", "ts": {"a": 1, "a": 2}}', "invalid_message", "a"),
    Row("33 levels", _deep(33), "invalid_message", WHOLE),
    Row("thousands of levels", _deep(5_000), "invalid_message", WHOLE),
    Row("32 levels", _deep(32), "unknown_type"),
    Row("no type", "{}", "invalid_message", "type"),
    Row("no type, with an id", '{"id": "a"}', "invalid_message", "type", "a"),
    Row("a type that is null", _frame(None), "invalid_message", "type"),
    Row("a type that is a number", _frame(5, id=1), "invalid_message", "type", 1),
    Row("a type that is an array", _frame(["ping"]), "invalid_message", "type"),
    Row("an unknown type", _frame("nonsense", id="n"), "unknown_type", id="n"),
    Row("an empty type", _frame(""), "unknown_type"),
    Row("a type in capitals", _frame("PING"), "unknown_type"),
    Row("a type of the server's", _frame("welcome"), "unknown_type"),
    Row("a notice of the server's", _frame("user_left_room", room="tea", user="ann"), "unknown_type"),
    Row("a missing field", _frame("chat", id="m"), "invalid_message", "content", "m"),
    Row("a field of the wrong type", _frame("chat", content=5), "invalid_message", "content"),
    Row("a field that is null", _frame("chat", content=None), "invalid_message", "content"),
    Row("a room message without a room", _frame("room_message", content="x"), "invalid_message", "room"),
    Row("a room message to a number", _frame("room_message", room=5, content="x"), "invalid_message", "room"),
    Row("a room message to another room", _frame("room_message", room="secret", content="x"), "not_joined"),
    Row("a direct message to nobody", _frame("direct_message", content="x"), "invalid_message", "to"),
    Row("a direct message to no name", _frame("direct_message", to="", content="x"), "invalid_message", "to"),
    Row("a direct message far too long", _frame("direct_message", to="x" * 129, content="x"), "invalid_message", "to"),
    Row("a direct message to controls", _frame("direct_message", to="a\x00", content="x"), "invalid_message", "to"),
    Row("a join without a room", _frame("join_room", id="j"), "invalid_message", "room", "j"),
    Row("a room that is null", _frame("join_room", room=None), "invalid_message", "room"),
    Row("a room that is a number", _frame("join_room", room=7), "invalid_message", "room"),
    Row("an empty room", _frame("join_room", room=""), "invalid_message", "room"),
    Row("a room of 129 bytes", _frame("join_room", room="r" * 129), "invalid_message", "room"),
    Row("a room of 129 bytes in 65 letters", _frame("join_room", room="ü" * 64 + "r"), "invalid_message", "room"),
    Row("a room with a line break", _frame("join_room", room="tea\n"), "invalid_message", "room"),
    Row("a room with NUL", _frame("join_room", room="\x00"), "invalid_message", "room"),
    Row("a room with DEL", _frame("join_room", room="te\x7fa"), "invalid_message", "room"),
    Row("a room with a C1 control", _frame("join_room", room="te\x85a"), "invalid_message", "room"),
    Row("leaving without a room", _frame("leave_room"), "invalid_message", "room"),
    Row("leaving a room of 129 bytes", _frame("leave_room", room="r" * 129), "invalid_message", "room"),
    Row("leaving where one is not", _frame("leave_room", room="nowhere", id=-1), "not_joined", id=-1),
    Row("an id that is a float", _frame("ping", id=1.5), "invalid_message", "id"),
    Row("an id that is a whole float", '{"type": "ping", "id": 1.0}', "invalid_message", "id"),
    Row("an id that is true", _frame("ping", id=True), "invalid_message", "id"),
    Row("an id that is false", _frame("chat", id=False, content="x"), "invalid_message", "id"),
    Row("an id that is an array", _frame("join_room", room="tea", id=[]), "invalid_message", "id"),
    Row("an id of 129 bytes", _frame("ping", id="i" * 129), "invalid_message", "id"),
    Row("an id of 130 bytes in 65 letters", _frame("ping", id="ü" * 65), "invalid_message", "id"),
    Row("an id of 2^53 + 1", _frame("ping", id=2**53 + 1), "invalid_message", "id"),
    Row("an id of -2^53 - 1", _frame("leave_room", room="tea", id=-(2**53) - 1), "invalid_message", "id"),
    Row("a bad id and no type", '{"id": {}}', "invalid_message", "type"),
    Row("since is a number", _frame("join_room", room="tea", since=5), "invalid_message", "since"),
    Row("since is an array", _frame("join_room", room="tea", since=[]), "invalid_message", "since"),
    Row("since without offset", _frame("join_room", room="tea", since={}), "invalid_message", "since.offset"),
    Row("since below zero", _frame("join_room", room="tea", since={"offset": -1}), "invalid_message", "since.offset"),
    Row(
        "since a true offset",
        _frame("join_room", room="tea", since={"offset": True}),
        "invalid_message",
        "since.offset",
    ),
    Row(
        "since a written offset",
        _frame("join_room", room="tea", since={"offset": "1"}),
        "invalid_message",
        "since.offset",
    ),
    Row(
        "since an epoch that is a number",
        _frame("join_room", room="tea", since={"epoch": 1, "offset": 1}),
        "invalid_message",
        "since.epoch",
    ),
    Row("auth without a token", _frame("auth", id="a"), "invalid_message", "token", "a"),
    Row("auth with a number", _frame("auth", token=5), "invalid_message", "token"),
    Row("auth with a bad token", _frame("auth", token="forged", id="a"), "unauthorized", id="a"),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_it_is_answered_with_its_error_and_the_socket_stays_open(showcase: Served, row: Row) -> None:
    async with Tab(showcase.ws, user=fresh("ann")) as tab:
        await tab.say(row.frame)
        await tab.send({"type": "ping", "ts": "still there"})
        error = await tab.receive("error")
        assert error["code"] == row.code
        if row.code == "invalid_message":
            assert error["field"] == row.field
        assert isinstance(error["message"], str)
        assert error["message"]
        assert error.get("id") == row.id
        assert type(error.get("id")) is type(row.id)
        assert set(error) <= {"type", "code", "message", "field", "id"}
        await tab.say(_frame("ping", ts="and working", id="p"))
        assert await tab.receive("pong", id="p") == {"type": "pong", "ts": "and working", "id": "p"}
        assert len(tab.received("error")) == 1
        assert len(tab.received("pong")) == 2
        assert not tab.received("room_joined")


@pytest.mark.parametrize(
    "id", [0, -7, 2**53, -(2**53), "", "a", "ünï 👋", " ", "i" * 128, "ü" * 64, '"\\', "null"], ids=str
)
async def test_a_good_id_is_echoed_as_it_was(showcase: Served, id: str | int) -> None:
    room = fresh("tea")
    async with Tab(showcase.ws, user=fresh("ann")) as tab:
        for type, fields, answer in (
            ("ping", {}, "pong"),
            ("join_room", {"room": room}, "room_joined"),
            ("room_message", {"room": room, "content": "x"}, "ack"),
            ("leave_room", {"room": room}, "room_left"),
            ("leave_room", {"room": room}, "error"),
        ):
            await tab.send({"type": type, "id": id, **fields})
            said = await tab.receive(answer)
            assert said["id"] == id
            assert isinstance(said["id"], str) is isinstance(id, str)


async def test_an_id_that_is_null_is_none(showcase: Served) -> None:
    async with Tab(showcase.ws, user=fresh("ann")) as tab:
        await tab.send({"type": "ping", "id": None, "ts": 1})
        assert await tab.receive("pong") == {"type": "pong", "ts": 1}


async def test_a_binary_frame_is_closed_with_1003(showcase: Served) -> None:
    for frame in (b"hello", b"", b'{"type": "ping"}'):
        async with Tab(showcase.ws, user=fresh("ann")) as tab:
            await tab.say(frame)
            assert await tab.closed() == 1003
            assert not tab.received("pong")


async def test_text_that_is_not_utf8_is_closed_with_1007(showcase: Served) -> None:
    async with Tab(showcase.ws, user=fresh("ann")) as tab:
        await tab.socket.send(b'{"type": "ping", "ts": "\xff"}', text=True)
        assert await tab.closed() == 1007


@pytest.mark.parametrize("letter", ["x", "ü", "👋"])
async def test_a_message_of_65536_bytes_is_taken_and_one_byte_more_is_closed_with_1009(
    showcase: Served, letter: str
) -> None:
    def message(size: int) -> str:
        empty = json.dumps({"type": "ping", "ts": ""})
        count, rest = divmod(size - len(empty), len(letter.encode()))
        return empty.replace('""', '"' + letter * count + "x" * rest + '"')

    async with Tab(showcase.ws, user=fresh("ann"), max_size=None) as tab:
        assert len(message(65_536).encode()) == 65_536
        await tab.say(message(65_536))
        pong = await tab.receive("pong")
        assert pong["ts"] == json.loads(message(65_536))["ts"]
        await tab.say(message(65_537))
        assert await tab.closed() == 1009


async def test_a_connection_may_be_in_128_rooms_and_the_129th_is_too_many(showcase: Served) -> None:
    prefix = fresh("room")
    async with Tab(showcase.ws, user=fresh("ann")) as tab:
        for start in range(0, 128, 16):
            for number in range(start, start + 16):
                await tab.send({"type": "join_room", "room": f"{prefix}:{number}", "id": number})
            for number in range(start, start + 16):
                await tab.receive("room_joined", id=number)
        answer = await tab.request("join_room", room=f"{prefix}:128")
        assert (answer["type"], answer["code"]) == ("error", "too_many_rooms")
        await tab.join(f"{prefix}:0")
        await tab.request("leave_room", room=f"{prefix}:5")
        await tab.join(f"{prefix}:128")
        assert (await tab.request("join_room", room=f"{prefix}:5"))["code"] == "too_many_rooms"


async def test_thirty_two_messages_wait_behind_a_slow_one_and_the_next_is_rate_limited(shop: Served) -> None:
    auth = JWTAuth(SECRET, audience=AUDIENCE)
    gate = fresh("gate")
    async with Tab(shop.ws, token=auth.sign(fresh("ann"))) as tab, Tab(shop.ws, token=auth.sign("bob")) as porter:
        await tab.send({"type": "wait", "gate": gate, "id": 0})
        assert (await tab.request("ping"))["type"] == "pong"
        for number in range(1, 33):
            await tab.send({"type": "wait", "gate": gate, "id": number})
        answer = await tab.request("wait", gate=gate)
        assert (answer["type"], answer["code"]) == ("error", "rate_limited")
        # `ping` is handled at once, whatever waits.
        assert (await tab.request("ping"))["type"] == "pong"
        assert not tab.received("ack")
        await porter.request("open", gate=gate)
        for number in range(33):
            await tab.receive("ack", id=number)
        assert [said["id"] for said in tab.received("ack")] == list(range(33))
        assert (await tab.request("wait", gate=gate))["type"] == "ack"


async def test_what_one_client_does_wrong_no_other_notices(showcase: Served) -> None:
    room = fresh("tea")
    async with Tab(showcase.ws, user=fresh("ann")) as ann, Tab(showcase.ws, user=fresh("bob")) as bob:
        await asyncio.gather(ann.join(room), bob.join(room))
        async with Tab(showcase.ws, user=fresh("mallory")) as mallory:
            for row in ROWS:
                await mallory.say(row.frame)
            await mallory.say(b"and binary")
            assert await mallory.closed() == 1003
        await ann.request("room_message", room=room, content="all well?")
        await bob.receive("room_message", content="all well?")
        await asyncio.gather(ann.nothing("error"), bob.nothing("error"))
