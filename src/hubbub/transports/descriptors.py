"""How many files and sockets this process may still open.

At the limit the event loop cannot accept, and says so in the log once a second; whoever wants in waits without a word,
and the broker, a database and a log file cannot be opened either. So who comes before that is refused, and some are
kept for the others.
"""

import os
import sys
from typing import NamedTuple, Self

_RESERVE = 256
"""Kept for what is no client's socket; of small limits an eighth."""


class Descriptors(NamedTuple):
    limit: int
    reserve: int

    @classmethod
    def of(cls, limit: int) -> Self:
        return cls(limit, min(_RESERVE, limit // 8))

    @property
    def for_clients(self) -> int:
        return self.limit - self.reserve


def needed_for(clients: int) -> int:
    """The limit with which so many have room beside the reserve."""
    return clients + min(_RESERVE, -(-clients // 7))


def descriptors() -> Descriptors | None:
    """What the system allows this process now; None where it has no such limit."""
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else Descriptors.of(soft)


def lowest_free() -> int | None:
    """The descriptor that would be given next: all below it are taken. None where none is left."""
    try:
        lowest = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return None
    os.close(lowest)
    return lowest


def reserve_left(last: int = -1) -> float:
    """1 while nothing of the reserve is used, 0 where all of it is. `last`: the descriptor that was opened last."""
    allowed = descriptors()
    if allowed is None:
        return 1.0
    lowest = lowest_free()
    if lowest is None:
        return 0.0
    # So they were below the last, but for those that have ended since.
    return min(1.0, (allowed.limit - max(lowest, last + 1)) / max(1, allowed.reserve))
