"""The conversation: every kind of message in every state."""

import json
from typing import Any

import pytest

from hubbub import closes
from hubbub.options import Limits
from hubbub.protocol.features import NONE, PRESENCE, Features
from hubbub.protocol.join_room import Join, JoinSeveral, Since
from hubbub.protocol.session import (
    TABLE,
    Answer,
    Check,
    End,
    Event,
    FrameKind,
    Leave,
    Message,
    Renew,
    Session,
    SetPresence,
    State,
    Step,
    Text,
)
from hubbub.types import RoomName

LIMITS = Limits(message=1000, depth=4, name=16, presence=10)

FRAMES = {
    FrameKind.AUTH: '{"type": "auth", "token": "t", "id": 1}',
    FrameKind.JOIN: '{"type": "join_room", "room": "r", "id": 1}',
    FrameKind.LEAVE: '{"type": "leave_room", "room": "r", "id": 1}',
    FrameKind.SET_PRESENCE: '{"type": "set_presence", "presence": {"a": 1}, "room": "r", "id": 1}',
    FrameKind.PING: '{"type": "ping", "ts": 5, "id": 1}',
    FrameKind.PONG: '{"type": "pong", "ts": 5}',
    FrameKind.APPLICATION: '{"type": "say", "id": 1}',
    FrameKind.UNREADABLE: "{",
}


ASKED = frozenset({PRESENCE})


def session(state: State, *, text: bool = False, asked: Features | None = ASKED) -> Session:
    made = Session(LIMITS, credential=state is not State.WAITING, text=text, asked=asked)
    if state is State.OPEN:
        made.authenticated()
    elif state is State.CLOSED:
        made.close()
    assert made.state is state
    return made


def said(event: Event | None) -> dict[str, Any]:
    assert isinstance(event, Answer)
    fields: dict[str, Any] = json.loads(event.message.data)
    return fields


def refused(event: Event | None) -> tuple[str, str | None, Any]:
    assert isinstance(event, Answer)
    assert not event.at_once
    error = said(event)
    assert (error["type"], error["code"]) == ("error", "invalid_message")
    return error["code"], error.get("field"), error.get("id")


def expected(state: State, kind: FrameKind) -> object:
    if state is State.CLOSED or (kind is FrameKind.PONG and state is not State.WAITING):
        return None
    if state is State.WAITING:
        return Check("t", 1) if kind is FrameKind.AUTH else End(closes.CREDENTIAL_INVALID)
    return {
        FrameKind.AUTH: Renew("t", 1),
        FrameKind.JOIN: Join("r", None, 1),  # type: ignore[arg-type]
        FrameKind.LEAVE: Leave("r", 1),  # type: ignore[arg-type]
        FrameKind.SET_PRESENCE: SetPresence(b'{"a":1}', "r", 1),  # type: ignore[arg-type]
        FrameKind.APPLICATION: Message("say", {"type": "say", "id": 1}, 1),
    }.get(kind, Answer)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", FrameKind)
def test_every_kind_in_every_state(state: State, kind: FrameKind) -> None:
    spoken = session(state)
    event = spoken.receive(FRAMES[kind])
    wanted = expected(state, kind)
    if wanted is not Answer:
        assert event == wanted
    elif kind is FrameKind.PING:
        assert said(event) == {"type": "pong", "ts": 5, "id": 1}
        assert isinstance(event, Answer)
        assert event.at_once is (state is State.OPEN)
    else:
        assert refused(event) == ("invalid_message", "", None)
    after = State.CHECKING if (state, kind) == (State.WAITING, FrameKind.AUTH) else state
    assert spoken.state is after


def test_the_table_is_whole() -> None:
    assert set(TABLE) == set(State)
    assert all(set(row) == set(FrameKind) for row in TABLE.values())
    assert {step for row in TABLE.values() for step in row.values()} == set(Step)


def test_a_type_of_the_protocols_is_never_passed_on_as_the_applications() -> None:
    own = [kind for kind in FrameKind if kind not in (FrameKind.APPLICATION, FrameKind.UNREADABLE)]
    for row in TABLE.values():
        assert {row[kind] for kind in own}.isdisjoint({Step.PASS_ON, Step.COMPLAIN})


