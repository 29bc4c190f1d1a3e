"""What is logged. Names are constants here, so that an event cannot be misspelt into existence.

Whoever reads logs by a program finds in each record of the hub's loggers its `event`, which is one of these, and what
it has to do with, as attributes of the record with the names of `Fields`. The text is for people, and may change.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypedDict, Unpack


class Event(StrEnum):
    LOOP_BLOCKED = "loop_blocked"
    LOOP_NOT_LOOKED_AT = "loop_not_looked_at"


class Fields(TypedDict, total=False):
    """What a record may have beside its `event`. None of them is a name that a LogRecord has for something else."""

    node: str
    function: str | None
    file: str | None
    line: int | None
    within: str | None
    seconds: float
    lasts: bool
    stack: Sequence[str]


def fields(event: Event, **values: Unpack[Fields]) -> dict[str, Any]:
    """For `extra=` of a logger's call."""
    return {"event": event.value, **values}
