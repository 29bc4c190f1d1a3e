"""Messages of a size, and what was taken in terms of sizes."""

from typing import Any

from hubbub.delivery.outbox import Lane, Outbox
from hubbub.options import Slow
from hubbub.protocol.codec import Prepared, decode

OLDEST = Lane("a", Slow.DROP_OLDEST)
CLOSING = [None, Lane("a", Slow.DISCONNECT), Lane("a", Slow.DISCONNECT, "key")]
DROPPING = [OLDEST, Lane("a", Slow.LATEST, "key")]
ALL = 10**9


def of(size: int) -> Prepared:
    return Prepared(b"x" * size)


def value(key: str | None, room: str = "a") -> Lane:
    return Lane(room, Slow.LATEST, key)


def said(messages: list[Prepared]) -> list[object]:
    """What was taken: a message's size, or a gap's room and count, or where it says so its epoch and bounds."""
    return [len(each) if each.data[:1] != b"{" else gap(each) for each in messages]


def gap(message: Prepared) -> tuple[object, ...]:
    fields = decode(message.text, depth=2)
    assert fields.pop("type") == "gap"
    if "dropped" in fields:
        assert fields.keys() == {"room", "dropped"}
    else:
        assert fields.keys() == {"room", "epoch", "after", "upto"}
    return tuple(fields.values())


def waiting(outbox: Outbox) -> Any:
    """The queue as it is kept, with empty entries; None where nothing waits."""
    return outbox._waiting  # noqa: SLF001 - what it costs is seen there alone


def rooms(outbox: Outbox) -> Any:
    """What is kept by room; None where nothing waits."""
    return outbox._rooms  # noqa: SLF001 - as above


def empty(outbox: Outbox) -> int:
    """How many entries of the queue are known to be empty."""
    return outbox._empty  # noqa: SLF001 - as above