def test_a_bare_token_is_a_first_message_and_nothing_later() -> None:
    assert session(State.WAITING).receive('{"token": "t"}') == Check("t", None)
    assert session(State.WAITING).receive('{"token": "t", "id": "a"}') == Check("t", "a")
    for state in (State.CHECKING, State.OPEN):
        assert refused(session(state).receive('{"token": "t"}')) == ("invalid_message", "type", None)


@pytest.mark.parametrize(
    "frame",
    [
        "{}",
        "[]",
        '{"type": 7}',
        '{"type": "auth"}',
        '{"type": "auth", "token": 7}',
        '{"type": "auth", "token": "t", "id": 1.5}',
        '{"token": null}',
        b"{}",
        b"",
    ],
)
def test_a_first_message_that_is_none_ends_it(frame: str | bytes) -> None:
    assert session(State.WAITING).receive(frame) == End(closes.CREDENTIAL_INVALID)


@pytest.mark.parametrize(
    ("frame", "field", "id"),
    [
        ("7", "", None),
        ('{"type": null, "id": 1}', "type", 1),
        ('{"id": "a"}', "type", "a"),
        ('{"type": "say", "id": []}', "id", None),
        ('{"type": "ping", "id": true}', "id", None),
        ('{"type": "auth", "id": 1}', "token", 1),
        ('{"type": "join_room", "id": 1}', "room", 1),
        ('{"type": "join_room", "room": "", "id": 1}', "room", 1),
        ('{"type": "leave_room", "room": "12345678901234567", "id": 1}', "room", 1),
        ('{"type": "join_room", "room": "r", "since": 7}', "since", None),
        ('{"type": "join_room", "room": "r", "since": {}}', "since.offset", None),
        ('{"type": "join_room", "room": "r", "since": {"offset": -1}}', "since.offset", None),
        ('{"type": "join_room", "room": "r", "since": {"offset": true}}', "since.offset", None),
        ('{"type": "join_room", "room": "r", "since": {"offset": 1.0}}', "since.offset", None),
        ('{"type": "join_room", "room": "r", "since": {"offset": 1, "epoch": 2}}', "since.epoch", None),
        ('{"type": "say", "a": [[[[1]]]]}', "", None),
        ('{"type": "set_presence", "id": 1}', "presence", 1),
        ('{"type": "set_presence", "presence": null, "id": 1}', "presence", 1),
        ('{"type": "set_presence", "presence": [], "id": 1}', "presence", 1),
        ('{"type": "set_presence", "presence": {"a": "bcde"}, "id": 1}', "presence", 1),
        ('{"type": "set_presence", "presence": {}, "room": "", "id": 1}', "room", 1),
        ('{"type": "set_presence", "presence": {}, "room": 7, "id": 1}', "room", 1),
        ('{"type": "auth", "token": "t", "features": "presence", "id": 1}', "features", 1),
    ],
)
def test_a_bad_field_is_named(frame: str, field: str, id: object) -> None:
    for state in (State.CHECKING, State.OPEN):
        assert refused(session(state).receive(frame)) == ("invalid_message", field, id)


@pytest.mark.parametrize(
    ("since", "read"),
    [
        ("null", None),
        ('{"offset": 0}', Since(None, 0)),
        ('{"offset": 7, "epoch": null}', Since(None, 7)),
        ('{"offset": 7, "epoch": "e"}', Since("e", 7)),
    ],
)
def test_since(since: str, read: Since | None) -> None:
    event = session(State.OPEN).receive(f'{{"type": "join_room", "room": "r", "since": {since}}}')
    assert event == Join("r", read, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [State.WAITING, State.CHECKING, State.OPEN])
def test_a_frame_has_a_size(state: State) -> None:
    end = End(closes.TOO_BIG)
    for frame in ("x" * 1001, "é" * 501, "\ud800" * 334, b"x" * 1001):
        assert session(state).receive(frame) == end
    for frame in ("x" * 1000, "é" * 500, "\ud800" * 333, b"x" * 1000):
        assert session(state).receive(frame) != end


def test_a_frame_has_so_many_values() -> None:
    full = Session(Limits(nodes=100), credential=True)
    for many in ({"of": [{}] * 100}, {str(number): 1 for number in range(100)}):
        assert refused(full.receive(json.dumps({"type": "x", **many})))[:2] == ("invalid_message", "")
    assert isinstance(full.receive(json.dumps({"type": "x", "of": [{}] * 30})), Message)


