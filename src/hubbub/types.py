"""The words everything else is built from.

Nothing here decides anything: identifiers, the user, a position, and how topics are named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NewType

from pydantic import GetCoreSchemaHandler
from pydantic_core.core_schema import CoreSchema, no_info_before_validator_function

UserId = NewType("UserId", str)
RoomName = NewType("RoomName", str)
ConnectionId = NewType("ConnectionId", str)
NodeId = NewType("NodeId", str)

#: What the broker knows: a room, a user, a worker, everyone, or one of two lists. Built by the functions below and
#: nowhere else.
Topic = NewType("Topic", str)

#: The name of a user's own room on the wire. Reserved: no application room may be called so.
OWN_ROOM = RoomName("@me")

EVERYONE = Topic("everyone")
#: Counted, never published to: which users have a connection, and which rooms have a member.
ONLINE = Topic("online")
OCCUPIED = Topic("occupied")
#: Heard by every worker, whoever is connected to it: who was sent away, what was revoked, and what is asked.
WORKERS = Topic("workers")


def room_topic(room: str) -> Topic:
    return Topic(f"room:{room}")


def user_topic(user: str) -> Topic:
    return Topic(f"user:{user}")


def node_topic(node: NodeId) -> Topic:
    """Heard by that worker alone."""
    return Topic(f"node:{node}")


def shown_as(topic: Topic) -> RoomName:
    """The room a topic is on the wire: its own, or `@me` for a user's."""
    return room_of(topic) or OWN_ROOM


def room_of(topic: Topic) -> RoomName | None:
    """The room a topic stands for, or None where it stands for a user or for everyone."""
    return RoomName(topic[5:]) if topic.startswith("room:") else None


@dataclass(frozen=True, slots=True, init=False)
class User:
    """Who the credential says is there.

    `id` is 1 to 128 bytes of UTF-8 without control characters. `claims` is what else the credential said (for a
    JWT its payload), kept out of `repr` because reprs reach logs. `expires` is the Unix time in seconds at which
    the credential ends, None where it does not. `presence` is what the user's tab shows in rooms with presence data
    until it is set anew: a small mapping, at most `Limits.presence` bytes as JSON, read when it first joins one.

    What `Hub.revoke` goes by: `token_id` (a JWT's `jti`), `session` (its `sid`, or the id of a session), kept out of
    `repr` as well, and `issued`, the Unix time in seconds at which the credential was made. None: it has none, or
    whoever was asked for it just now answers for it.
    """

    id: UserId
    claims: Mapping[str, Any] = field(repr=False, compare=False)
    expires: float | None = field(default=None, compare=False)
    presence: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    token_id: str | None = field(default=None, repr=False, compare=False)
    session: str | None = field(default=None, repr=False, compare=False)
    issued: float | None = field(default=None, repr=False, compare=False)

    # By hand: whoever makes a user has a plain string, and only here does it become an id.
    def __init__(
        self,
        id: str,
        claims: Mapping[str, Any] | None = None,
        expires: float | None = None,
        presence: Mapping[str, Any] | None = None,
        token_id: str | None = None,
        session: str | None = None,
        issued: float | None = None,
    ) -> None:
        object.__setattr__(self, "id", UserId(id))
        object.__setattr__(self, "claims", {} if claims is None else claims)
        object.__setattr__(self, "expires", expires)
        object.__setattr__(self, "presence", presence)
        object.__setattr__(self, "token_id", token_id)
        object.__setattr__(self, "session", session)
        object.__setattr__(self, "issued", issued)

    # In a path operation FastAPI takes a parameter of this type for the body: whoever asks would be whom they say.
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(cls._is_no_data, handler(source))

    @classmethod
    def _is_no_data(cls, value: Any) -> Any:
        if not isinstance(value, cls):
            raise ValueError("a User is who the hub knows to be there, and is not read from data")  # noqa: TRY004 - Pydantic's
        return value


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a topic that keeps history: `offset` within one life of the stream, which `epoch` names."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """How a connection ended.

    `code`: RFC 6455 section 7.4.1 and the table of `hubbub.v1`; 1005 where the client closed without one, 1006 where it
    was lost without a word. `reason`: at most 123 bytes, often empty; a client's is what a stranger says. `by_client`:
    it closed or was lost; else this worker closed it.
    """

    code: int
    reason: str
    by_client: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A user's first tab came or its last one went, or a room's first member came or its last one went, on any worker.

    `number` rises from edge to edge of a hub and is never given twice: one that a hook is handed a second time, because
    the worker that ran it died or was cut off, has the same. `at`: when, in UTC, by the broker's clock. `name`: the
    user's id, or the room's name.
    """

    number: int
    at: datetime
    name: str
