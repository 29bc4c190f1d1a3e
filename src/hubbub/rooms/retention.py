"""What of a hub's messages is kept, for a publisher that has no hub to ask: the word the hubs leave at the broker.

    {"rooms": [["team:{id}", 200, 3600.0], ["open:{name}", null, null]], "inbox": [100, 86400.0] or null}

Patterns without the types of their placeholders, so a name that no room can have may seem to have one. Those with
types that keep nothing are left out: a room of a later pattern, which keeps, would be taken for one of theirs.
"""

import json
from collections.abc import Iterable
from typing import Any, Self

from hubbub.errors import ConfigurationError
from hubbub.options import History
from hubbub.rooms.patterns import Patterns
from hubbub.types import Topic, room_of


def word(rooms: Iterable[tuple[str, History | None]], inbox: History | None) -> bytes:
    """What `Retention.read` reads."""
    rules = [(pattern, *(_figures(keep) or (None, None))) for pattern, keep in rooms]
    return json.dumps({"rooms": rules, "inbox": _figures(inbox)}).encode()


class Retention:
    """Before any hub ran, nothing is kept."""

    def __init__(self) -> None:
        self._rooms: Patterns[History | None] = Patterns()
        self._inbox: History | None = None

    @classmethod
    def read(cls, declared: bytes | None) -> Self:
        """Raises ConfigurationError for what this release cannot read: what is to be kept must not be lost unsaid."""
        rules = cls()
        try:
            said = {"rooms": [], "inbox": None} if declared is None else json.loads(declared)
            for pattern, size, ttl in said["rooms"]:
                rules._rooms.declare(pattern, _history(size, ttl), {})
            if said["inbox"] is not None:
                rules._inbox = _history(*said["inbox"])
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(f"what the hubs keep cannot be read ({error!r}): another release?") from None
        return rules

    def kept(self, topic: Topic) -> History | None:
        """What is kept of a room's or user's messages."""
        room = room_of(topic)
        if room is not None:
            found = self._rooms.match(room)
            return None if found is None else found.value
        return self._inbox if topic.startswith("user:") else None


def _figures(keep: History | None) -> tuple[int, float] | None:
    return None if keep is None else (keep.size, keep.ttl)


def _history(size: Any, ttl: Any) -> History | None:
    return None if size is None else History(size=int(size), ttl=float(ttl))
