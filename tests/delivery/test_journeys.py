"""One message is timed now and then, from `send` to the end of the turn in which it was written; none is waited for
that cannot come."""

import asyncio
import contextvars
import gc
import weakref
from collections.abc import Callable
from typing import Any

from hubbub.delivery.journeys import LOST, Journeys
from hubbub.ports.metrics import Observed, Tally
from hubbub.types import RoomName, room_topic

TOPIC = room_topic(RoomName("r"))


class Loop:
    """Its timers ring when a test says so."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay: float, ring: Callable[[], None], *, context: contextvars.Context) -> "Loop":
        self.timers = [(delay, ring)]
        return self

    def cancel(self) -> None:
        self.timers = []

    def ring(self, *, after: float) -> None:
        [(delay, ring)] = self.timers
        assert delay == after
        self.timers = []
        ring()


class Timed:
    def __init__(self) -> None:
        self.loop, self.metrics, self.now, self.heard = Loop(), Tally(), 100.0, True
        loop: Any = self.loop
        self.journeys = Journeys(loop, self.metrics, lambda topic: self.heard, stopwatch=lambda: self.now)

    @property
    def took(self) -> list[float]:
        """How many were told of, and the seconds of all together."""
        histogram = self.metrics.histograms[Observed.PUBLISH_TO_DELIVERY]
        return [sum(histogram.counts), round(histogram.sum, 6)]


def test_from_its_begin_to_its_end_and_then_there_is_a_pause() -> None:
    s = Timed()
    assert s.journeys.idle
    s.journeys.begin(TOPIC, b"x")
    assert (s.journeys.idle, s.journeys.data, s.journeys.topic) == (False, b"x", TOPIC)
    s.now += 0.25
    s.journeys.arrive()
    assert (s.journeys.came, s.journeys.data) == (True, None)
    s.now += 0.25
    s.journeys.end()
    assert s.took == [1, 0.5]
    assert not s.journeys.idle
    s.loop.ring(after=0.05)
    assert s.journeys.idle


def test_what_nobody_here_would_get_is_not_waited_for() -> None:
    s = Timed()
    s.heard = False
    s.journeys.begin(TOPIC, b"x")
    assert (s.journeys.idle, s.journeys.data) == (True, None)
    assert s.loop.timers == []


def test_where_everybody_has_left_meanwhile_nothing_is_told() -> None:
    s = Timed()
    s.journeys.begin(TOPIC, b"x")
    s.heard = False
    s.journeys.arrive()
    assert (s.journeys.came, s.took) == (False, [0, 0])
    s.loop.ring(after=0.05)
    assert s.journeys.idle


def test_one_that_does_not_come_counts_as_longer_than_all_bounds() -> None:
    s = Timed()
    s.journeys.begin(TOPIC, b"x")
    s.now += LOST
    s.loop.ring(after=LOST)
    assert s.took == [1, LOST]
    assert s.metrics.histograms[Observed.PUBLISH_TO_DELIVERY].counts[-1] == 1
    s.loop.ring(after=0.05)
    s.journeys.begin(TOPIC, b"y")
    s.heard = False
    s.loop.ring(after=LOST)
    assert s.took == [1, LOST]


def test_one_that_was_refused_is_forgotten_and_another_is_not() -> None:
    s = Timed()
    data = b"x"
    s.journeys.begin(TOPIC, data)
    s.journeys.forget(b"y")
    assert s.journeys.data is data
    s.journeys.forget(data)
    assert (s.journeys.data, s.took) == (None, [0, 0])
    s.loop.ring(after=0.05)
    assert s.journeys.idle


class Session:
    """What an application has for a request, or a user."""


SESSION: contextvars.ContextVar[Session] = contextvars.ContextVar("session")


async def test_a_timer_keeps_nothing_of_who_has_sent() -> None:
    journeys = Journeys(asyncio.get_running_loop(), Tally(), lambda topic: True)

    def send() -> "weakref.ref[Session]":
        session = Session()
        SESSION.set(session)
        journeys.begin(TOPIC, b"x")
        return weakref.ref(session)

    session = contextvars.copy_context().run(send)
    gc.collect()
    assert session() is None
    journeys.stop()


def test_stopped_it_times_nothing() -> None:
    s = Timed()
    s.journeys.begin(TOPIC, b"x")
    s.journeys.stop()
    assert s.loop.timers == []
    assert (s.journeys.idle, s.journeys.data, s.journeys.came) == (False, None, False)
