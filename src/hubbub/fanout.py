"""One message to a topic's members on this worker: the one door through which everything from the broker enters.

A delivery never waits: a recipient that is slow, closing or dead is that recipient's affair, not the sender's and not
its neighbours'. The payload is prepared once, shared by all, and not parsed here; it leaves with everything else of
this turn of the event loop (`burst.py`).

A connection that is joining a room must not miss what is sent between its subscription and its `room_joined`, and
must not see it before. For that while it is held: `hold` collects what it would have got, `release` hands it over.
"""

import logging
from collections.abc import Collection
from typing import Protocol

from hubbub import closes
from hubbub.burst import Burst, Outgoing, Target, wanted
from hubbub.closes import Close
from hubbub.options import Slow
from hubbub.ports.metrics import Count, Metrics
from hubbub.state.outbox import Lane
from hubbub.state.registry import Registry
from hubbub.types import EVERYONE, RoomName, Topic, room_of
from hubbub.wire.codec import Prepared
from hubbub.wire.envelope import Envelope, Kind, UnknownEnvelope

_log = logging.getLogger("hubbub.fanout")


class Recipient(Target, Protocol):
    """A connection, as far as delivering to it is concerned."""

    def offer(self, message: Prepared) -> None:
        """Take it or close; neither waits nor raises."""

    def answer(self, message: Prepared) -> None:
        """As `offer`, for what the hub itself says: nothing for one who speaks a language of its own."""

    def close(self, close: Close) -> None: ...


class PutOut(Protocol):
    """Membership's part: end a member's membership on the application's word."""

    def __call__(self, member: Recipient, room: RoomName, reason: str) -> None: ...


class Held:
    """What came for one recipient while it was joining, bounded as its outbox is."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []
        self.size = 0

    def take(self, outgoing: Outgoing) -> None:
        self.messages.append(outgoing)
        self.size += len(outgoing.message)


class Fanout:
    """`limit`: bytes that may be held for one recipient; one that would need more is closed with 1013."""

    def __init__(self, registry: Registry[Recipient], burst: Burst, metrics: Metrics, *, limit: int) -> None:
        self._registry = registry
        self._burst = burst
        self._metrics = metrics
        self._limit = limit
        self._slow: dict[Topic, Slow] = {}
        self._held: dict[Topic, dict[Recipient, Held]] = {}
        self._put_out: PutOut | None = None

    def on_put_out(self, put_out: PutOut) -> None:
        self._put_out = put_out

    def deliver(self, topic: Topic, data: bytes) -> None:
        """What the broker brought for a topic."""
        try:
            envelope = Envelope.decode(data)
        except UnknownEnvelope as error:
            self._metrics.count(Count.UNKNOWN_ENVELOPES)
            _log.debug("ignored an envelope: %s", error)
            return
        match envelope.kind:
            case Kind.MESSAGE | Kind.NOTICE:
                self._spread(topic, envelope)
            case Kind.DISCONNECT:
                close = closes.DISCONNECTED.because(envelope.payload)
                # A copy, because closing takes it out of the registry.
                for recipient in tuple(self._recipients(topic)):
                    recipient.close(close)
            case Kind.CLOSE_ROOM | Kind.REMOVE:
                self._empty(topic, envelope)

    def treat(self, topic: Topic, slow: Slow) -> None:
        """What becomes of this topic's messages where a reader is too slow for them; until it is said, `disconnect`."""
        if slow is Slow.DISCONNECT:
            self._slow.pop(topic, None)
        else:
            self._slow[topic] = slow

    def hold(self, topic: Topic, recipient: Recipient) -> None:
        self._held.setdefault(topic, {})[recipient] = Held()

    def release(self, topic: Topic, recipient: Recipient) -> None:
        """Hand over what came since `hold`, in order."""
        for outgoing in self.drop(topic, recipient):
            self._burst.hand(recipient, outgoing)

    def drop(self, topic: Topic, recipient: Recipient) -> list[Outgoing]:
        """Hold no more; what was held."""
        holding = self._held.get(topic, {})
        held = holding.pop(recipient, None)
        if not holding:
            self._held.pop(topic, None)
        return held.messages if held else []

    def _spread(self, topic: Topic, envelope: Envelope) -> None:
        message = Prepared(envelope.payload)
        try:
            # Whatever is on the broker, only text reaches a client.
            envelope.payload.isascii() or envelope.payload.decode()
        except UnicodeDecodeError:
            self._metrics.count(Count.UNKNOWN_ENVELOPES)
            return
        lane = self._lane(topic, envelope) if topic in self._slow else None
        for_all = envelope.kind is Kind.MESSAGE and not (
            envelope.without_users or envelope.without_connections or envelope.only
        )
        members = self._recipients(topic)
        if members:
            outgoing = Outgoing(message, None if for_all else envelope, lane)
            self._burst.spread(topic, outgoing, members, self._registry.version)
        if self._held:
            self._hold_back(topic, envelope, message, lane)

    def _hold_back(self, topic: Topic, envelope: Envelope, message: Prepared, lane: Lane | None) -> None:
        for recipient, held in tuple(self._held.get(topic, {}).items()):
            outgoing = Outgoing(message, envelope, lane)
            if outgoing.is_for(recipient):
                held.take(outgoing)
                if held.size > self._limit:
                    # The join goes on until the broker has answered, and would hold whatever comes until then.
                    self.drop(topic, recipient)
                    recipient.close(closes.TOO_SLOW)

    def _lane(self, topic: Topic, envelope: Envelope) -> Lane:
        slow = self._slow[topic]
        if envelope.kind is Kind.NOTICE and slow is Slow.LATEST:
            slow = Slow.DROP_OLDEST  # who comes and who goes are not values of the same thing
        return Lane(topic.removeprefix("room:"), slow, envelope.key)

    def _recipients(self, topic: Topic) -> Collection[Recipient]:
        room = room_of(topic)
        if room is not None:
            return self._registry.members(room)
        if topic == EVERYONE:
            return self._registry.everyone()
        return self._registry.of_user(topic.removeprefix("user:"))

    def _empty(self, topic: Topic, envelope: Envelope) -> None:
        room = room_of(topic)
        if room is None or self._put_out is None:
            return
        reason = closes.short(envelope.payload)
        for recipient in (*self._recipients(topic), *self._held.get(topic, ())):
            if wanted(envelope, recipient):
                self._put_out(recipient, room, reason)
