"""Where a message goes, as traces have it: few names for many rooms, and no user's.

A span's name is counted by, so it has the pattern that a room was declared by, and not the room. Whose inbox it is,
is left out: traces are kept elsewhere, and read by others.
"""

from typing import NamedTuple

from hubbub.rooms.declared import DeclaredRooms
from hubbub.types import EVERYONE, Topic, room_of

#: Topics that are remembered, before all are forgotten.
_KNOWN = 4096
#: Of a room that was not declared, or by whom we do not know; and of a user's inbox.
ROOM, INBOX = "room", "user"


class Destination(NamedTuple):
    """`name`: as it stands in a span's name. `attributes`: of any span that has to do with it."""

    name: str
    attributes: dict[str, str | int | bool]


def destination(topic: Topic, pattern: str = ROOM) -> Destination:
    room = room_of(topic)
    name = pattern if room is not None else EVERYONE if topic == EVERYONE else INBOX
    found: dict[str, str | int | bool] = {"messaging.system": "hubbub", "messaging.destination.template": name}
    if room is not None:
        found["messaging.destination.name"] = room
    return Destination(name, found)


class Destinations:
    def __init__(self, declared: DeclaredRooms) -> None:
        self._declared = declared
        self._known: dict[Topic, Destination] = {}
        self._known_of = -1

    def of(self, topic: Topic) -> Destination:
        version = self._declared.patterns.version
        if self._known_of != version or len(self._known) >= _KNOWN:
            self._known.clear()
            self._known_of = version
        found = self._known.get(topic)
        if found is None:
            found = self._known[topic] = destination(topic, self._pattern(topic))
        return found

    def _pattern(self, topic: Topic) -> str:
        room = room_of(topic)
        match = None if room is None else self._declared.match(room)
        return ROOM if match is None else next(name for name, rule in self._declared if rule is match.value)
