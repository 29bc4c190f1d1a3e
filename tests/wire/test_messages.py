import math
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from hubbub.errors import InvalidMessage
from hubbub.options import Heartbeat
from hubbub.types import User, UserId
from hubbub.wire import messages
from hubbub.wire.codec import Prepared, decode
from hubbub.wire.messages import (
    RESERVED,
    check_id,
    check_name,
    check_room,
    check_user,
    compose,
    is_own_room,
    notice,
    prepare,
)

CLIENTS = "auth join_room leave_room ping pong"
SERVERS = """welcome room_joined room_left user_joined_room user_left_room presence_diff user_connected
    user_disconnected ping pong ack error gap closing"""
CONTROLS = "".join(char for char in map(chr, range(sys.maxunicode)) if unicodedata.category(char) == "Cc")


class Said(BaseModel):
    type: str = "said"
    content: str


def read(message: Prepared | bytes) -> dict[str, object]:
    return decode(message.text if isinstance(message, Prepared) else message.decode(), depth=32)


def test_the_reserved_types_are_those_of_the_protocols_tables() -> None:
    assert {*CLIENTS.split(), *SERVERS.split()} == RESERVED


@pytest.mark.parametrize(
    "id", ["", "a", "x" * 128, "é" * 64, 0, 1, -1, 2**53, -(2**53), None], ids=lambda id: repr(id)[:12]
)
def test_an_id_is_a_short_string_or_an_exact_integer(id: object) -> None:
    assert check_id({"id": id}) == id


def test_a_message_may_have_no_id() -> None:
    assert check_id({}) is None


@pytest.mark.parametrize(
    "id",
    ["x" * 129, "é" * 65, 2**53 + 1, -(2**53) - 1, 10**400, True, False, 1.0, 0.5, [], ["a"], {}],
    ids=lambda id: repr(id)[:12],
)
def test_anything_else_is_no_id(id: object) -> None:
    with pytest.raises(InvalidMessage) as caught:
        check_id({"id": id})
    assert caught.value.field == "id"


@pytest.mark.parametrize("name", ["a", "team:7", "é" * 64, "x" * 128, " ", "a b", "\u200d", "😀", "@me", "\ue000"])
def test_a_name_is_what_it_was(name: str) -> None:
    assert check_name(name, limit=128, field="user") == name
    assert check_room(name, limit=128) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "room is a string"),
        (7, "room is a string"),
        (b"a", "room is a string"),
        (["a"], "room is a string"),
        ("", "room has 1 to 128 bytes"),
        ("x" * 129, "room has 1 to 128 bytes"),
        ("é" * 65, "room has 1 to 128 bytes"),
        ("\ud800", "room is not valid Unicode"),
        ("a\n", "room has no control characters"),
        ("\x00", "room has no control characters"),
        ("a\x7f", "room has no control characters"),
        ("\x9f", "room has no control characters"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_name_is_refused_with_its_field(name: object, message: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        check_room(name, limit=128)
    assert (caught.value.message, caught.value.field) == (message, "room")


def test_the_field_of_a_bad_name_is_the_one_asked_about() -> None:
    with pytest.raises(InvalidMessage) as caught:
        check_name("", limit=5, field="to")
    assert (caught.value.message, caught.value.field) == ("to has 1 to 5 bytes", "to")


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
def test_no_control_character_is_in_a_name(control: str) -> None:
    with pytest.raises(InvalidMessage):
        check_name(f"a{control}b", limit=128, field="room")


def test_there_are_65_control_characters() -> None:
    assert len(CONTROLS) == 65


@given(st.text(st.characters(categories=None)), st.integers(1, 10))
def test_a_name_fits_its_limit_and_can_be_sent(name: str, limit: int) -> None:
    try:
        checked = check_name(name, limit=limit, field="room")
    except InvalidMessage:
        assert (
            not name
            or not set(CONTROLS).isdisjoint(name)
            or len(name.encode("utf-8", "surrogatepass")) > limit
            or (any(unicodedata.category(char) == "Cs" for char in name))
        )
    else:
        assert checked == name
        assert 1 <= len(name.encode()) <= limit
        assert set(CONTROLS).isdisjoint(name)


@pytest.mark.parametrize("key", [None, "a", "cpu:7", "x" * 128, "é" * 64])
def test_a_key_is_called_as_names_are(key: str | None) -> None:
    assert messages.check_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 129, "é" * 65, "a\n", "\ud800", 7, b"a", ["a"]], ids=ascii)
def test_what_is_no_key_fails_in_the_senders_turn(key: object) -> None:
    with pytest.raises(ValueError, match=r"^key "):
        messages.check_key(key)


def test_a_user_has_one_room_of_its_own() -> None:
    assert is_own_room("@me")
    assert not is_own_room("@you")


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
            messages.room_joined("a", members=None, recovered=None, id=None),
            {"type": "room_joined", "room": "a"},
        ),
        (
            messages.room_joined("a", members={"c", "a", "b"}, recovered=False, id="i"),
            {"type": "room_joined", "room": "a", "members": ["a", "b", "c"], "recovered": False, "id": "i"},
        ),
        (
            messages.room_joined("a", members=(), recovered=True, id=None),
            {"type": "room_joined", "room": "a", "members": [], "recovered": True},
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
        (messages.gap("a", dropped=3), {"type": "gap", "room": "a", "dropped": 3}),
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


@pytest.mark.parametrize("expires", [None, 0, -1.5, 2e9])
def test_a_user_that_can_be_is_what_it_was(expires: float | None) -> None:
    user = User(UserId("x" * 5), expires=expires)
    assert check_user(user, limit=5) is user


@pytest.mark.parametrize("given", [None, "ann", {"id": "ann"}, User])
def test_what_is_no_user_is_named_by_its_type(given: object) -> None:
    with pytest.raises(TypeError, match=f"not {type(given).__name__}"):
        check_user(given, limit=5)


@pytest.mark.parametrize("id", ["", "x" * 6, "é" * 3, "a\nb", "\ud800", 7, None])
def test_a_user_is_called_as_names_are(id: object) -> None:
    with pytest.raises(ValueError, match=r"^User\.id ") as error:
        check_user(User(id), limit=5)  # type: ignore[arg-type]
    assert str(id)[:3] not in str(error.value) or id in ("", 7)


@pytest.mark.parametrize("expires", [math.inf, -math.inf, math.nan])
def test_a_credential_ends_at_a_time_or_never(expires: float) -> None:
    with pytest.raises(ValueError, match=r"^User\.expires "):
        check_user(User(UserId("ann"), expires=expires), limit=5)
