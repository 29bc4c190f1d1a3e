"""What every worker is told, whoever is connected to it: the one topic that all of them hear from their start on.

A topic of a room or a user is heard where somebody is in it. Who is on the way in is in none yet, and what was said
meanwhile would come too early for it. Removals are for those who are on the way in just then, and forgotten with them;
what is revoked is remembered, and read again by who may have missed something; what is asked is answered at once.
"""

import asyncio
import logging
from contextlib import suppress

from hubbub.closes import short
from hubbub.delivery.fanout import Fanout
from hubbub.errors import Unavailable
from hubbub.hub.questions import Questions
from hubbub.hub.revoking import Revoking
from hubbub.ports.broker import Broker
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.rooms.removals import Removals
from hubbub.scheduling.tasks import repeat
from hubbub.types import WORKERS, RoomName

_log = logging.getLogger("hubbub.revocations")

# How often it is looked whether anything was missed.
_INTERVAL = 1.0


class WorkersTopic:
    """`settled`: it is heard, and all that is revoked is known."""

    def __init__(
        self, broker: Broker, fanout: Fanout, removals: Removals, revoking: Revoking, questions: Questions
    ) -> None:
        self._broker = broker
        self._removals = removals
        self._revoking = revoking
        self._questions = questions
        self._soon = asyncio.Event()
        self.settled: bool = False
        fanout.on_workers(self._heard)

    async def settle(self) -> None:
        """Where the broker is away, `keep_settled` does it later."""
        # First heard, then read: what comes between is both.
        with suppress(Unavailable):
            await self._broker.subscribe(WORKERS)
            await self._revoking.read(anew=not self.settled)
            self.settled = not self._soon.is_set()

    async def keep_settled(self) -> None:
        """Every second, and when `resumed`, until cancelled."""
        await repeat(self.settle, _INTERVAL, self._soon, _log, "what is revoked could not be read")

    def resumed(self) -> None:
        """The broker is back: something may have been missed, and it may have forgotten."""
        self.settled = False
        self._soon.set()

    def _heard(self, envelope: Envelope) -> None:
        if envelope.kind is Kind.REVOKED:
            self._revoking.heard(envelope.payload)
            return
        if envelope.kind is not Kind.REMOVED:
            self._questions.heard(envelope)
            return
        room = None if envelope.key is None else RoomName(envelope.key)
        self._removals.note(envelope.only, room, short(envelope.payload))
