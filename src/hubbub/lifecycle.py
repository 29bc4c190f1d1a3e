"""What runs while a hub runs: its clock, its wheel of timers, its background tasks, and what it knows of its process.

Everything bound to an event loop is made when the hub starts, so a hub can be declared at import, before a fork or a
spawn, and started more than once.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from hubbub.eager import Eager
from hubbub.ports.clock import Alarm, Clock
from hubbub.state.timers import Timers

_log = logging.getLogger("hubbub.lifecycle")


# A credential may be good for a month, and the wheel would keep a bucket for it as long, whoever has left meanwhile.
_LONGEST_SLEEP = 3600.0


class SystemClock:
    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    def call_at(self, when: float, ring: Callable[[], None]) -> Alarm:
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), ring)


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
        self._timers: Timers[T] = Timers(resolution)
        self._alarm: Alarm | None = None
        self._alarm_at = float("inf")

    def __len__(self) -> int:
        return len(self._timers)

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
            who.tick(now)
        self._set_alarm()


class Background:
    """Tasks that nobody awaits: kept from the garbage collector, heard when they fail, ended with the hub."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._eager = Eager(self._keep)
        self.begin = self._eager.begin
        """As `spawn`, but it runs at once until it waits; None where it never did."""

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._keep(asyncio.create_task(work))

    async def end(self, *, within: float) -> None:
        """Let them finish, and cancel what has not by then."""
        # The end of one may begin another: a join that is undone has something to tell the broker.
        until = asyncio.get_running_loop().time() + within
        while self._tasks and (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(tuple(self._tasks), timeout=left)
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(tuple(self._tasks))
        self._eager.stop()

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a background task failed", exc_info=error)


def workers_of_this_server() -> int:
    """How many processes serve this application, as far as this one can know; 1 where nothing says otherwise.

    `hubbub serve` says it in HUBBUB_WORKERS, uvicorn and gunicorn take WEB_CONCURRENCY, and a running uvicorn server
    has it in its configuration, which is reached through the signal handler it has installed.
    """
    known = [os.environ.get("HUBBUB_WORKERS"), os.environ.get("WEB_CONCURRENCY")]
    for number in (signal.SIGTERM, signal.SIGINT):
        server = getattr(signal.getsignal(number), "__self__", None)
        known.append(getattr(getattr(server, "config", None), "workers", None))
    return max([int(count) for count in known if count is not None and str(count).isdecimal()] or [1])
