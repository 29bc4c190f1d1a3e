"""Somebody outside of the event loop who notices that it does not turn, and sees at what it stands.

A call that blocks holds the loop wherever it was made: in a handler, but as well in a dependency, a route, a task or a
library. Measuring each of these lost: most are not ours to call, and of a call that never ends there is nothing to
measure. So the loop has a heart, a timer, and a thread looks whether it beats. What it makes of what it sees is
decided in `blocked.py`. The frames are read by `sys._current_frames`; nothing is traced, and no handler is slower.

One thread for each loop, however many hubs run in it, and it ends with the last of them.
"""

import asyncio
import contextvars
import gc
import logging
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from types import CodeType
from typing import NamedTuple, TypeVar

from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics, Observed
from hubbub.scheduling.blocked import LASTING, Blocked, Look, Stretch, Told, Turn
from hubbub.scheduling.stack import Level, Place, Stack, depth_of, packages_of, read
from hubbub.types import NodeId

_log = logging.getLogger("hubbub.loop")

# Between two beats: the limit, within these.
_SHORTEST, _LONGEST = 0.05, 0.25
# What the end of a hub waits for the thread to tell what it has seen.
_FAREWELL = 1.0
_KEPT = 64


class _Beat(NamedTuple):
    number: int
    due: float
    cpu: float
    thread: int
    depth: int
    root: CodeType | None


class Watchdog:
    """`limit`: how long the loop may be held, in seconds; None: it is not watched. `modules`: the application's.

    Made and started in the loop.
    """

    def __init__(self, limit: float | None, metrics: Metrics, node: NodeId, modules: Iterable[str] = ()) -> None:
        self.limit = limit
        self.metrics = metrics
        self.node = node
        self.own = packages_of(modules)
        self._heart: _Heart | None = None

    def start(self) -> None:
        if self.limit is not None:
            loop = asyncio.get_running_loop()
            heart = _hearts.get(loop)
            if heart is None:
                heart = _hearts[loop] = _Heart(loop)
            self._heart = heart
            heart.enter(self)

    def stop(self) -> None:
        """What it has seen until now is told. Nothing happens the second time."""
        heart, self._heart = self._heart, None
        if heart is not None:
            heart.leave(self)

    def held(self, name: str, code: CodeType | None, seconds: float) -> None:
        """This function held the loop until now, as who called it has measured."""
        if self._heart is not None:
            place = Place(name, "", 0)
            if code is not None:
                place = Place(name, Level(code, "", 0).file, code.co_firstlineno)
            self._heart.stretches.append(Stretch(place, seconds, time.monotonic()))


