"""One message to a topic's members on this worker: the one door through which everything from the broker enters.

A delivery never waits: a recipient that is slow, closing or dead is that recipient's affair, not the sender's and not
its neighbours'. The payload is prepared once, shared by all, and not parsed here; it leaves with everything else of
this turn of the event loop (`delivery/batch.py`).

A connection that is joining a room must not miss what is sent between its subscription and its `room_joined`, and
must not see it before. For that while the topic is paused for it: `pause` begins to collect what it would have got,
`resume` hands that over, `discard` throws it away. One that is a member and joins again, to be handed what it missed,
is paused in the same way.

A little longer than other files: it is a door for each kind of envelope, and who waits behind one waits behind all.
"""

import itertools
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol, TypeAlias

from hubbub import closes
from hubbub.closes import Close
from hubbub.delivery.batch import Batcher, Target
from hubbub.delivery.journeys import Journeys
from hubbub.delivery.message import Outgoing, wanted
from hubbub.delivery.outbox import Lane
from hubbub.delivery.registry import Registry
from hubbub.options import Slow
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics
from hubbub.ports.tracing import Deliveries
from hubbub.protocol import messages as wire
from hubbub.protocol.codec import Prepared
from hubbub.protocol.envelope import FOR_ALL, Envelope, Kind, UnknownEnvelope
from hubbub.protocol.presence import beside
from hubbub.types import EVERYONE, WORKERS, Position, RoomName, Topic, room_of, shown_as

_log = logging.getLogger("hubbub.fanout")

# Asked for with every message, and an enumeration is slow to ask for a member.
_MESSAGE, _NOTICE = Kind.MESSAGE, Kind.NOTICE
_NOTICES = (Kind.NOTICE, Kind.SHOWN)
#: The topics on which the hub itself would say it. Whatever says it elsewhere is not a hub.
_PLACES = {
    **dict.fromkeys((Kind.DISCONNECT, Kind.PUT_IN, Kind.TAKE_OUT), "user:"),
    **dict.fromkeys((Kind.CLOSE_ROOM, Kind.REMOVE, Kind.CAME, Kind.WENT, Kind.CHANGED), "room:"),
    **dict.fromkeys((Kind.REMOVED, Kind.REVOKED, Kind.ASKED), WORKERS),
    Kind.ANSWERED: "node:",
}

_HEAD = len(FOR_ALL)
_NOTHING = Prepared(b"")
_NOBODY = Envelope(Kind.MESSAGE, b"", only=frozenset({""}))


class Recipient(Target, Protocol):
    """A connection, as far as delivering to it is concerned."""

    blind: frozenset[RoomName]
    """Rooms in which it may not see who is there."""

    def offer(self, message: Prepared) -> None:
        """Take it or close; neither waits nor raises."""

    def answer(self, message: Prepared) -> None:
        """As `offer`, for what the hub itself says: nothing for one who speaks a language of its own."""

    def close(self, close: Close) -> None: ...

    @property
    def loaded(self) -> bool:
        """Whether so much waits for it that it is to be handed nothing large."""

    def put_out(self, room: RoomName, reason: str) -> None:
        """The application ends its membership of the room; one that is still joining leaves once it is in."""

    def put_in(self, room: RoomName) -> None:
        """The application makes it a member of the room, soon."""

    def take_out(self, room: RoomName) -> None:
        """The application has it leave the room, where it is in or on its way in."""


#: Told of a user who came to a room, went, or shows something else, where such changes are collected.
Note: TypeAlias = Callable[[Topic, Envelope], None]
#: The same where each is told by itself. Whether it is told in another way, because they are too many.
Take: TypeAlias = Callable[[Topic, Envelope], bool]

#: Told of what every worker is to know, whoever is connected to it.
Hear: TypeAlias = Callable[[Envelope], None]


class _Paused:
    """What came for one recipient while it was joining, bounded as its outbox is.

    `member`: it was in before. `passing`: and is to be handed nothing of what is kept, which comes to it as it comes.
    """

    __slots__ = ("member", "messages", "passing", "size")

    def __init__(self, *, member: bool, passing: bool) -> None:
        self.member = member
        self.passing = passing
        self.messages: list[Outgoing] = []
        self.size = 0

    def append(self, outgoing: Outgoing) -> None:
        if outgoing.kept and not self.member:
            return  # a newcomer begins behind all that was delivered meanwhile
        self.messages.append(outgoing)
        self.size += len(outgoing.message)


