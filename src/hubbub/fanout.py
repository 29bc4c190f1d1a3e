"""One message to a topic's members on this worker: the one door through which everything from the broker enters.

A delivery offers and never waits: a recipient that is slow, closing or dead is that recipient's affair, not the
sender's and not its neighbours'. The payload is prepared once, shared by all, and not parsed here.

A connection that is joining a room must not miss what is sent between its subscription and its `room_joined`, and
must not see it before. For that while it is held: `hold` collects what it would have got, `release` hands it over.
"""

import logging
from typing import Protocol

from hubbub import closes
from hubbub.closes import Close
from hubbub.ports.metrics import Count, Metrics
from hubbub.state.registry import Registry
from hubbub.types import EVERYONE, ConnectionId, RoomName, Topic, User, room_of
from hubbub.wire.codec import Prepared
from hubbub.wire.envelope import Envelope, Kind, UnknownEnvelope

_log = logging.getLogger("hubbub.fanout")


class Recipient(Protocol):
    """A connection, as far as delivering to it is concerned."""

    @property
    def id(self) -> ConnectionId: ...

    @property
    def user(self) -> User: ...

    def offer(self, message: Prepared) -> None:
        """Take it or close; neither waits nor raises."""

    def answer(self, message: Prepared) -> None:
        """As `offer`, for what the hub itself says: nothing for one who speaks a language of its own."""

    def close(self, close: Close) -> None: ...

    def __hash__(self) -> int: ...


class PutOut(Protocol):
    """Membership's part: end a member's membership on the application's word."""

    def __call__(self, member: Recipient, room: RoomName, reason: str) -> None: ...


class Held:
    """What came for one recipient while it was joining, bounded as its outbox is."""

    def __init__(self) -> None:
        self.messages: list[tuple[Prepared, bool]] = []
        self.size = 0

    def take(self, message: Prepared, *, notice: bool) -> None:
        self.messages.append((message, notice))
        self.size += len(message)


class Fanout:
    """`limit`: bytes that may be held for one recipient; one that would need more is closed with 1013."""

    def __init__(self, registry: Registry[Recipient], metrics: Metrics, *, limit: int) -> None:
        self._registry = registry
        self._metrics = metrics
        self._limit = limit
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
                for recipient in self._recipients(topic):
                    recipient.close(close)
            case Kind.CLOSE_ROOM | Kind.REMOVE:
                self._empty(topic, envelope)

    def hold(self, topic: Topic, recipient: Recipient) -> None:
        self._held.setdefault(topic, {})[recipient] = Held()

    def release(self, topic: Topic, recipient: Recipient) -> None:
        """Hand over what came since `hold`, in order."""
        for message, notice in self.drop(topic, recipient):
            _hand(recipient, message, notice=notice)

    def drop(self, topic: Topic, recipient: Recipient) -> list[tuple[Prepared, bool]]:
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
            message.text  # noqa: B018
        except UnicodeDecodeError:
            self._metrics.count(Count.UNKNOWN_ENVELOPES)
            return
        recipients = self._recipients(topic)
        plain = not (envelope.without_users or envelope.without_connections or envelope.only)
        notice = envelope.kind is Kind.NOTICE
        delivered = 0
        for recipient in recipients:
            if plain or _wanted(envelope, recipient):
                _hand(recipient, message, notice=notice)
                delivered += 1
        for recipient, held in tuple(self._held.get(topic, {}).items()):
            if plain or _wanted(envelope, recipient):
                held.take(message, notice=notice)
                if held.size > self._limit:
                    # The join goes on until the broker has answered, and would hold whatever comes until then.
                    self.drop(topic, recipient)
                    recipient.close(closes.TOO_SLOW)
        self._metrics.count(Count.DELIVERIES, delivered)

    def _recipients(self, topic: Topic) -> tuple[Recipient, ...]:
        # A copy, because offering may close a recipient, which takes it out of the registry.
        room = room_of(topic)
        if room is not None:
            return tuple(self._registry.members(room))
        if topic == EVERYONE:
            return tuple(self._registry.everyone())
        return tuple(self._registry.of_user(topic.removeprefix("user:")))

    def _empty(self, topic: Topic, envelope: Envelope) -> None:
        room = room_of(topic)
        if room is None or self._put_out is None:
            return
        reason = closes.short(envelope.payload)
        for recipient in (*self._recipients(topic), *self._held.get(topic, ())):
            if _wanted(envelope, recipient):
                self._put_out(recipient, room, reason)


def _hand(recipient: Recipient, message: Prepared, *, notice: bool) -> None:
    if notice:
        recipient.answer(message)
    else:
        recipient.offer(message)


def _wanted(envelope: Envelope, recipient: Recipient) -> bool:
    if recipient.id in envelope.without_connections:
        return False
    user = recipient.user.id
    return user not in envelope.without_users and (not envelope.only or user in envelope.only)
