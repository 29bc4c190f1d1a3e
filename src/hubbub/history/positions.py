"""Where this worker stands in each topic that keeps history: nothing is passed on twice, and nothing is skipped unsaid.

Everything the broker brings goes through `deliver`. Of a topic that keeps history the last position passed on is known,
so what comes is the next, or old, or shows that something is missing. Then the topic is behind: what comes is no longer
passed on but looked up in history, in order, until it is caught up with; what history has not got any more, its members
are told by `gap`. The same is done for every topic when the broker came back, for one whose subscription was doubted,
and for one in which nothing was heard for 25 seconds, because what is missing at the end of a topic shows only so.

One look into history serves everybody who waits for one (`scheduling/single_flight.py`). It brings the worker forward
itself, so a joiner never waits for what the other connection will bring. While clients come back, the newest messages
are kept at hand (`history/window.py`), and most joins need no look at all.

Under a new epoch nothing is known of what was missed of the old one. That is told as a gap from 0, and the worker goes
on with what comes next: looking up what came before lost, because after a failover to an older replica that is what the
members have seen already.
"""

import logging
from collections.abc import Sequence
from functools import partial

from hubbub import closes
from hubbub.delivery.fanout import Fanout
from hubbub.errors import Unavailable
from hubbub.history.idle_check import IdleCheck, in_batches
from hubbub.history.topic import Standing, TopicHistory, came_by, went_back
from hubbub.history.window import Missed
from hubbub.options import History, Limits
from hubbub.ports.broker import Broker, Past
from hubbub.ports.clock import Clock
from hubbub.ports.metrics import Count, Metrics
from hubbub.protocol.session import Since
from hubbub.scheduling.single_flight import SingleFlight
from hubbub.scheduling.tasks import Spawn
from hubbub.types import Position, Topic

_log = logging.getLogger("hubbub.positions")

#: Messages fetched by one look that fills a hole.
_FILL = 1_000
#: How often a joiner looks again where the stream changes under its hands.
_TRIES = 5


