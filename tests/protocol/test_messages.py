import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from hubbub import closes
from hubbub.options import Heartbeat
from hubbub.protocol import messages
from hubbub.protocol.codec import Prepared, decode
from hubbub.protocol.messages import RESERVED, compose, notice, prepare
from hubbub.types import Position

CLIENTS = "auth join_room leave_room ping pong"
SERVERS = """welcome room_joined room_left user_joined_room user_left_room presence_diff user_connected
    user_disconnected ping pong ack error gap closing"""


class Said(BaseModel):
    type: str = "said"
    content: str


def read(message: Prepared | bytes) -> dict[str, object]:
    return decode(message.text if isinstance(message, Prepared) else message.decode(), depth=32)


def test_the_reserved_types_are_those_of_the_protocols_tables() -> None:
    assert {*CLIENTS.split(), *SERVERS.split()} == RESERVED


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (prepare("gap"), {"type": "gap"}),
        (prepare("gap", room="a", epoch=None), {"type": "gap", "room": "a"}),
        (prepare("gap", "i", dropped=0), {"type": "gap", "dropped": 0, "id": "i"}),
        (prepare("gap", 0, ok=False, members=[]), {"type": "gap", "ok": False, "members": [], "id": 0}),
        (messages.ping(7), {"type": "ping", "ts": 7}),
        (messages.pong({"type": "ping"}, None), {"type": "pong"}),
        (messages.pong({"type": "ping", "ts": None}, None), {"type": "pong", "ts": None}),
        (messages.pong({"ts": {"a": [1]}, "x": 1}, "i"), {"type": "pong", "ts": {"a": [1]}, "id": "i"}),
        (messages.pong({"ts": 0}, 0), {"type": "pong", "ts": 0, "id": 0}),
        (messages.ack("i", None), {"type": "ack", "id": "i"}),
        (messages.ack('"\\\n', None), {"type": "ack", "id": '"\\\n'}),
        (messages.ack(0, None), {"type": "ack", "id": 0}),
        (messages.ack(-(2**53), None), {"type": "ack", "id": -(2**53)}),
        (messages.ack(2**53, []), {"type": "ack", "id": 2**53, "result": []}),
        (messages.ack(0, {"online": False}), {"type": "ack", "id": 0, "result": {"online": False}}),
        (messages.room_left("a"), {"type": "room_left", "room": "a"}),
        (messages.room_left("a", reason="bye", id=1), {"type": "room_left", "room": "a", "reason": "bye", "id": 1}),
        (
            messages.room_joined("a", members=None, position=None, recovered=None, id=None),
            {"type": "room_joined", "room": "a"},
        ),
        (
            messages.room_joined("a", members={"c", "a", "b"}, position=None, recovered=False, id="i"),
            {"type": "room_joined", "room": "a", "members": ["a", "b", "c"], "recovered": False, "id": "i"},
        ),
        (
            messages.room_joined("a", members=(), position=Position("e", 0), recovered=True, id=None),
            {"type": "room_joined", "room": "a", "members": [], "epoch": "e", "offset": 0, "recovered": True},
        ),
        (
            messages.room_joined("a", members=None, position=Position("e", 7), recovered=None, id=0),
            {"type": "room_joined", "room": "a", "epoch": "e", "offset": 7, "id": 0},
        ),
        (
            messages.welcome(
                connection="c", user="u", node="n", heartbeat=Heartbeat(interval=0.25, timeout=1.5), id=None
            ),
            {
                "type": "welcome",
                "status": "authenticated",
                "connection": "c",
                "user": "u",
                "node": "n",
                "heartbeat": {"interval": 250, "timeout": 1500},
            },
        ),
        (messages.dropped("a", 3), {"type": "gap", "room": "a", "dropped": 3}),
        (
            messages.gap("a", epoch="e", after=0, upto=7),
            {"type": "gap", "room": "a", "epoch": "e", "after": 0, "upto": 7},
        ),
        (
            messages.closing(closes.RESTARTING.because("later"), retry_after=0.0126),
            {"type": "closing", "code": 1012, "reason": "later", "retry_after": 13},
        ),
        (notice("user_connected", "u"), {"type": "user_connected", "user": "u"}),
        (notice("user_left_room", "u", "a"), {"type": "user_left_room", "room": "a", "user": "u"}),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_the_hubs_messages_are_those_of_the_protocol(message: Prepared | bytes, fields: dict[str, object]) -> None:
    assert read(message) == fields
    assert fields["type"] in RESERVED


