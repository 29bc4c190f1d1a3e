"""What is shown of members as scripts take and return it, see `showing.lua`."""

from collections.abc import Sequence
from typing import Any

from hubbub.brokers.redis.keys import Keys, decoded
from hubbub.brokers.redis.requests import Script
from hubbub.ports.broker import Change

SHOW, HIDE, SHOWN = Script("show"), Script("hide"), Script("shown")


def change_of(names: Keys, change: Change | None) -> tuple[bytes, bytes, bytes]:
    """Its channel, and what stands before and after what is seen."""
    return (b"", b"", b"") if change is None else (names.channel(change.topic), change.before, change.after)


def shown(answer: Sequence[Any]) -> dict[str, bytes]:
    """From what SHOWN returned: what is seen of each, the newest of what is shown."""
    members, flat = answer
    each = dict(zip(flat[::2], flat[1::2], strict=True))
    return {decoded(member): _newest(each[member]) if member in each else b"" for member in members}


def _newest(value: bytes) -> bytes:
    _, _, length, rest = value.split(b" ", 3)
    newest: bytes = rest[: int(length)]
    return newest
