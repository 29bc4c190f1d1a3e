"""What hubs ask alike, and publishers that have none: to keep a message, or to say what is kept."""

import random
from collections.abc import Sequence
from typing import Any

from hubbub.brokers.redis.keys import Keys
from hubbub.brokers.redis.requests import Script
from hubbub.brokers.redis.resp import Argument
from hubbub.options import History
from hubbub.ports.broker import DECLARATION_KNOWN, KEY_KNOWN, LIVING, POSITION_KNOWN, Declared
from hubbub.protocol.envelope import POSITIONED
from hubbub.types import Position, Topic

PUBLISH, LIVE, FORGET = Script("publish"), Script("live"), Script("forget")
DECLARE = Script("declare")

#: Seconds after which who lives says again what it declared.
_SAID_AGAIN = 5.0


def asking(names: Keys, topic: Topic, keep: History, idempotency_key: str | None) -> tuple[list[bytes], list[Argument]]:
    """Keys and arguments of PUBLISH, but for the last one, which is the message."""
    keys = [names.meta(topic), names.stream(topic), names.begun]
    if idempotency_key is not None:
        keys.append(names.did(topic, idempotency_key))
    known = (milliseconds(seconds) for seconds in (keep.ttl, keep.ttl + POSITION_KNOWN, KEY_KNOWN))
    return keys, [names.channel(topic), keep.size, *known, POSITIONED, new_epoch()]


def forgetting(names: Keys, topic: Topic) -> tuple[list[bytes], list[Argument]]:
    """Keys and arguments of FORGET, but for the last one, which is the message."""
    return [names.meta(topic), names.stream(topic), names.begun], [names.channel(topic)]


def declaring(names: Keys, word: bytes = b"") -> tuple[list[bytes], list[Argument]]:
    """Keys and arguments of DECLARE; without a word, to read alone."""
    times = (milliseconds(seconds) for seconds in (_SAID_AGAIN, LIVING, DECLARATION_KNOWN))
    return [names.words, names.version, names.rules], [word, new_epoch(), *times]


def declared(answer: Sequence[Any]) -> Declared:
    """From what DECLARE returned."""
    version, fresh, now, found = answer
    ages = ((int(now) - float(said)) / 1000 for said in found[1::2])
    return Declared(version.decode(), bool(fresh), dict(zip(found[::2], ages, strict=True)))


def position(first: bytes, before: int = 0) -> Position:
    """From what the script returned, of the message that so many came before."""
    epoch, _, offset = first.partition(b":")
    return Position(epoch.decode(), int(offset) + before)


def new_epoch() -> bytes:
    return b"%016x" % random.getrandbits(64)


def milliseconds(seconds: float) -> int:
    """At least one, because Redis refuses to expire in zero."""
    return max(1, round(seconds * 1000))
