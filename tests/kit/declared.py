"""Rooms declared for tests in which nobody is asked whether a client may join."""

from collections.abc import Mapping
from typing import Any

from hubbub.options import RoomOptions
from hubbub.rooms.declared import DeclaredRooms, Rule
from hubbub.rooms.patterns import Patterns


def declared(rooms: Mapping[str, RoomOptions]) -> DeclaredRooms:
    """By pattern, the first that matches wins."""
    patterns: Patterns[Rule] = Patterns()
    no_check: Any = None
    for pattern, options in rooms.items():
        patterns.declare(pattern, Rule(no_check, options), {})
    return DeclaredRooms(patterns)
