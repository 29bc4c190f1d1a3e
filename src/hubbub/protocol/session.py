"""The conversation of one socket, without the socket: what a client's message means, given what was said before.

A connection moves through four states. It starts WAITING where the handshake brought no credential, CHECKING where it
brought one. What each kind of message does in each state stands in `TABLE`; only binary frames and the text of routes
that speak their own language are `receive`'s to judge:

- WAITING: only `auth` (or a bare `{"token": …}`) is understood. Anything else ends the connection; nothing is answered,
  because an answer would tell a stranger something.
- CHECKING: somebody is finding out who this is. Whatever comes waits its turn, `ping` too: `welcome` is first.
- OPEN: the protocol. `ping` is answered at once, whatever else is being worked on; the rest waits its turn.
- CLOSED: nothing means anything any more.

The session does no input or output and knows no time. It says what is to be done, as one of the events below; the
connection does it. A frame that cannot be read is an event too (`Answer` with the error), so there is no exception to
forget. `text=True` is for routes that speak their own language: but for the first message
every frame is passed on as it came.

It is longer than others, because the table, the events it names and what makes them of a message are read together.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from hubbub import closes
from hubbub.closes import Close
from hubbub.errors import InvalidMessage, Refused
from hubbub.options import Limits
from hubbub.protocol import messages
from hubbub.protocol.codec import Prepared, check_nodes, decode, encode
from hubbub.protocol.fast_path import typed
from hubbub.protocol.features import NONE, PRESENCE, Features, asked_for, both
from hubbub.protocol.join_room import Join, JoinSeveral, read_joins
from hubbub.protocol.messages import RequestId
from hubbub.protocol.presence import shown
from hubbub.types import RoomName


class State(Enum):
    WAITING = auto()
    CHECKING = auto()
    OPEN = auto()
    CLOSED = auto()


class FrameKind(Enum):
    """What a frame is, by its form and its `type` alone."""

    AUTH = auto()
    JOIN = auto()
    LEAVE = auto()
    SET_PRESENCE = auto()
    PING = auto()
    PONG = auto()
    APPLICATION = auto()
    UNREADABLE = auto()


class Step(Enum):
    """What a kind of message does in a state."""

    CHECK = auto()
    RENEW = auto()
    JOIN = auto()
    LEAVE = auto()
    SET_PRESENCE = auto()
    PASS_ON = auto()
    PONG = auto()
    PONG_IN_TURN = auto()
    COMPLAIN = auto()
    IGNORE = auto()
    END = auto()


TABLE: dict[State, dict[FrameKind, Step]] = {
    State.WAITING: dict.fromkeys(FrameKind, Step.END) | {FrameKind.AUTH: Step.CHECK},
    State.CHECKING: {
        FrameKind.AUTH: Step.RENEW,
        FrameKind.JOIN: Step.JOIN,
        FrameKind.LEAVE: Step.LEAVE,
        FrameKind.SET_PRESENCE: Step.SET_PRESENCE,
        FrameKind.PING: Step.PONG_IN_TURN,
        FrameKind.PONG: Step.IGNORE,
        FrameKind.APPLICATION: Step.PASS_ON,
        FrameKind.UNREADABLE: Step.COMPLAIN,
    },
    State.OPEN: {
        FrameKind.AUTH: Step.RENEW,
        FrameKind.JOIN: Step.JOIN,
        FrameKind.LEAVE: Step.LEAVE,
        FrameKind.SET_PRESENCE: Step.SET_PRESENCE,
        FrameKind.PING: Step.PONG,
        FrameKind.PONG: Step.IGNORE,
        FrameKind.APPLICATION: Step.PASS_ON,
        FrameKind.UNREADABLE: Step.COMPLAIN,
    },
    State.CLOSED: dict.fromkeys(FrameKind, Step.IGNORE),
}

_KINDS = {
    "auth": FrameKind.AUTH,
    "join_room": FrameKind.JOIN,
    "leave_room": FrameKind.LEAVE,
    "ping": FrameKind.PING,
    "pong": FrameKind.PONG,
}

#: What is of the protocol's kinds only where the client asked for a feature; elsewhere it is the application's.
_ASKED_FOR = {PRESENCE: {"set_presence": FrameKind.SET_PRESENCE}}


@cache
def _steps(state: State, features: Features) -> dict[str, Step]:
    """A row of the table by the `type` of a message."""
    kinds = _KINDS.copy()
    for feature in features:
        kinds |= _ASKED_FOR.get(feature, {})
    return {type: TABLE[state][kind] for type, kind in kinds.items()}


# What any other type does: looked at for every frame, as the row is.
_OTHERWISE = {state: row[FrameKind.APPLICATION] for state, row in TABLE.items()}
# An enumeration is slow to ask for a member.
_CLOSED, _PASS_ON = State.CLOSED, Step.PASS_ON

FIRST_TOO_BIG = closes.TOO_BIG.because("first message is larger than allowed")

#: An `id` from 0 to here is right, and is compared fastest.
_USUAL_ID = 2**30 - 1

_UNREAD: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Check:
    """The first message: find out who this is."""

    token: str = field(repr=False)
    id: RequestId | None


@dataclass(frozen=True, slots=True)
class Renew:
    """A newer credential for the same user."""

    token: str = field(repr=False)
    id: RequestId | None


@dataclass(frozen=True, slots=True)
class Leave:
    room: RoomName
    id: RequestId | None


@dataclass(frozen=True, slots=True)
class SetPresence:
    """What the client shows of its user. `room` None: in all its rooms, and in those it joins later."""

    presence: bytes
    room: RoomName | None
    id: RequestId | None


@dataclass(slots=True)
class Message:
    """One of the application's messages, not validated yet. Neither frozen nor a tuple: both are slower to ask."""

    type: str
    fields: dict[str, Any]
    id: RequestId | None