class _Heart:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # A loop that was dropped without a word is not to live on for being watched: nor by its timer, which knows it.
        self._loop = weakref.ref(loop)
        self._timer: weakref.ref[asyncio.Handle] | None = None
        self._users: tuple[Watchdog, ...] = ()
        self._node = NodeId("")
        self.stretches: deque[Stretch] = deque(maxlen=_KEPT)
        self._turns: deque[Turn] = deque(maxlen=_KEPT)
        self._blocked = Blocked(1.0)
        self._counted = 0
        self._context = contextvars.Context()
        self._clock = _Clock()
        self._period = _SHORTEST
        self._paused = False
        """The loop did not run at some time since the last beat."""
        self._beat = _Beat(0, 0.0, 0.0, 0, 0, None)
        self._over: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def enter(self, user: Watchdog) -> None:
        self._set((*self._users, user))
        if self._thread is None:
            # In a callback of its own: what is below it on the stack is what runs the loop, and nothing else.
            self._timer = weakref.ref(asyncio.get_running_loop().call_soon(self._next, context=self._context))
            self._over = threading.Event()
            self._thread = threading.Thread(target=self._watch, args=(self._over,), name="hubbub-watchdog", daemon=True)
            self._thread.start()

    def leave(self, user: Watchdog) -> None:
        self._count()
        self._node = user.node
        self._set(tuple(each for each in self._users if each is not user))
        if self._users or self._thread is None or self._over is None:
            return
        if self._timer is not None and (timer := self._timer()) is not None:
            timer.cancel()
        # Who watches this loop later begins anew: what lies between was nobody's to see.
        if (loop := self._loop()) is not None:
            _hearts.pop(loop, None)
        self._over.set()
        self._thread.join(_FAREWELL)
        self._count(user)
        self._thread = self._over = None

    def _set(self, users: tuple[Watchdog, ...]) -> None:
        self._users = users
        if users:
            limit = min(user.limit for user in users if user.limit is not None)
            self._period = min(_LONGEST, max(_SHORTEST, limit))
            self._blocked.limit = limit
            self._blocked.own = frozenset().union(*(user.own for user in users))

    # In the loop.

    def _next(self) -> None:
        now, beat, cpu = time.monotonic(), self._beat, _computed()
        if beat.number and not self._paused:
            late = max(0.0, now - beat.due)
            for user in self._users:
                user.metrics.observe(Observed.LOOP_LAG, late)
            if late > self._period / 2:
                self._turns.append(Turn(beat.number, now, late, cpu - beat.cpu))
        self._count()
        self._paused = False
        thread = threading.get_ident()
        if thread != self._clock.thread:
            self._clock = _Clock.of_this_thread()
        depth, root = depth_of(sys._getframe())  # noqa: SLF001 - the name is old, the function is documented
        timer = asyncio.get_running_loop().call_later(self._period, self._next, context=self._context)
        self._timer = weakref.ref(timer)
        self._beat = _Beat(beat.number + 1, time.monotonic() + self._period, cpu, thread, depth - 1, root)

    def _count(self, *users: Watchdog) -> None:
        count = self._blocked.count
        if count > self._counted:
            for user in users or self._users:
                user.metrics.count(Count.LOOP_BLOCKED, count - self._counted)
            self._counted = count

    # In the thread.

    def _watch(self, over: threading.Event) -> None:
        again = time.monotonic() + self._period
        while True:
            switches, computed = _switches(), time.process_time()
            wait = max(0.0, again - time.monotonic())
            ended = over.wait(wait)
            now = time.monotonic()
            late = 0.0 if ended else max(0.0, now - again)
            withheld = late > self._period / 2 and (
                # Whoever waits for the interpreter asks for it again and again; who is stopped or asleep does not.
                _switches() - switches > late / (2 * sys.getswitchinterval())
                and time.process_time() - computed < late / 20
            )
            loop = self._loop()
            if loop is None or loop.is_closed():
                return
            try:
                again = self._look(now, late, loop.is_running(), withheld=withheld)
            except Exception:  # noqa: BLE001 - whoever watches goes on
                _log.exception("the event loop could not be looked at", extra=fields(Event.LOOP_NOT_LOOKED_AT))
                again = now + self._period
            del loop
            if ended:
                return

    def _look(self, now: float, late: float, running: bool, *, withheld: bool) -> float:
        # First: a turn that is over is among `turns` before the next beat is here.
        beat = self._beat
        if not beat.number:
            return now + self._period
        if not running:
            self._paused = True
        cpu, delayed = self._clock.read()
        look = Look(
            now=now,
            late=late,
            beat=beat.number,
            due=beat.due,
            cpu_then=beat.cpu,
            cpu=cpu,
            delayed=delayed,
            withheld=withheld,
            running=running,
            collected=gc.get_stats()[-1]["collections"],
            stack=lambda: _stack_of(beat),
            turns=_all_of(self._turns),
            stretches=_all_of(self.stretches),
        )
        again, news = self._blocked.look(look)
        for told in news:
            self._tell(told)
        return again

    def _tell(self, told: Told) -> None:
        place = told.place
        parts = ["the event loop has been blocked for" if told.lasts else "the event loop was blocked for"]
        parts.append(f"{told.seconds:.1f} s" if told.seconds >= LASTING else f"{told.seconds * 1000:.0f} ms")
        if place is None:
            parts.append("by something that let nobody see it")
        else:
            parts.append(f"by {place}")
        if told.collected:
            parts.append("(a garbage collection ran meanwhile)")
        waiting = "every client of this worker waits" if told.lasts else "every client of this worker waited"
        more = f"; there {told.more} times more since it was told last" if told.more else ""
        _log.warning(
            "%s: %s%s",
            " ".join(parts),
            waiting,
            more,
            extra=fields(
                Event.LOOP_BLOCKED,
                node=self._users[0].node if self._users else self._node,
                function=None if place is None else place.function,
                file=None if place is None else place.file,
                line=None if place is None else place.line,
                within=None if place is None else place.within,
                seconds=round(told.seconds, 3),
                lasts=told.lasts,
                stack=list(told.stack),
            ),
        )


class _Clock:
    """What one thread has computed, and waited for a processor, as far as the system tells others of it."""

    def __init__(self, thread: int = 0, computed: int | None = None, delayed: str | None = None) -> None:
        self.thread = thread
        self._computed = computed
        self._delayed = delayed

    @classmethod
    def of_this_thread(cls) -> "_Clock":
        thread = threading.get_ident()
        # Asked for by the thread itself: of one that has ended Python may not ask.
        computed = time.pthread_getcpuclockid(thread) if hasattr(time, "pthread_getcpuclockid") else None
        return cls(thread, computed, f"/proc/self/task/{threading.get_native_id()}/schedstat")

    def read(self) -> tuple[float | None, float | None]:
        return self._read_computed(), self._read_delayed()

    def _read_computed(self) -> float | None:
        try:
            return None if self._computed is None else time.clock_gettime(self._computed)
        except OSError:  # it has ended
            return None

    def _read_delayed(self) -> float | None:
        if self._delayed is not None:
            try:
                return int(Path(self._delayed).read_bytes().split()[1]) / 1e9
            except (OSError, ValueError, IndexError):
                self._delayed = None
        return None


def _computed() -> float:
    return time.thread_time()


def _switches() -> int:
    """How often this thread has waited for anything."""
    if sys.platform != "linux":
        return 0
    from resource import RUSAGE_THREAD, getrusage

    return getrusage(RUSAGE_THREAD).ru_nvcsw


def _stack_of(beat: _Beat) -> Stack:
    return read(sys._current_frames().get(beat.thread), depth=beat.depth, root=beat.root)  # noqa: SLF001 - documented


T = TypeVar("T")


def _all_of(waiting: deque[T]) -> list[T]:
    return [waiting.popleft() for _ in range(len(waiting))]


_hearts: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Heart] = weakref.WeakKeyDictionary()
