"""What leaves within one turn of the event loop, gathered: one write per connection, whatever was sent to it.

A message to a room is one entry here, however many members there are: who gets what is worked out once, at the end of
the turn. Connections that get the same sequence of messages get the same bytes, joined once. The order is that in
which things were sent, over all topics and answers, as if each had been written at once.

Offering one message to one connection after the other lost: with ten messages in one turn, the loop over the members
costs as much as the writes.

A little longer than other files: the orders of a turn are told apart by what they share, and so stand together.
"""

import contextvars
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import attrgetter
from typing import Any, Protocol, TypeAlias

from hubbub.delivery.journeys import Journeys
from hubbub.delivery.message import Addressed, Outgoing
from hubbub.ports.metrics import MEMBERS, SECONDS, Count, Metrics, Traffic
from hubbub.protocol.codec import Prepared
from hubbub.protocol.features import Features
from hubbub.types import RoomName, Topic

# An enumeration is slow to ask for a member.
_DELIVERIES = Count.DELIVERIES

_FIRST = SECONDS[0]

_by_number = attrgetter("number")

#: Bytes of one turn that are not held back any longer: more would only be memory, and work in one piece.
_ENOUGH = 256 * 1024

#: Seconds. What is written faster need not be written less often; nobody notices the other.
_WORTH_A_PAUSE, _LONGEST_PAUSE = 0.001, 0.002


class Target(Addressed, Protocol):
    """A connection, as far as writing to it is concerned."""

    clear: bool
    """Whether its transport may be written to; where not, messages are queued."""

    @property
    def writer(self) -> Any:
        """Of its transport, where it is clear."""

    @property
    def text(self) -> bool: ...

    @property
    def features(self) -> Features: ...

    @property
    def blind(self) -> AbstractSet[RoomName]: ...

    def queue(self, messages: Sequence[Outgoing]) -> None:
        """Take them into the outbox, or close; neither waits nor raises."""

    def put_back(self, messages: Sequence[Outgoing]) -> None:
        """As `queue`, before all that waits: the socket did not take them."""

    def __hash__(self) -> int: ...


class Loop(Protocol):
    """Of asyncio's event loop what is needed here."""

    def call_soon(self, callback: Callable[[], None]) -> object: ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> object: ...


class _TopicBatch:
    """Messages of one topic, to the members it had when the first of them was sent."""

    __slots__ = ("members", "messages", "version")

    def __init__(self, members: tuple[Target, ...], version: int) -> None:
        self.members = members
        self.version = version
        self.messages: list[Outgoing] = []