class Positions:
    def __init__(
        self, broker: Broker, fanout: Fanout, clock: Clock, metrics: Metrics, spawn: Spawn, limits: Limits
    ) -> None:
        self._broker = broker
        self._fanout = fanout
        self._metrics = metrics
        self._spawn = spawn
        self._limits = limits
        self._tracks: dict[Topic, TopicHistory] = {}
        self._rounds = IdleCheck(self._tracks, clock, lambda: broker.ready, self._look_after, self._send_away)

        self.coming_back = 0
        """How often the broker came back of which not every topic was looked up yet."""

    def __len__(self) -> int:
        return len(self._tracks)

    # What the broker calls.

    def deliver(self, topic: Topic, data: bytes, position: Position | None = None) -> None:
        """What the broker brought."""
        track = self._tracks.get(topic) if self._tracks else None
        if track is None:
            self._fanout.deliver(topic, data, position)
            return
        here = track.position
        if track.behind or (here is None and position is not None):
            if not track.hold_back(data, position):
                for each in (*track.let_pass(), data):
                    self._fanout.deliver(topic, each)
            return
        if here is None or position is None:
            self._fanout.deliver(topic, data)
            return
        track.idle = 0
        if position.epoch != here.epoch:
            self._begin_anew(topic, track, Position(position.epoch, position.offset - 1))
            self._pass_on(topic, track, data, position)
        elif position.offset == here.offset + 1:
            self._pass_on(topic, track, data, position)
        elif position.offset <= here.offset:
            self._metrics.count(Count.REPEATED)
        else:
            self._fall_behind(topic, track)

    def missed(self, topic: Topic) -> None:
        """Something of this topic may not have been brought."""
        track = self._tracks.get(topic)
        if track is not None:
            track.doubts += 1
            self._fall_behind(topic, track)

    def resumed(self) -> None:
        """Of every topic something may not have been brought. Nothing is passed on before that is known."""
        for track in self._tracks.values():
            track.doubts += 1
            track.behind = True
        self.coming_back += 1
        self._spawn(self._come_back(tuple(self._tracks.items())))

    # What joins and admissions call.

    async def join(self, topic: Topic, keep: History, since: Since | None = None) -> Standing:
        """Where somebody who joins now begins, and what it missed since it was here.

        When it returns everything up to that position has been passed on, and nothing after it. Raises Unavailable.
        """
        track = self._tracks.get(topic)
        if track is None:
            look = partial(self._look_for, topic)
            track = self._tracks[topic] = TopicHistory(keep, self._limits, look)
            self._rounds.begin()
        depths = track.depths
        for looks in range(_TRIES):
            here = track.position
            known = since is not None and (here is None or came_by(since, here))
            if here is not None and not track.behind:
                if since is None:
                    return Standing(here, None, ())
                found = track.recover(here, since)
                if found is None and (track.window and track.depths != depths if known else looks):
                    found = Missed((), complete=False)
                if found is not None:
                    return Standing(here, found.complete, found.messages)
            # What never was is not looked for among all that is kept: anybody can ask for it.
            track.deep = track.deep or known
            await track.look()
        raise Unavailable

    def forget(self, topic: Topic) -> None:
        """It is heard no more."""
        self._tracks.pop(topic, None)

    def stop(self) -> None:
        self._tracks.clear()
        self._rounds.stop()

    # How messages are passed on.

    def _pass_on(self, topic: Topic, track: TopicHistory, data: bytes, position: Position) -> None:
        track.position, track.last = position, data
        outgoing = self._fanout.deliver(topic, data, position)
        if track.window is not None:
            track.window.append(outgoing or self._fanout.read(topic, data, position))

    def _begin_anew(self, topic: Topic, track: TopicHistory, position: Position) -> None:
        """Another life of the stream, of which nothing was passed on up to this position."""
        self._skip(topic, track, Position(position.epoch, 0), position.offset)

    def _skip(self, topic: Topic, track: TopicHistory, here: Position, upto: int) -> None:
        """What is between is nowhere any more."""
        track.window = track.last = None
        track.position = Position(here.epoch, upto)
        self._fanout.gap(topic, epoch=here.epoch, after=here.offset, upto=upto)

    # How history is looked into.

    def _fall_behind(self, topic: Topic, track: TopicHistory) -> None:
        track.behind = True
        if not track.catching_up:
            self._spawn(self._catch_up(topic, track))

    async def _come_back(self, tracks: Sequence[tuple[Topic, TopicHistory]]) -> None:
        try:
            await in_batches(self._catch_up, tracks)
        finally:
            self.coming_back -= 1

    async def _catch_up(self, topic: Topic, track: TopicHistory, *, once: bool = False) -> None:
        """Until it has, or the broker is away: then it is tried again in the next round. `once`: look in any case."""
        if track.catching_up:
            return
        track.catching_up = True
        try:
            while (track.behind or once) and self._tracks.get(topic) is track:
                once = False
                await track.look()
        except Unavailable:
            pass
        finally:
            track.catching_up = False

    def _look_for(self, topic: Topic, track: TopicHistory) -> SingleFlight[None]:
        return SingleFlight(self._spawn, partial(self._look, topic, track))

    async def _look(self, topic: Topic, track: TopicHistory) -> None:
        here, last, doubts = track.position, track.last, track.doubts
        # What is behind is brought forward first: the newest few may not reach back to where it stands.
        deep = track.deep and not (track.behind and here is not None)
        track.deep = track.deep and not deep
        track.begin_look()
        if deep and here is not None and track.window is None:
            # Before the look, so that what comes during it is in there too.
            track.open_window(here.offset)
        if deep:
            past = await self._broker.read(topic, track.keep, limit=self._limits.replay, reverse=True)
            past = past._replace(entries=past.entries[::-1])
        elif here is None:
            past = await self._broker.read(topic, track.keep, limit=0)
        else:
            # With the last one that was passed on: is it still the same?
            past = await self._broker.read(topic, track.keep, since=max(0, here.offset - 1), limit=_FILL)
        if here is not None and went_back(past, here, last):
            _log.warning("the history of a topic went back: what follows is another epoch")
            past = Past(await self._broker.turn_back(topic, track.keep, here.epoch), ())
        track.stuck = 0
        if self._tracks.get(topic) is track and track.doubts == doubts:
            self._apply(topic, track, here, past, deep=deep)

    def _apply(self, topic: Topic, track: TopicHistory, asked: Position | None, past: Past, *, deep: bool) -> None:
        """`asked`: where the topic stood when the look began."""
        here, top = track.position, past.top
        track.idle = 0
        if here is None:
            track.position = top
            if deep:
                track.open_window(top.offset)
        elif asked is None or asked.epoch != here.epoch:
            return  # the look is older than what was heard meanwhile
        elif top.epoch != here.epoch:
            self._begin_anew(topic, track, top)
        elif not self._bring_forward(topic, track, here, past, deep=deep):
            return
        if deep and track.window is not None:
            older = [
                (entry.offset, self._fanout.read(topic, entry.data, Position(top.epoch, entry.offset)))
                for entry in past.entries
                if entry.offset <= track.window.after
            ]
            track.window.reach_back(older, whole=len(past.entries) < self._limits.replay)
            track.depths += 1
        self._settle(topic, track, top)

    def _bring_forward(self, topic: Topic, track: TopicHistory, here: Position, past: Past, *, deep: bool) -> bool:
        """Pass on what history has and the members have not. False where this look does not reach back so far."""
        fresh = [entry for entry in past.entries if entry.offset > here.offset]
        hole = fresh[0].offset > here.offset + 1 if fresh else past.top.offset > here.offset
        if deep and hole:
            # The newest few are not enough to know whether the others are lost.
            self._fall_behind(topic, track)
            return False
        for entry in fresh:
            if entry.offset > here.offset + 1:
                self._skip(topic, track, here, entry.offset - 1)
            here = Position(here.epoch, entry.offset)
            self._pass_on(topic, track, entry.data, here)
        if here.offset < past.top.offset and (deep or len(past.entries) < _FILL):
            self._skip(topic, track, here, past.top.offset)
        return True

    def _settle(self, topic: Topic, track: TopicHistory, top: Position) -> None:
        """It is caught up with, where the look reached the top, and what came during it goes on from there."""
        if track.position is not None and track.position.offset < top.offset:
            self._fall_behind(topic, track)
            return
        track.behind = False
        waiting, whole = track.let_go()
        for data, position in waiting:
            here = track.position
            if position is None or here is None or position.epoch != here.epoch or position.offset > here.offset:
                self.deliver(topic, data, position)
        if not whole:
            self._fall_behind(topic, track)

    # What the rounds call.

    def _look_after(self, doubtful: Sequence[tuple[Topic, TopicHistory]]) -> None:
        self._spawn(in_batches(partial(self._catch_up, once=True), doubtful))

    def _send_away(self, topic: Topic) -> None:
        self._fanout.close(topic, closes.POSITION_LOST)
