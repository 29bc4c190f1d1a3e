"""A message that is kept, as the script that keeps it is asked: by hubs, and by publishers that have none."""

import random

from hubbub.brokers.redis.keys import Keys
from hubbub.brokers.redis.requests import Script
from hubbub.brokers.redis.resp import Argument
from hubbub.options import History
from hubbub.ports.broker import KEY_KNOWN, POSITION_KNOWN
from hubbub.protocol.envelope import POSITIONED
from hubbub.types import Position, Topic

PUBLISH = Script("publish")


def asking(names: Keys, topic: Topic, keep: History, idempotency_key: str | None) -> tuple[list[bytes], list[Argument]]:
    """Keys and arguments of PUBLISH, but for the last one, which is the message."""
    keys = [names.meta(topic), names.stream(topic)]
    if idempotency_key is not None:
        keys.append(names.did(topic, idempotency_key))
    known = (milliseconds(seconds) for seconds in (keep.ttl, keep.ttl + POSITION_KNOWN, KEY_KNOWN))
    return keys, [names.channel(topic), keep.size, *known, POSITIONED, new_epoch()]


def position(first: bytes, before: int = 0) -> Position:
    """From what the script returned, of the message that so many came before."""
    epoch, _, offset = first.partition(b":")
    return Position(epoch.decode(), int(offset) + before)


def new_epoch() -> bytes:
    return b"%016x" % random.getrandbits(64)


def milliseconds(seconds: float) -> int:
    """At least one, because Redis refuses to expire in zero."""
    return max(1, round(seconds * 1000))