class Text(NamedTuple):
    text: str
    """A frame of a route that speaks its own language."""


class Answer(NamedTuple):
    """Send this: at once, or in its turn."""

    message: Prepared
    at_once: bool


@dataclass(frozen=True, slots=True)
class End:
    """Close the connection."""

    close: Close


#: What is worked on by itself.
Asked: TypeAlias = Check | Renew | Join | Leave | SetPresence | Message | Text | Answer | End
Event: TypeAlias = Asked | JoinSeveral


class Session:
    """`authenticated` and `close` are the connection's answers to the events; they move the state.

    `asked`: the features that the client asked for and the hub knows, None where it asked for nothing.
    """

    __slots__ = ("_limits", "_otherwise", "_steps", "_text", "asked", "limit", "state")

    def __init__(self, limits: Limits, *, credential: bool, text: bool = False, asked: Features | None = None) -> None:
        self._limits = limits
        self._text = text
        self.asked = asked
        self._become(State.CHECKING if credential else State.WAITING)

    def _become(self, state: State) -> None:
        self.state: State = state
        self._steps = _steps(state, self.asked or NONE)
        self._otherwise = _OTHERWISE[state]
        limits = self._limits
        first = min(limits.credential + limits.first_message, limits.message)
        self.limit: int = first if state is State.WAITING else limits.message
        """Bytes of the largest message that may come now."""

    def authenticated(self) -> None:
        if self.state is State.CHECKING:
            self._become(State.OPEN)

    def close(self) -> bool:
        """Whether it was open until now."""
        was = self.state
        self._become(State.CLOSED)
        return was is not State.CLOSED

    def receive(self, data: str | bytes) -> Event | None:
        """What one frame of the client asks for, None where it asks for nothing."""
        if self.state is _CLOSED:
            return None
        # A character has at most four bytes, so most frames need not be encoded to be measured.
        if 4 * len(data) > self.limit and _too_long(data, self.limit):
            return End(FIRST_TOO_BIG if self.limit < self._limits.message else closes.TOO_BIG)
        if not isinstance(data, str):
            return End(closes.CREDENTIAL_INVALID if self.state is State.WAITING else closes.BINARY)
        if self._text and self.state is not State.WAITING:
            return Text(data)
        fields = _UNREAD
        try:
            if len(data) > self._limits.nodes:
                check_nodes(data, self._limits.nodes)
            read = typed(data)
            if read is not None:
                named, fields, id = read
            else:
                fields = decode(data, depth=self._limits.depth)
                named, id = self._type_of(fields), fields.get("id")
            step = self._steps.get(named)
            if step is not None:
                return self._event(step, fields)
            if self._otherwise is not _PASS_ON:
                return End(closes.CREDENTIAL_INVALID)
            if id is not None and not (type(id) is int and 0 <= id <= _USUAL_ID):
                id = messages.check_id(fields)
            return Message(named, fields, id)
        except InvalidMessage as error:
            return self._complain(error, fields)
        except ValueError:
            # The `ts` of a `ping` that is nested deeper than can be written; only where the limit was raised.
            return self._complain(InvalidMessage("ts cannot be sent back", field="ts"), fields)

    def _type_of(self, fields: dict[str, Any]) -> str:
        named = fields.get("type")
        if isinstance(named, str):
            return named
        if named is None and self.state is State.WAITING and "token" in fields:
            return "auth"
        raise InvalidMessage("a message has a string `type`", field="type")

    def _event(self, step: Step, fields: dict[str, Any]) -> Event | None:
        match step:
            case Step.IGNORE:
                return None
            case Step.END:
                return End(closes.CREDENTIAL_INVALID)
            case Step.PONG | Step.PONG_IN_TURN:
                return Answer(messages.pong(fields, messages.check_id(fields)), at_once=step is Step.PONG)
        id = messages.check_id(fields)
        match step:
            case Step.CHECK:
                check = Check(_token(fields), id)
                self.asked = both(self.asked, asked_for(fields.get("features")))
                self._become(State.CHECKING)
                return check
            case Step.RENEW:
                # What it understands is settled by then, and here only read.
                asked_for(fields.get("features"))
                return Renew(_token(fields), id)
            case Step.SET_PRESENCE:
                room = fields.get("room")
                if room is not None:
                    room = messages.check_room(room, limit=self._limits.name)
                return SetPresence(shown(fields.get("presence"), limit=self._limits.presence), room, id)
            case Step.JOIN:
                return read_joins(fields, id, self._limits)
            case _:  # LEAVE: no other step is in the table for a type of the protocol's
                return Leave(messages.check_room(fields.get("room"), limit=self._limits.name), id)

    def _complain(self, error: InvalidMessage, fields: dict[str, Any]) -> Event:
        if TABLE[self.state][FrameKind.UNREADABLE] is Step.END:
            # That much a stranger may know: it says nothing of the credential.
            why = error.message if error.field == "features" else ""
            return End(closes.CREDENTIAL_INVALID.because(why))
        return Answer(refusal(error, _id_or_none(fields)), at_once=False)


def refusal(error: Refused, id: RequestId | None, room: RoomName | None = None) -> Prepared:
    """The `error` a client is sent; `room` where it is one of several joins that one message asks for."""
    message = error.on_the_wire(id)
    return Prepared(encode(message if room is None else message | {"room": room}))


def _too_long(data: str | bytes, limit: int) -> bool:
    if isinstance(data, bytes) or len(data) > limit:
        return len(data) > limit
    return len(data.encode("utf-8", "surrogatepass")) > limit


def _token(fields: dict[str, Any]) -> str:
    token = fields.get("token")
    if not isinstance(token, str):
        raise InvalidMessage("token is a string", field="token")
    return token


def _id_or_none(fields: dict[str, Any]) -> RequestId | None:
    try:
        return messages.check_id(fields)
    except InvalidMessage:
        return None
