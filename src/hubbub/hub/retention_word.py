"""What this hub keeps, declared to the broker and kept declared, for programs that publish without a hub.

The broker may come later than the hub, or forget: then what such programs publish would not be kept, and nobody would
say so.
"""

import asyncio
from contextlib import suppress

from hubbub.errors import Unavailable
from hubbub.options import History
from hubbub.ports.broker import Broker
from hubbub.rooms.declared import DeclaredRooms, Rule
from hubbub.rooms.patterns import placeholders
from hubbub.rooms.retention import word

# How often the broker is asked whether it still has the word: publishers may ask for it every ten seconds.
_INTERVAL = 1.0


class RetentionWord:
    """`rooms` are those declared, `inbox` what is kept for a user."""

    def __init__(self, broker: Broker, rooms: DeclaredRooms, inbox: History | None) -> None:
        self._broker = broker
        self._rooms = rooms
        self._inbox = inbox
        self._declared = False

    async def declare(self) -> None:
        """Leave the word. Where the broker is away, `keep_declared` does it later."""
        rooms = [
            (pattern, rule.options.history)
            for pattern, rule in self._rooms
            # A publisher knows no types, and would stop at what is perhaps not this room: better kept for nothing.
            if rule.options.history is not None or not _has_types(pattern, rule)
        ]
        try:
            await self._broker.declare(word(rooms, self._inbox))
            self._declared = True
        except Unavailable:
            self._declared = False

    async def keep_declared(self) -> None:
        """Leave it again wherever it is missing, until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            with suppress(Unavailable):
                if not self._declared or await self._broker.declared() is None:
                    await self.declare()


def _has_types(pattern: str, rule: Rule) -> bool:
    return any(rule.check.annotations.get(name, str) is not str for name in placeholders(pattern))
