"""Which rooms the application declared: who may join them, and how they are treated."""

from collections.abc import Iterator
from typing import NamedTuple

from hubbub.options import RoomOptions
from hubbub.ports.injection import Injected
from hubbub.rooms.patterns import Match, Patterns
from hubbub.types import RoomName

#: Rooms whose options are remembered, before all are forgotten.
_KNOWN = 4096


class Permissions(NamedTuple):
    """What members are asked for beside the join: a check each, None where all who are in may."""

    publish: Injected | None = None
    history: Injected | None = None
    presence: Injected | None = None


EVERYBODY = Permissions()


class Rule:
    """What `@hub.rooms` declared: the check, the options of the rooms it admits to, and what not all in them may."""

    def __init__(self, check: Injected, options: RoomOptions, permissions: Permissions = EVERYBODY) -> None:
        self.check = check
        self.options = options
        self.permissions = permissions


class DeclaredRooms:
    """Declared at any time, also while the hub runs."""

    def __init__(self, patterns: Patterns[Rule]) -> None:
        self.patterns = patterns
        # Asked for with every message, and a pattern takes microseconds.
        self._known: dict[RoomName, RoomOptions] = {}
        self._known_of = 0
        self._asks = False
        self._asks_of = 0

    def __iter__(self) -> Iterator[tuple[str, Rule]]:
        """Each pattern as it was declared, and its rule, in order."""
        return iter(self.patterns)

    @property
    def asks(self) -> bool:
        """Whether there is a room in which not all may everything."""
        if self._asks_of != self.patterns.version:
            self._asks = any(rule.permissions is not EVERYBODY for _, rule in self)
            self._asks_of = self.patterns.version
        return self._asks

    def match(self, room: RoomName) -> Match[Rule] | None:
        """What was declared for this room, None where there is no such room."""
        return self.patterns.match(room)

    def options_of(self, room: RoomName) -> RoomOptions:
        """The options of a room that is not asked to be let into: it is sent to, or joined by the application."""
        if self._known_of != self.patterns.version or len(self._known) >= _KNOWN:
            self._known.clear()
            self._known_of = self.patterns.version
        options = self._known.get(room)
        if options is None:
            match = self.patterns.match(room)
            options = self._known[room] = match.value.options if match else RoomOptions()
        return options
