"""Looking after all topics that keep history, once a second: which of them are to be looked up though nothing came.

What is missing at the end of a topic shows by nothing, so one in which nothing was heard for 25 seconds is read, as
is one that could not be caught up with. One that cannot be read for 30 seconds although the broker is there is given
up: its members are sent away, to come back where it can be read.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from hubbub.history.topic import TopicHistory
from hubbub.ports.clock import Alarm, Clock
from hubbub.types import Topic

_log = logging.getLogger("hubbub.positions")

#: Seconds from one round to the next, and rounds without a message before a topic is looked up.
_ROUND, _IDLE = 1.0, 25
#: IdleCheck for which a topic may stay behind while the broker is ready.
_STUCK = 30
#: Topics looked up at a time: enough to be quick, few enough to be kind.
_BATCH = 64


class IdleCheck:
    def __init__(
        self,
        tracks: Mapping[Topic, TopicHistory],
        clock: Clock,
        ready: Callable[[], bool],
        look_after: Callable[[Sequence[tuple[Topic, TopicHistory]]], None],
        send_away: Callable[[Topic], None],
    ) -> None:
        self._tracks = tracks
        self._clock = clock
        self._ready = ready
        self._look_after = look_after
        self._send_away = send_away
        self._alarm: Alarm | None = None

    def begin(self) -> None:
        """There are topics. Ends by itself when there are none."""
        if self._alarm is None:
            self._alarm = self._clock.call_at(self._clock.now() + _ROUND, self._go)

    def stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _go(self) -> None:
        self._alarm = None
        if not self._tracks:
            return
        ready = self._ready()
        doubtful: list[tuple[Topic, TopicHistory]] = []
        for topic, track in tuple(self._tracks.items()):
            track.grow_old()
            if not ready or track.position is None:
                continue
            track.idle += 1
            if track.behind:
                track.stuck += 1
                if track.stuck == _STUCK:
                    _log.warning("the history of a topic could not be read for %d s: its members are sent away", _STUCK)
                    self._send_away(topic)
                if not track.catching_up:
                    doubtful.append((topic, track))
            elif track.idle >= _IDLE:
                track.idle = 0
                doubtful.append((topic, track))
        if doubtful:
            self._look_after(doubtful)
        self.begin()


async def in_batches(
    do: Callable[[Topic, TopicHistory], Coroutine[Any, Any, None]], tracks: Sequence[tuple[Topic, TopicHistory]]
) -> None:
    """Do it for all of them."""
    for start in range(0, len(tracks), _BATCH):
        await asyncio.gather(*(do(*each) for each in tracks[start : start + _BATCH]))
