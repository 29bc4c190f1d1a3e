"""What leaves a connection: the short way past the outbox, the long way through it, and what a slow reader comes to.

A connection is `clear` while nothing waits in its outbox or in its socket. Then what is sent to it is written at the
end of this turn of the event loop, with what the others get (`delivery/batch.py`). What its socket does not take goes
into the outbox, and so does all that follows until the peer has read. Nothing here waits or raises towards the sender.
What the outbox does not take closes this connection, with 1013, and nobody else's, unless the room it was sent to has
another policy (`delivery/outbox.py`).
"""

import asyncio
import logging
from collections.abc import Sequence

from hubbub import closes
from hubbub.closes import Close
from hubbub.connection.context import Context
from hubbub.delivery.message import Outgoing
from hubbub.delivery.outbox import Lane, Outbox
from hubbub.errors import Refused
from hubbub.ports.metrics import Count
from hubbub.ports.transport import Transport
from hubbub.protocol.codec import Prepared
from hubbub.protocol.messages import RequestId
from hubbub.protocol.session import refusal
from hubbub.types import ConnectionId, User

_log = logging.getLogger("hubbub.connection")


class Outbound:
    """A connection's one half; the other is `hubbub.connection.Connection`."""

    __slots__ = (
        "__weakref__",
        "_outbox",
        "_relief",
        "_services",
        "_welcomed",
        "clear",
        "closed",
        "id",
        "text",
        "transport",
    )

    def __init__(self, services: Context, id: ConnectionId, *, text: bool) -> None:
        self.id = id
        self.text = text
        """It speaks a language of its own, in which the hub has nothing to say."""
        self.clear = False
        self.closed = False
        self.transport: Transport | None = None
        self._services = services
        self._outbox = Outbox(services.limits.outbox)
        self._welcomed = False
        self._relief: asyncio.Future[None] | None = None

    @property
    def user(self) -> User:
        raise NotImplementedError

    def close(self, close: Close) -> None:
        raise NotImplementedError

    # What the hub calls.

    def offer(self, message: Prepared) -> None:
        """Send with what else leaves in this turn; closes with 1013 where the peer has too much unread."""
        if not self.closed:
            self._services.batcher.say(self, message)

    def answer(self, message: Prepared) -> None:
        """As `offer`, for what the hub itself says; nothing on a route that speaks its own language."""
        if not (self.text or self.closed):
            self._services.batcher.say(self, message)

    def refuse(self, error: Refused, id: RequestId | None) -> None:
        self._services.metrics.count(Count.REFUSED)
        self.answer(refusal(error, id))

    def queue(self, messages: Sequence[Outgoing]) -> None:
        """The long way: before `welcome`, and where the transport has not sent all that came before."""
        if self.closed:
            return
        for outgoing in messages:
            if not self._outbox.offer(outgoing.message, self._lane(outgoing)):
                self._too_slow()
                return
        self._count_refused()
        if self._welcomed and self.transport is not None:
            self.transport.flush()

    def put_back(self, messages: Sequence[Outgoing]) -> None:
        """The socket did not take these: they come before all that is sent from now on."""
        if self.closed:
            return
        self.clear = False
        if not self._outbox.put_back([(outgoing.message, self._lane(outgoing)) for outgoing in messages]):
            self._too_slow()
            return
        self._count_refused()
        if self.transport is not None:
            self.transport.flush()

    async def relieved(self) -> None:
        """Returns when the peer has taken most of what it was sent, or is gone.

        Who comes back to many rooms and reads slowly would else be closed for what it is handed.
        """
        self._services.batcher.flush()
        if self._loaded and not self.closed:
            self._relief = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._relief,))

    # What the transport calls.

    def take(self, size: int) -> list[Prepared]:
        return self._outbox.take(size) if self._welcomed else []

    def sent(self, size: int) -> None:
        self._outbox.sent(size)
        if self._relief is not None and not self._loaded:
            self._relieve()

    def drained(self) -> None:
        self.clear = self._welcomed and not self.closed

    def blocked(self) -> None:
        self.clear = False

    # How it works.

    @property
    def _loaded(self) -> bool:
        return self._outbox.unsent > self._services.limits.outbox // 4

    def _relieve(self) -> None:
        relief, self._relief = self._relief, None
        if relief is not None and not relief.done():
            relief.set_result(None)

    def _lane(self, outgoing: Outgoing) -> Lane | None:
        # Who speaks another language cannot be told of a gap, so for him there is none.
        return None if self.text else outgoing.lane

    def _too_slow(self) -> None:
        self._count_refused()
        self._services.metrics.count(Count.SLOW)
        _log.info("connection %s reads too slowly and is closed", self.id)
        self._outbox.clear()
        self.close(closes.TOO_SLOW)

    def _count_refused(self) -> None:
        dropped, superseded = self._outbox.refused()
        if dropped:
            self._services.metrics.count(Count.DROPPED, dropped)
        if superseded:
            self._services.metrics.count(Count.SUPERSEDED, superseded)
