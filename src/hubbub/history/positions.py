"""Where this worker stands in each topic that keeps history: nothing is passed on twice, and nothing is skipped unsaid.

Everything the broker brings goes through `deliver`. What it means for its topic stands in `topic.py`; here it is done:
messages go to the fan-out, what is missing is read from the broker's history, and what history has not got any more is
told by `gap`. A topic is read when something is missing or may be: when the broker came back, when a subscription was
doubted, and when nothing was heard for a while (`idle_check.py`).

One read serves everybody who waits for one (`scheduling/single_flight.py`). It brings the worker forward itself, so a
joiner never waits for what the other connection will bring. While clients come back, the newest messages are kept at
hand (`replay.py`), and most joins need no read at all.

Under a new epoch nothing is known of what was missed of the old one. That is told as a gap from 0, and the worker goes
on with what comes next: looking up what came before lost, because after a failover to an older replica that is what the
members have seen already.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from hubbub import closes
from hubbub.delivery.fanout import Fanout
from hubbub.errors import Unavailable
from hubbub.history.idle_check import check
from hubbub.history.reads import Backfill, Between, Effect, Gap, PassOn, Release
from hubbub.history.states import State, Step
from hubbub.history.topic import (
    STUCK,
    Bounds,
    Standing,
    TopicHistory,
)
from hubbub.options import History, Limits
from hubbub.ports.broker import Broker, Past
from hubbub.ports.clock import Alarm, Clock
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics
from hubbub.protocol.join_room import Since
from hubbub.scheduling.single_flight import SingleFlight
from hubbub.scheduling.tasks import Spawn
from hubbub.types import Position, Topic

_log = logging.getLogger("hubbub.positions")

# An enumeration is slow to ask for a member.
_ADVANCE, _PASS_ON = Step.ADVANCE, Step.PASS_ON
# How often a joiner's topic is read again where the stream changes under its hands.
_TRIES = 5
# Seconds from one check of all topics to the next.
_CHECK = 1.0
# Topics read at a time: enough to be quick, few enough to be kind.
_BATCH = 64


class Positions:
    def __init__(
        self,
        broker: Broker,
        fanout: Fanout,
        clock: Clock,
        metrics: Metrics,
        spawn: Spawn,
        limits: Limits,
        bounds: Bounds | None = None,
    ) -> None:
        self._broker = broker
        self._fanout = fanout
        self._clock = clock
        self._metrics = metrics
        self._spawn = spawn
        self._limits = limits
        self._bounds = bounds or Bounds()
        self._topics: dict[Topic, TopicHistory] = {}
        self._reads: dict[Topic, SingleFlight[None]] = {}
        self._alarm: Alarm | None = None

        self.coming_back: int = 0
        """How often the broker came back of which not every topic was read yet."""

    def __len__(self) -> int:
        return len(self._topics)

    @property
    def replaying(self) -> int:
        """Of how many topics the newest messages are at hand."""
        return sum(history.replay.window is not None for history in self._topics.values())

    # What the broker calls.

    def deliver(self, topic: Topic, data: bytes, position: Position | None = None) -> None:
        """What the broker brought."""
        history = self._topics.get(topic) if self._topics else None
        if history is None:
            self._fanout.deliver(topic, data, position)
            return
        step = history.receive(data, position)
        if position is not None and step is _ADVANCE:
            # As `_pass_on`, without the call: nearly every message is the next.
            outgoing = self._fanout.deliver(topic, data, position)
            if history.replay.window is not None:
                history.replay.window.append(outgoing or self._fanout.read(topic, data, position))
        elif step is _PASS_ON:
            self._fanout.deliver(topic, data)
        elif position is not None and step is Step.BEGIN_ANEW:
            self._tell(topic, history.begin_anew(data, position))
            self._pass_on(topic, history, data, position)
        elif step is Step.BUFFER:
            if not history.buffer.add(data, position):
                for each in (*history.buffer.take_unkept(), data):
                    self._fanout.deliver(topic, each)
        elif step is Step.CATCH_UP:
            self._see_to(topic, history)
        else:
            self._metrics.count(Count.REPEATED)

    def missed(self, topic: Topic) -> None:
        """Something of this topic may not have been brought."""
        history = self._topics.get(topic)
        if history is not None:
            history.doubt()
            self._see_to(topic, history)

    def resumed(self) -> None:
        """Of every topic something may not have been brought. Nothing is passed on before that is known."""
        for history in self._topics.values():
            history.doubt()
        self.coming_back += 1
        self._spawn(self._come_back(tuple(self._topics)))

    # What joins and admissions call.

    async def join(self, topic: Topic, keep: History, since: Since | None = None) -> Standing:
        """Where somebody who joins now begins, and what it missed since it was here.

        When it returns everything up to that position has been passed on, and nothing after it. Raises Unavailable.
        """
        history = self._topics.get(topic) or self._begin(topic, keep)
        read = self._reads[topic]
        backfills = history.backfills
        for reads in range(_TRIES):
            standing = history.standing(since, reads=reads, backfills=backfills)
            if standing is not None:
                return standing
            history.ask(since)
            await read()
        raise Unavailable

    def drop(self, over: Callable[[Topic], bool]) -> None:
        """Of these nothing is kept any more: no reading will find anything, and nothing is missed."""
        for topic in [topic for topic in self._topics if over(topic)]:
            self.forget(topic)

    def forget(self, topic: Topic) -> None:
        """It is heard no more."""
        self._topics.pop(topic, None)
        self._reads.pop(topic, None)

    def stop(self) -> None:
        self._topics.clear()
        self._reads.clear()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    # How it works.

    def _begin(self, topic: Topic, keep: History) -> TopicHistory:
        history = self._topics[topic] = TopicHistory(keep, self._limits, self._bounds)
        self._reads[topic] = SingleFlight(self._spawn, partial(self._read, topic, history))
        self._set_alarm()
        return history

    def _pass_on(self, topic: Topic, history: TopicHistory, data: bytes, position: Position) -> None:
        outgoing = self._fanout.deliver(topic, data, position)
        if history.replay.window is not None:
            history.replay.window.append(outgoing or self._fanout.read(topic, data, position))

    def _tell(self, topic: Topic, gap: Gap) -> None:
        self._fanout.gap(topic, epoch=gap.epoch, after=gap.after, upto=gap.upto)

    async def _read(self, topic: Topic, history: TopicHistory) -> None:
        read = history.begin_read()
        try:
            past = await self._broker.read(topic, history.keep, since=read.since, limit=read.limit, reverse=read.newest)
        except Unavailable:
            self._metrics.count(Count.HISTORY_READS_FAILED)
            raise
        finally:
            # Not when it begins: those that did not fail are told from both, and no counter may go down.
            self._metrics.count(Count.HISTORY_READS)
        if read.newest:
            past = past._replace(entries=past.entries[::-1])
        if read.position is not None and read.went_back(past):
            _log.warning(
                "the history of a topic went back: what follows is another epoch", extra=fields(Event.HISTORY_WENT_BACK)
            )
            past = Past(await self._broker.turn_back(topic, history.keep, past.top.epoch), ())
        if self._topics.get(topic) is history:
            for effect in history.end_read(read, past):
                self._do(topic, history, effect)
            self._see_to(topic, history)

    def _do(self, topic: Topic, history: TopicHistory, effect: Effect) -> None:
        match effect:
            case PassOn(data, position):
                self._pass_on(topic, history, data, position)
            case Between(data):
                self._fanout.deliver(topic, data)
            case Gap():
                self._tell(topic, effect)
            case Release(data, position):
                self.deliver(topic, data, position)
            case Backfill(epoch, entries, whole):
                older = [
                    (entry.offset, self._fanout.read(topic, entry.data, Position(epoch, entry.offset)))
                    for entry in entries
                ]
                history.replay.reach_back(older, whole=whole)

    def _see_to(self, topic: Topic, history: TopicHistory) -> None:
        """Where it is behind, somebody reads until it is not."""
        if history.state is State.BEHIND and not history.catching_up:
            self._spawn(self._catch_up(topic))

    async def _catch_up(self, topic: Topic, *, once: bool = False) -> None:
        """Until it is current, or the broker is away: the next check tries again. `once`: read in any case."""
        history = self._topics.get(topic)
        if history is None or history.catching_up:
            return
        history.catching_up = True
        try:
            while (once or history.state is State.BEHIND) and self._topics.get(topic) is history:
                once = False
                await self._reads[topic]()
        except Unavailable:
            pass
        finally:
            history.catching_up = False

    async def _come_back(self, topics: Sequence[Topic]) -> None:
        try:
            await self._read_all(topics)
        finally:
            self.coming_back -= 1

    async def _read_all(self, topics: Sequence[Topic], *, once: bool = False) -> None:
        for start in range(0, len(topics), _BATCH):
            await asyncio.gather(*(self._catch_up(topic, once=once) for topic in topics[start : start + _BATCH]))

    def _set_alarm(self) -> None:
        if self._alarm is None:
            self._alarm = self._clock.call_at(self._clock.now() + _CHECK, self._check)

    def _check(self) -> None:
        self._alarm = None
        if not self._topics:
            return
        found = check(tuple(self._topics.items()), ready=self._broker.ready)
        for topic in found.given_up:
            _log.warning(
                "the history of a topic could not be read for %d s: its members are sent away",
                STUCK,
                extra=fields(Event.HISTORY_UNREADABLE, seconds=STUCK),
            )
            self._fanout.close(topic, closes.POSITION_LOST)
        if found.to_read:
            self._spawn(self._read_all(found.to_read, once=True))
        self._set_alarm()