def test_a_welcome_answers_the_message_it_came_for() -> None:
    welcome = messages.welcome(connection="c", user="u", node="n", heartbeat=Heartbeat(), id="i")
    assert read(welcome)["id"] == "i"
    assert read(welcome)["heartbeat"] == {"interval": 25_000, "timeout": 10_000}


def test_durations_on_the_wire_are_whole_milliseconds() -> None:
    beat = Heartbeat(interval=0.0126, timeout=0.0124)
    welcome = messages.welcome(connection="c", user="u", node="n", heartbeat=beat, id=None)
    assert welcome.text.endswith('"heartbeat":{"interval":13,"timeout":12}}')


@pytest.mark.parametrize(
    ("message", "room", "fields"),
    [
        ({"type": "said", "content": "x"}, None, {"type": "said", "content": "x"}),
        ({"type": "said"}, "lobby", {"type": "said", "room": "lobby"}),
        ({"type": "said", "room": "lobby"}, "lobby", {"type": "said", "room": "lobby"}),
        ({"type": "said", "room": "elsewhere"}, None, {"type": "said", "room": "elsewhere"}),
        ({"type": "said", "id": "own", "user": 7}, "lobby", {"type": "said", "id": "own", "user": 7, "room": "lobby"}),
        (Said(content="x"), "lobby", {"type": "said", "content": "x", "room": "lobby"}),
    ],
)
def test_an_applications_message_is_as_given_with_its_room(message: object, room: str | None, fields: object) -> None:
    assert read(compose(message, limit=1000, room=room)) == fields  # type: ignore[arg-type]


def test_the_applications_own_message_stays_as_it_was() -> None:
    message = {"type": "said"}
    compose(message, limit=1000, room="lobby")
    assert message == {"type": "said"}


@given(
    st.dictionaries(st.text(), st.none() | st.integers() | st.text()).map(lambda fields: {**fields, "type": "said"}),
    st.sampled_from([0, 1, 10, 2**53]),
)
def test_an_offset_is_added_without_reading_the_message(fields: dict[str, object], offset: int) -> None:
    data = compose({key: value for key, value in fields.items() if key not in ("offset", "room")}, limit=10_000)
    assert read(messages.with_offset(data, offset)) == read(data) | {"offset": offset}


@pytest.mark.parametrize(
    ("message", "room", "why"),
    [
        ({}, None, "a message needs a string `type`"),
        ({"type": None}, None, "a message needs a string `type`"),
        ({"type": 7}, "lobby", "a message needs a string `type`"),
        *(({"type": type}, None, f"the type '{type}' belongs to the protocol") for type in sorted(RESERVED)),
        (Said(type="gap", content=""), "lobby", "the type 'gap' belongs to the protocol"),
        (
            {"type": "said", "room": "elsewhere"},
            "lobby",
            "`room` is 'elsewhere', but the message is sent to another room",
        ),
        ({"type": "said", "room": None}, "lobby", "`room` is None, but the message is sent to another room"),
        ({"type": "said", "offset": 7}, "lobby", "`offset` is the hub's to add"),
        ({"type": "said", "x": float("nan")}, None, "the message cannot be written as JSON: NaN is not JSON"),
    ],
)
def test_what_an_application_cannot_send_fails_in_its_own_turn(message: object, room: str | None, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        compose(message, limit=1000, room=room)  # type: ignore[arg-type]


def test_what_is_no_message_cannot_be_sent() -> None:
    with pytest.raises(TypeError):
        compose("text", limit=1000)  # type: ignore[arg-type]


def test_a_message_has_at_most_the_bytes_allowed_with_its_room() -> None:
    message = {"type": "said", "content": "é"}
    data = compose(message, limit=1000, room="lobby")
    assert compose(message, limit=len(data), room="lobby") == data
    with pytest.raises(ValueError, match=f"the message has {len(data)} bytes, more than the {len(data) - 1}"):
        compose(message, limit=len(data) - 1, room="lobby")


def test_a_result_has_at_most_the_bytes_that_a_message_may_have() -> None:
    data = messages.ack(7, "é", limit=1000).data
    assert messages.ack(7, "é", limit=len(data)).data == messages.within(data, len(data)) == data
    with pytest.raises(ValueError, match=f"the message has {len(data)} bytes, more than the {len(data) - 1}"):
        messages.ack(7, "é", limit=len(data) - 1)