class Fanout:
    """`limit`: bytes that are collected for one paused recipient; one that would need more is closed with 1013.

    `deliveries`: is told of messages that carry their trace; None where nobody traces.
    """

    def __init__(
        self,
        registry: Registry[Recipient],
        batcher: Batcher,
        metrics: Metrics,
        *,
        limit: int,
        journeys: Journeys | None = None,
        deliveries: Deliveries | None = None,
    ) -> None:
        self._journeys = journeys
        self._deliveries = deliveries
        self._registry = registry
        self._batcher = batcher
        self._metrics = metrics
        self._limit = limit
        self._slow: dict[Topic, Slow] = {}
        self._paused: dict[Topic, dict[Recipient, _Paused]] = {}
        self._note: Note | None = None
        self._hear: Hear | None = None
        self._take: Take | None = None
        self._parts = itertools.count()
        self._told: set[str] = set()
        """Why messages could not be read: kinds of faults, and at most 256 versions."""

    def __len__(self) -> int:
        """How many pauses there are: each of one recipient in one topic."""
        return sum(map(len, self._paused.values()))

    def on_presence(self, note: Note) -> None:
        """Call `note` for every user who comes or goes, in rooms where such changes are collected."""
        self._note = note

    def on_workers(self, hear: Hear) -> None:
        """Call `hear` for what is said to all workers, or to this one."""
        self._hear = hear

    def on_notice(self, take: Take) -> None:
        """Ask `take` of every other notice before the members are told."""
        self._take = take

    def deliver(self, topic: Topic, data: bytes, position: Position | None = None) -> Outgoing | None:
        """What the broker brought for a topic. The message it was, so that it can be handed out again."""
        outgoing: Outgoing | None
        journeys = self._journeys
        if journeys is not None and journeys.data is not None and journeys.data == data and journeys.topic == topic:
            journeys.arrive()
        if data.startswith(FOR_ALL) and data.isascii() and topic not in self._slow:
            # Nearly all are such, and need no envelope. The head, too, is ASCII.
            payload = data[_HEAD:] if position is None else wire.with_offset(data[_HEAD:], position.offset)
            outgoing = Outgoing(Prepared(payload), kept=position is not None)
            self._spread(topic, outgoing)
            return outgoing
        try:
            envelope = Envelope.decode(data)
        except UnknownEnvelope as error:
            self._unknown(error)
            return None
        kind = envelope.kind
        if kind in _NOTICES and self._take is not None and self._take(topic, envelope):
            return None
        if kind is _MESSAGE or (kind is _NOTICE and envelope.presence is None):
            outgoing = self._outgoing(topic, envelope, position)
            if outgoing is not None:
                if envelope.trace is not None and self._deliveries is not None:
                    self._deliveries.begin(topic, envelope.trace, outgoing, self._recipients(topic))
                self._spread(topic, outgoing)
            return outgoing
        if not topic.startswith(_PLACES.get(kind, "")):
            self._unknown(UnknownEnvelope(f"{kind.name} is not for a topic of this kind"))
            return None
        match kind:
            case Kind.DISCONNECT:
                close = closes.DISCONNECTED.because(envelope.payload)
                # A copy, because closing takes it out of the registry.
                for recipient in tuple(self._recipients(topic)):
                    recipient.close(close)
            case Kind.PUT_IN | Kind.TAKE_OUT:
                room = RoomName(envelope.payload.decode(errors="replace"))
                for recipient in tuple(self._recipients(topic)):
                    (recipient.put_in if kind is Kind.PUT_IN else recipient.take_out)(room)
            case Kind.CLOSE_ROOM | Kind.REMOVE:
                self._empty(topic, envelope)
            case Kind.NOTICE | Kind.SHOWN:
                self.tell(topic, envelope)
            case Kind.CAME | Kind.WENT | Kind.CHANGED:
                if self._note is not None:
                    self._note(topic, envelope)
            case Kind.REMOVED | Kind.REVOKED | Kind.ASKED | Kind.ANSWERED:
                if self._hear is not None:
                    self._hear(envelope)
        return None

    def hears(self, topic: Topic) -> bool:
        """Whether anybody here gets what is sent to it."""
        return len(self._recipients(topic)) > 0

    def tell(self, topic: Topic, envelope: Envelope) -> None:
        """What this worker has to say to the topic's members, joining ones among them."""
        outgoing = self._outgoing(topic, envelope, None)
        if outgoing is not None:
            self._spread(topic, outgoing)
        if outgoing is not None and envelope.presence is not None:
            more = beside(envelope.payload, envelope.presence)
            self.tell(topic, envelope._replace(kind=Kind.SHOWN, payload=more, presence=None))

    def tell_some(self, topic: Topic, recipients: Sequence[Recipient], messages: Iterable[Prepared]) -> None:
        """The same messages to some of them, for none of whom it is paused."""
        lane = self._lane(topic, Envelope(Kind.NOTICE, b""), None) if topic in self._slow else None
        part = Topic(f"{topic}\n{next(self._parts)}")  # others' members are others
        for message in messages:
            self._batcher.spread(part, Outgoing(message, None, lane), recipients, self._registry.version)

    def tell_one(self, topic: Topic, recipient: Recipient, message: Prepared) -> None:
        """The same to one of them alone, where it may see who is there."""
        if recipient.blind and room_of(topic) in recipient.blind:
            return
        lane = self._lane(topic, Envelope(Kind.NOTICE, b""), None) if topic in self._slow else None
        outgoing = Outgoing(message, None, lane)
        if recipient in self.paused(topic):
            self._collect(outgoing, topic, recipient)
        else:
            self._batcher.hand(recipient, outgoing)

    def paused(self, topic: Topic) -> Collection[Recipient]:
        """For whom the topic is paused, because they are joining it."""
        return self._paused.get(topic, {}).keys()

    def read(self, topic: Topic, data: bytes, position: Position) -> Outgoing:
        """A kept message, as `deliver` would have sent it. One that cannot be read is for nobody."""
        outgoing = None
        try:
            outgoing = self._outgoing(topic, Envelope.decode(data), position)
        except UnknownEnvelope as error:
            self._unknown(error)
        return outgoing or Outgoing(_NOTHING, _NOBODY, None, kept=True)

    def gap(self, topic: Topic, *, epoch: str, after: int, upto: int) -> None:
        """Tell the topic's members what was not delivered to them."""
        self._metrics.count(Count.GAPS)
        message = wire.gap(shown_as(topic), epoch=epoch, after=after, upto=upto)
        # In no lane, because it must not be left out itself. Who is about to be told where it stands needs no word of
        # what was lost before, no more than the messages.
        self._spread(topic, Outgoing(message, Envelope(Kind.NOTICE, message.data), kept=True))

    def close(self, topic: Topic, close: Close) -> None:
        """Close the topic's members."""
        for recipient in tuple(self._recipients(topic)):
            recipient.close(close)

    def treatment(self, topic: Topic) -> Slow:
        """What was said by `treat`."""
        return self._slow.get(topic, Slow.DISCONNECT)

    def treat(self, topic: Topic, slow: Slow) -> None:
        """What becomes of this topic's messages where a reader is too slow for them; until it is said, `disconnect`."""
        if slow is Slow.DISCONNECT:
            self._slow.pop(topic, None)
        else:
            self._slow[topic] = slow

    def pause(self, topic: Topic, recipient: Recipient, *, member: bool = False, passing: bool = False) -> None:
        """Collect what comes for the recipient from now on. `member`: it is in already, and joins again.

        `passing`: all but what is kept, because it is to be handed nothing that was missed.
        """
        self._paused.setdefault(topic, {})[recipient] = _Paused(member=member, passing=passing)
        self._registry.touch()

    def resume(self, topic: Topic, recipient: Recipient, *, replayed: bool = False) -> None:
        """Hand over what came since `pause`, in order; without the kept messages where those were `replayed`."""
        for outgoing in self.discard(topic, recipient):
            if not (replayed and outgoing.kept):
                self._batcher.hand(recipient, outgoing)

    def replay(self, recipient: Recipient, messages: Iterable[Outgoing]) -> None:
        """Hand over what was sent before, as far as it is for this recipient."""
        for outgoing in messages:
            if outgoing.is_for(recipient):
                self._batcher.hand(recipient, outgoing.again())

    def discard(self, topic: Topic, recipient: Recipient) -> list[Outgoing]:
        """End the pause; what was collected, which is not handed over. Nothing where there was no pause."""
        paused = self._paused.get(topic)
        if paused is None or recipient not in paused:
            return []
        collected = paused.pop(recipient)
        self._registry.touch()
        if not paused:
            del self._paused[topic]
        return collected.messages

    def _unknown(self, error: UnknownEnvelope) -> None:
        self._metrics.count(Count.UNKNOWN_ENVELOPES)
        self._lost(str(error))

    def _lost(self, why: str) -> None:
        """Its members miss it, and nobody can tell them what. Told once, because a flood of them has one fault."""
        if why not in self._told:
            self._told.add(why)
            _log.warning(
                "a message from the broker cannot be read and is left out (%s), as will be others like it",
                why,
                extra=fields(Event.MESSAGE_UNREADABLE, cause=why),
            )

    def _outgoing(self, topic: Topic, envelope: Envelope, position: Position | None) -> Outgoing | None:
        payload = envelope.payload
        try:
            # Whatever is on the broker, only text reaches a client.
            payload.isascii() or payload.decode()
        except UnicodeDecodeError:
            self._metrics.count(Count.UNKNOWN_ENVELOPES)
            self._lost("its payload is no text")
            return None
        if position is not None:
            payload = wire.with_offset(payload, position.offset)
        lane = self._lane(topic, envelope, position) if topic in self._slow else None
        for_all = envelope.kind is _MESSAGE and not (
            envelope.without_users or envelope.without_connections or envelope.only
        )
        who_is_in = None if envelope.kind is _MESSAGE else room_of(topic)
        shown = None if for_all else envelope
        return Outgoing(Prepared(payload), shown, lane, kept=position is not None, who_is_in=who_is_in)

    def _spread(self, topic: Topic, outgoing: Outgoing) -> None:
        # Nearly all topics are rooms.
        members = self._registry.members(topic[5:]) if topic.startswith("room:") else self._recipients(topic)
        paused = self._paused.get(topic) if self._paused else None
        if paused:
            members = [member for member in members if member not in paused]
        if members:
            self._batcher.spread(topic, outgoing, members, self._registry.version)
        for recipient in tuple(paused or ()):
            if outgoing.is_for(recipient):
                self._collect(outgoing.again(), topic, recipient)

    def _collect(self, outgoing: Outgoing, topic: Topic, recipient: Recipient) -> None:
        paused = self._paused[topic][recipient]
        if paused.passing and outgoing.kept:
            self._batcher.hand(recipient, outgoing)
            return
        paused.append(outgoing)
        if paused.size > self._limit:
            # The join goes on until the broker has answered, and would collect whatever comes until then.
            self.discard(topic, recipient)
            recipient.close(closes.TOO_SLOW)

    def _lane(self, topic: Topic, envelope: Envelope, position: Position | None) -> Lane:
        slow = self._slow[topic]
        if envelope.kind is not _MESSAGE and slow is Slow.LATEST:
            slow = Slow.DROP_OLDEST  # who comes and who goes are not values of the same thing
        return Lane(topic.removeprefix("room:"), slow, envelope.key, position)

    def _recipients(self, topic: Topic) -> Collection[Recipient]:
        room = room_of(topic)
        if room is not None:
            return self._registry.members(room)
        if topic == EVERYONE:
            return self._registry.everyone()
        return self._registry.of_user(topic.removeprefix("user:"))

    def _empty(self, topic: Topic, envelope: Envelope) -> None:
        room = room_of(topic)
        if room is None:
            return
        reason = closes.short(envelope.payload)
        for recipient in (*self._recipients(topic), *self.paused(topic)):
            if wanted(envelope, recipient):
                recipient.put_out(room, reason)