class Batcher:
    """`loop` calls at the end of a turn.

    `pause_share`: the part of the time the last batch took to write, for which messages of a topic wait for what else
    is on its way. 0 where they come from this process; where they come from several, those that belong together do not
    come in one turn, and writing twice to a large room costs more than waiting does.
    """

    def __init__(
        self,
        loop: Loop,
        metrics: Metrics,
        *,
        pause_share: float = 0.0,
        stopwatch: Callable[[], float] = time.perf_counter,
        traffic: Traffic | None = None,
        journeys: Journeys | None = None,
    ) -> None:
        self._loop = loop
        self._traffic = traffic or Traffic()
        self._journeys = journeys
        self._members = self._bucket = 0
        """Those of the message before, and under which bound that is."""
        # Who sent first, or much, writes for all: what becomes of their sockets is not to have that one's variables.
        self._context = contextvars.copy_context()
        self._stopwatch = stopwatch
        self._metrics = metrics
        self._pause_share = pause_share
        self._pause = 0.0
        self._pausing = False
        self._batches: list[_TopicBatch] = []
        self._open: dict[Topic, _TopicBatch] = {}
        self._own: dict[Target, Prepared | list[Outgoing]] = {}
        """What one connection alone is sent: one message that came before any batch, mostly, or several."""
        self._size = 0
        self._number = 0
        self._asked = False
        self._flushing = False

    def spread(self, topic: Topic, message: Outgoing, members: Collection[Any], version: int) -> None:
        """To all of `members`. As long as `version` is the same, so are the members of every topic."""
        batch = self._open.get(topic)
        if batch is None or batch.version != version:
            batch = self._open[topic] = _TopicBatch(tuple(members), version)
            self._batches.append(batch)
        self._number += 1
        message.number = self._number
        batch.messages.append(message)
        self._size += len(message.message.data)
        if not self._asked or self._size > _ENOUGH:
            self._leave(self._pause)

    def say(self, target: Target, message: Prepared) -> None:
        """To one connection."""
        if target in self._own or self._batches:
            self.hand(target, Outgoing(message))
            return
        self._own[target] = message
        self._traffic.alone += 1
        self._size += len(message.data)
        if not self._asked or self._size > _ENOUGH:
            self._leave()

    def hand(self, target: Target, outgoing: Outgoing) -> None:
        """As `say`, where there is more to be known of the message."""
        own = self._own.get(target, [])
        if isinstance(own, Prepared):
            own = [Outgoing(own)]
        self._own[target] = own
        self._number += 1
        outgoing.number = self._number
        own.append(outgoing)
        self._traffic.alone += 1
        self._size += len(outgoing.message.data)
        if not self._asked or self._size > _ENOUGH:
            self._leave()

    def flush(self) -> None:
        """Write now what was gathered so far. Within a flush: when it is through, so that the order is kept."""
        self._asked = self._pausing = False
        if self._flushing:
            return
        self._flushing = True
        spread = self._batches
        began = self._stopwatch()
        try:
            while self._batches or self._own:
                self._context.run(self._write)
        finally:
            self._flushing = False
            took = self._stopwatch() - began
            self._pause = min(took * self._pause_share, _LONGEST_PAUSE) if took > _WORTH_A_PAUSE else 0.0
            if spread:
                # As `Histogram.observe`, without the call, and nearly all are under the first bound.
                turns = self._traffic.turns
                turns.counts[bisect_left(SECONDS, took) if took > _FIRST else 0] += 1
                turns.sum += took
                if self._journeys is not None and self._journeys.came:
                    self._journeys.end()

    def _write(self) -> None:
        batches, own = self._batches, self._own
        self._batches, self._open, self._own, self._size = [], {}, {}, 0
        if not batches:
            _answer(own)
            return
        sizes = self._traffic.sizes
        for batch in batches:
            members = len(batch.members)
            if members != self._members:
                # Of many messages in turn it is mostly the same room, or one as large.
                self._members, self._bucket = members, bisect_left(MEMBERS, members)
            sizes.counts[self._bucket] += len(batch.messages)
        if len(batches) == 1:
            groups, private = _part(batches[0], own)
        else:
            groups, private = _sort(batches, own)
        delivered = 0
        for several, those in groups.items():
            delivered += self._share(those, several[0].messages if len(several) == 1 else _in_order(several))
        for target, shared in private.items():
            alone = own[target]
            said = [Outgoing(alone)] if isinstance(alone, Prepared) else alone
            messages = _in_order(shared, said)
            for outgoing in messages:
                if outgoing.envelope is not None:
                    messages = [one for one in messages if one.is_for(target)]
                    break
            delivered += len(messages) - len(said)
            _give_one(target, messages)
        if delivered:
            self._metrics.count(_DELIVERIES, delivered)

    def _share(self, members: Sequence[Target], messages: list[Outgoing]) -> int:
        """How many were delivered."""
        for outgoing in messages:
            if outgoing.envelope is not None:
                break
        else:
            _give(members, messages)
            return len(members) * len(messages)
        choosy = [(1 << place, outgoing) for place, outgoing in enumerate(messages) if outgoing.envelope is not None]
        # Somebody is left out of some: those who get the same share, and one who is left out alone has his own.
        groups: dict[int, list[Target]] = {}
        for member in members:
            missing = sum(bit for bit, outgoing in choosy if not outgoing.is_for(member))
            groups.setdefault(missing, []).append(member)
        delivered = 0
        for missing, group in groups.items():
            theirs = [outgoing for place, outgoing in enumerate(messages) if not missing >> place & 1]
            if theirs:
                delivered += len(group) * len(theirs)
                _give(group, theirs)
        return delivered

    def _leave(self, pause: float = 0.0) -> None:
        """See to it that what was gathered is written: it is much, or nobody has yet."""
        if self._size > _ENOUGH:
            self.flush()
        elif pause:
            if not self._pausing:
                self._pausing = True
                self._loop.call_later(pause, self.flush)
        else:
            self._asked = True
            self._loop.call_soon(self.flush)