def test_binary_is_not_spoken() -> None:
    for state in (State.CHECKING, State.OPEN):
        assert session(state).receive(b"{}") == End(closes.BINARY)
    assert session(State.CLOSED).receive(b"{}") is None


def test_text_is_passed_on_once_somebody_is_there() -> None:
    assert session(State.WAITING, text=True).receive('{"token": "t"}') == Check("t", None)
    assert session(State.WAITING, text=True).receive("hello") == End(closes.CREDENTIAL_INVALID)
    for state in (State.CHECKING, State.OPEN):
        assert session(state, text=True).receive('{"type": "ping"}') == Text('{"type": "ping"}')
        assert session(state, text=True).receive(b"x") == End(closes.BINARY)
        assert session(state, text=True).receive("x" * 1001) == End(closes.TOO_BIG)


def test_the_states_it_is_moved_through() -> None:
    waiting = session(State.WAITING)
    waiting.authenticated()
    assert waiting.state is State.WAITING
    waiting.receive('{"token": "t"}')
    waiting.authenticated()
    assert waiting.state is State.OPEN
    assert waiting.close()
    assert not waiting.close()
    waiting.authenticated()
    assert waiting.state is State.CLOSED


def test_a_ts_that_cannot_be_written_is_refused() -> None:
    deep = Session(Limits(depth=600), credential=True)
    deep.authenticated()
    ts = "[" * 500 + "]" * 500
    assert refused(deep.receive(f'{{"type": "ping", "ts": {ts}, "id": 1}}')) == ("invalid_message", "ts", 1)


@pytest.mark.parametrize("kind", [Check, Renew])
def test_a_token_is_in_no_repr(kind: type[Check] | type[Renew]) -> None:
    event = kind("a-secret", "t1")
    assert "a-secret" not in repr(event)
    assert "a-secret" not in f"{[event]} {event}"
    assert "t1" in repr(event)


@pytest.mark.parametrize("state", [State.CHECKING, State.OPEN])
def test_several_rooms_at_once(state: State) -> None:
    text = '{"type": "join_room", "id": 1, "rooms": [{"room": "a"}, {"room": "b", "since": {"offset": 2}}]}'
    joins = Join(RoomName("a"), None, 1, several=True), Join(RoomName("b"), Since(None, 2), 1, several=True)
    assert session(state).receive(text) == JoinSeveral(joins)
    wrong = session(state).receive('{"type": "join_room", "id": 1, "rooms": [{"room": "a"}, {}]}')
    assert refused(wrong) == ("invalid_message", "rooms.1.room", 1)


@pytest.mark.parametrize("asked", [None, NONE])
@pytest.mark.parametrize("state", [State.CHECKING, State.OPEN])
def test_what_nobody_asked_for_is_the_applications(state: State, asked: Features | None) -> None:
    event = session(state, asked=asked).receive('{"type": "set_presence", "presence": 7, "id": 1}')
    assert event == Message("set_presence", {"type": "set_presence", "presence": 7, "id": 1}, 1)


@pytest.mark.parametrize(
    ("offered", "features", "asked"),
    [
        (None, "", None),
        (None, ', "features": []', NONE),
        (None, ', "features": ["presence", "unknown"]', ASKED),
        (ASKED, "", ASKED),
        (ASKED, ', "features": []', ASKED),
        (NONE, ', "features": ["presence"]', ASKED),
    ],
)
def test_the_first_message_may_ask(offered: Features | None, features: str, asked: Features | None) -> None:
    spoken = session(State.WAITING, asked=offered)
    assert spoken.receive(f'{{"token": "t"{features}}}') == Check("t", None)
    assert spoken.asked == asked
    spoken.authenticated()
    event = spoken.receive('{"type": "set_presence", "presence": {}}')
    assert event == SetPresence(b"", None, None) if asked else isinstance(event, Message)


def test_a_renewal_asks_for_nothing_more() -> None:
    spoken = session(State.OPEN, asked=None)
    assert spoken.receive('{"type": "auth", "token": "t", "features": ["presence"]}') == Renew("t", None)
    assert spoken.asked is None


@pytest.mark.parametrize(
    "frame", ['{"type": "auth", "token": "t", "features": "presence"}', '{"token": "t", "features": [7]}']
)
def test_features_of_a_bad_form_end_it_with_what_is_wrong(frame: str) -> None:
    why = closes.CREDENTIAL_INVALID.because("features is an array of names")
    assert session(State.WAITING).receive(frame) == End(why)
