"""What is logged. Names are constants here, so that an event cannot be misspelt into existence.

Whoever reads logs by a program finds in each record of the hub's loggers its `event`, which is one of these, and what
it has to do with, as attributes of the record with the names of `Fields`. The text is for people, and may change.
`docs/howto/logs.md` says of each what it means.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypedDict, Unpack


class Event(StrEnum):
    """Those of `hubbub.audit` are the first, `refused`, and `kicked`, which is its own."""

    CONNECTED = "connect"
    DISCONNECTED = "disconnect"
    JOINED = "join"
    LEFT = "leave"
    REFUSED = "refused"
    CREDENTIAL_REFUSED = "credential_refused"
    CLOSED = "closed"
    MESSAGES_LEFT_OUT = "messages_left_out"
    NOT_PUT_IN = "not_put_in"
    SOCKET_REFUSED = "socket_refused"
    SOCKET_CLOSED = "socket_closed"
    SOCKET_DROPPED = "socket_dropped"
    SOCKETS_DROPPED = "sockets_dropped"
    SOCKET_FAILED = "socket_failed"
    JOINS_LIMITED = "joins_limited"
    PUBLISHING_LIMITED = "publishing_limited"
    MEMBERS_NOT_TOLD = "members_not_told"
    PROXY_NOT_NAMED = "proxy_not_named"
    AUTHENTICATOR_FAILED = "authenticator_failed"
    KEYS_UNREADABLE = "keys_unreadable"
    KEYS_READABLE = "keys_readable"
    HANDLER_FAILED = "handler_failed"
    RESULT_UNSENDABLE = "result_unsendable"
    REQUEST_FAILED = "request_failed"
    REQUEST_GIVEN_UP = "request_given_up"
    SPAWNED_FAILED = "spawned_failed"
    HOOK_FAILED = "hook_failed"
    HOOK_REFUSES = "hook_refuses"
    HOOKS_GIVEN_UP = "hooks_given_up"
    EDGES_LOST = "edges_lost"
    FACTS_FAILED = "facts_failed"
    TASK_FAILED = "task_failed"
    LOOP_BLOCKED = "loop_blocked"
    LOOP_NOT_LOOKED_AT = "loop_not_looked_at"
    BROKER_AWAY = "broker_away"
    BROKER_BACK = "broker_back"
    BROKER_REFUSES = "broker_refuses"
    BROKER_ACCEPTS = "broker_accepts"
    BROKER_SUBSCRIBED_AGAIN = "broker_subscribed_again"
    BROKER_FAILED = "broker_failed"
    EMBEDDED_BROKER_ENDED = "embedded_broker_ended"
    MESSAGE_UNREADABLE = "message_unreadable"
    MESSAGE_NOT_DELIVERED = "message_not_delivered"
    HISTORY_WENT_BACK = "history_went_back"
    HISTORY_UNREADABLE = "history_unreadable"
    PRESENCE_UNCERTAIN = "presence_uncertain"
    PRESENCE_TOLD_AGAIN = "presence_told_again"
    NOT_UNSUBSCRIBED = "not_unsubscribed"
    RETENTION_DIFFERS = "retention_differs"
    RETENTION_UNKNOWN = "retention_unknown"
    APPLICATIONS_SHARE = "applications_share"
    QUESTION_UNREADABLE = "question_unreadable"
    QUESTION_FAILED = "question_failed"
    DRAIN_BEGINS = "drain_begins"
    DRAINED = "drained"
    DRAIN_FAILED = "drain_failed"
    SENT_ELSEWHERE = "sent_elsewhere"
    NOT_SENT_AWAY = "not_sent_away"
    FAST_TRANSPORT = "fast_transport"
    SLOW_TRANSPORT = "slow_transport"
    CLOSE_CODE_UNSAID = "close_code_unsaid"
    NOT_TRACED = "not_traced"
    SPAN_FAILED = "span_failed"
    NOTHING_KEPT = "nothing_kept"
    LIMIT_BEYOND_SERVER = "limit_beyond_server"
    AUDIT_UNWRITTEN = "audit_unwritten"
    NUMBERS_NOT_SENT = "numbers_not_sent"
    NOT_IMPORTED = "not_imported"
    WORKER_KILLED = "worker_killed"
    WORKER_ORPHANED = "worker_orphaned"


class Fields(TypedDict, total=False):
    """What a record may have beside its `event`. None of them is what a LogRecord calls something else."""

    node: str
    connection: str
    user: str | None
    room: str | None
    address: str | None
    carrier: str
    code: int
    cause: str | None
    broker: str
    host: str | None
    function: str | None
    file: str | None
    line: int | None
    within: str | None
    stack: Sequence[str]
    lasts: bool
    seconds: float
    count: int
    pid: int


def fields(event: Event, **values: Unpack[Fields]) -> dict[str, Any]:
    """For `extra=` of a logger's call."""
    return {"event": event.value, **values}