#: What some get of batches, and what one alone gets besides: of which batches it is a member.
_Groups: TypeAlias = Mapping[tuple[_TopicBatch, ...], Sequence[Target]]
_Private: TypeAlias = dict[Target, tuple[_TopicBatch, ...]]


def _part(batch: _TopicBatch, own: dict[Target, Any]) -> tuple[_Groups, _Private]:
    """Of one batch: who gets it and nothing else, and who has something that nobody else has."""
    alone = (batch,)
    if not own:
        return {alone: batch.members}, {}
    private: _Private = dict.fromkeys(own, ())
    # Few have something of their own, and asking for these costs less than asking every member.
    members = dict.fromkeys(batch.members)
    for target in own:
        if target in members:
            del members[target]
            private[target] = alone
    return {alone: tuple(members)} if members else {}, private


def _sort(batches: list[_TopicBatch], own: dict[Target, Any]) -> tuple[_Groups, _Private]:
    """The same of several."""
    gets: dict[Target, tuple[_TopicBatch, ...]] = {}
    for batch in batches:
        alone = (batch,)
        for member in batch.members:
            before = gets.get(member)
            gets[member] = alone if before is None else (*before, batch)
    private = {target: gets.pop(target, ()) for target in own}
    groups: dict[tuple[_TopicBatch, ...], list[Target]] = {}
    for member, several in gets.items():
        groups.setdefault(several, []).append(member)
    return groups, private


def _in_order(batches: Iterable[_TopicBatch], said: Iterable[Outgoing] = ()) -> list[Outgoing]:
    """In the order in which they were sent."""
    messages = list(said)
    for batch in batches:
        messages += batch.messages
    messages.sort(key=_by_number)
    return messages


def _answer(own: dict[Target, Prepared | list[Outgoing]]) -> None:
    """What nobody shares. Those who get one message, nearly all, are written to in one go."""
    targets: list[Target] = []
    messages: list[Prepared] = []
    for target, said in own.items():
        if type(said) is Prepared and target.clear:
            targets.append(target)
            messages.append(said)
        else:
            _give_one(target, [Outgoing(said)] if isinstance(said, Prepared) else said)
    if targets:
        writers = [target.writer for target in targets]
        for index in writers[0].write_each(writers, messages):
            targets[index].put_back([])


def _give_one(target: Target, messages: list[Outgoing]) -> None:
    if target.clear:
        taken = target.writer.write([outgoing.message for outgoing in messages])
        if taken is not None:
            target.put_back(messages[taken:])
    else:
        target.queue(messages)


def _give(targets: Sequence[Target], messages: list[Outgoing]) -> None:
    blocked: Sequence[Target] = ()
    writers = [target.writer for target in targets if target.clear]
    if len(writers) < len(targets):
        blocked = [target for target in targets if not target.clear]
        targets = [target for target in targets if target.clear]
    if writers:
        # One, mostly: a comprehension's own call would cost more than what it does.
        prepared = [messages[0].message] if len(messages) == 1 else [outgoing.message for outgoing in messages]
        for index, taken in writers[0].write_all(writers, prepared):
            targets[index].put_back(messages[taken:])
    for target in blocked:
        target.queue(messages)
