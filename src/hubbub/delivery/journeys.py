"""How long a message takes from `send` to the sockets: one is timed now and then, by this worker's own clock alone.

What this worker sends, and what is for members of its own, goes to the broker and comes back like everybody's. One of
them at a time is known again when it comes, and its journey ends with the turn of the event loop in which it was
written. Clocks of two machines differ by more than a journey takes: so none is timed from one worker to another, and
nothing is added to what crosses the broker.

What is asked of every message is one attribute, and one comparison of what the broker brings.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable

from hubbub.ports.metrics import Metrics, Observed
from hubbub.types import Topic

#: Seconds from the end of one journey to the beginning of the next.
_PAUSE = 0.05
#: Seconds after which a message is not waited for any more: it counts as one that took longer than all bounds.
LOST = 11.0


class Journeys:
    """`hears`: whether anybody of this worker would get what is sent to a topic.

    Read in place on the way of every message: `idle`, the next one sent may be timed; `data`, what is waited for, None
    where nothing is; `came`, it is among what is written at the end of this turn.
    """

    __slots__ = (
        "_alarm",
        "_context",
        "_hears",
        "_loop",
        "_metrics",
        "_sent",
        "_since",
        "_stopwatch",
        "came",
        "data",
        "idle",
        "topic",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        metrics: Metrics,
        hears: Callable[[Topic], bool],
        *,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._loop = loop
        self._metrics = metrics
        self._hears = hears
        self._stopwatch = stopwatch
        self._since = 0.0
        # A timer outlives the message it is about, and is not to keep alive what its sender had.
        self._context = contextvars.copy_context()
        self._alarm: asyncio.TimerHandle | None = None
        self.idle: bool = True
        self._sent: bytes | None = None
        self.topic: Topic | None = None
        self.data: bytes | None = None
        self.came: bool = False

    def begin(self, topic: Topic, data: bytes) -> None:
        """It is about to be published; nothing where none of this worker's would get it."""
        if not self._hears(topic):
            return
        self.idle = False
        self.topic, self._sent, self.data = topic, data, data
        self._since = self._stopwatch()
        self._alarm = self._loop.call_later(LOST, self._give_up, context=self._context)

    def becomes(self, data: bytes, sent: bytes) -> None:
        """What was to be published goes out as this, with its trace."""
        if self._sent is data and self.data is data:
            self.data = sent

    def arrive(self) -> None:
        """The broker has brought it."""
        self.data = None
        self.came = self.topic is not None and self._hears(self.topic)
        if not self.came:
            self._rest()

    def end(self) -> None:
        """It is written."""
        self.came = False
        self._metrics.observe(Observed.PUBLISH_TO_DELIVERY, self._stopwatch() - self._since)
        self._rest()

    def forget(self, data: bytes) -> None:
        """It was not published."""
        if self._sent is data and self.data is not None:
            self._rest()

    def stop(self) -> None:
        """Time none any more."""
        if self._alarm is not None:
            self._alarm.cancel()
        self.idle, self.data, self.came = False, None, False

    def _give_up(self) -> None:
        if self.topic is not None and self._hears(self.topic):
            self._metrics.observe(Observed.PUBLISH_TO_DELIVERY, self._stopwatch() - self._since)
        self._rest()

    def _rest(self) -> None:
        self.data, self.came = None, False
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(_PAUSE, self._set_idle, context=self._context)

    def _set_idle(self) -> None:
        self._alarm = None
        self.idle = True
