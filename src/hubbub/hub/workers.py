"""What every worker is told, whoever is connected to it: the one topic that all of them hear from their start on.

A topic of a room or a user is heard where somebody is in it. Who is on the way in is in none yet, and what was said
meanwhile would come too early for it.
"""

import asyncio
from contextlib import suppress

from hubbub.closes import short
from hubbub.delivery.fanout import Fanout
from hubbub.errors import Unavailable
from hubbub.ports.broker import Broker
from hubbub.protocol.envelope import Envelope
from hubbub.rooms.removals import Removals
from hubbub.types import WORKERS, RoomName

# How often a worker that does not hear it yet tries again.
_INTERVAL = 1.0


class WorkersTopic:
    """Hears it, once it has `settled`."""

    def __init__(self, broker: Broker, fanout: Fanout, removals: Removals) -> None:
        self._broker = broker
        self._removals = removals
        self.settled: bool = False
        fanout.on_workers(self._heard)

    async def settle(self) -> None:
        """Where the broker is away, `keep_settled` does it later."""
        with suppress(Unavailable):
            await self._broker.subscribe(WORKERS)
            self.settled = True

    async def keep_settled(self) -> None:
        """Until cancelled."""
        while not self.settled:
            await asyncio.sleep(_INTERVAL)
            await self.settle()

    def _heard(self, envelope: Envelope) -> None:
        room = None if envelope.key is None else RoomName(envelope.key)
        self._removals.note(envelope.only, room, short(envelope.payload))
