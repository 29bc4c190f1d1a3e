"""What the server says instead of doing what it was asked, and what follows from it.

A refusal is an answer: whoever gives it is there. It is told to the application as `Unavailable`, with the server's own
words as its `__cause__`, which may name a user and are for nobody else.
"""

import re
from typing import TypeGuard

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    MasterDownError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as NotConnected

from hubbub.brokers.redis.resp import refusal
from hubbub.errors import Unavailable

_DEMOTED = re.compile(r"\b(READONLY|MASTERDOWN)\b")
#: What it says and then closes; redis-py has no exception of its own for it.
_FULL = "max number of clients"
#: What a server adds about where in a script it was.
_PLACE = re.compile(r" script: ([0-9a-f]+, )?on @user_script:\d+\.$")


class NotLetIn(NotConnected):
    """The server said why, instead of letting a connection in: no client more, no such password, still loading."""


def told(error: Exception) -> Exception:
    """The refusal as it may be told: "unknown command" quotes the arguments, and a message's body is one."""
    if not isinstance(error, ResponseError):
        return error
    return type(error)(_PLACE.sub("", str(error).partition(", with args")[0]))


def is_refusal(error: BaseException) -> bool:
    """Whether a server said so; redis-py counts some of what it says among lost connections."""
    refusals = ResponseError | AuthenticationError | BusyLoadingError | NotLetIn
    return isinstance(error, refusals) or _FULL in str(error)


def refused(data: bytes) -> Exception | None:
    """The refusal that these bytes of a server begin with."""
    line, end, _ = data.partition(b"\r\n")
    return refusal(line[1:].decode(errors="replace")) if line.startswith(b"-") and end else None


def is_demoted(error: BaseException | None) -> TypeGuard[ResponseError]:
    """Whether it is a replica that says so: another server takes what is written now, perhaps at the same address."""
    if not isinstance(error, ResponseError):
        return False
    return isinstance(error, ReadOnlyError | MasterDownError) or bool(_DEMOTED.search(str(error)))


def unavailable(error: RedisError | OSError) -> Unavailable:
    """To be raised from what was `told`."""
    return Unavailable("the broker refuses it") if isinstance(error, ResponseError) else Unavailable()
