"""One alarm for the deadlines of all."""

import logging
from typing import Generic, Protocol, TypeVar

from hubbub.ports.clock import Alarm, Clock
from hubbub.ports.logs import Event, fields
from hubbub.scheduling.timer_wheel import TimerWheel

_log = logging.getLogger("hubbub.lifecycle")

# A credential may be good for a month, and the wheel would keep a bucket for it as long, whoever has left meanwhile.
_LONGEST_SLEEP = 3600.0
# Who failed when it was woken has a deadline still.
_AGAIN = 1.0


class Ticks(Protocol):
    def tick(self, now: float) -> None: ...

    def __hash__(self) -> int: ...


T = TypeVar("T", bound=Ticks)


class Waker(Generic[T]):
    """One alarm for the deadlines of all: set for the earliest, and set anew when an earlier one comes.

    Who asks for a time that is further off than an hour is woken after an hour, and asks again.
    """

    def __init__(self, clock: Clock, *, resolution: float) -> None:
        self._clock = clock
        self._timers: TimerWheel[T] = TimerWheel(resolution)
        self._alarm: Alarm | None = None
        self._alarm_at = float("inf")

    def __len__(self) -> int:
        return len(self._timers)

    @property
    def buckets(self) -> int:
        """Of the wheel, empty ones too."""
        return self._timers.buckets

    def wake_at(self, who: T, when: float) -> None:
        self._timers.set(who, min(when, self._clock.now() + _LONGEST_SLEEP))
        self._set_alarm()

    def forget(self, who: T) -> None:
        self._timers.remove(who)

    def stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    def _set_alarm(self) -> None:
        due = self._timers.due()
        if due is None or due >= self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = due
        self._alarm = self._clock.call_at(due, self._ring)

    def _ring(self) -> None:
        self._alarm_at = float("inf")
        now = self._clock.now()
        for who in self._timers.expired(now):
            try:
                who.tick(now)
            except Exception:  # noqa: BLE001 - the others' deadlines have nothing to do with it
                _log.exception(
                    "what was due for one could not be done, and is tried again", extra=fields(Event.TASK_FAILED)
                )
                self._timers.set(who, now + _AGAIN)
        self._set_alarm()
