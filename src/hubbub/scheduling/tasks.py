"""Tasks that nobody awaits, and the two ways to begin one.

Bound to an event loop, so made when a hub starts: a hub can be declared at import, before a fork or a spawn, and
started more than once. Bound to the context variables of that moment as well: what is begun here outlives the message
that was the cause, and would carry one user's tenant, trace and scope of errors on into what is done for all.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

from hubbub.ports.logs import Event, fields
from hubbub.scheduling.eager import Eager

_log = logging.getLogger("hubbub.lifecycle")

#: Starts a task that the hub keeps, waits for at its end, and never forgets.
Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

#: Keeps a task that another began, and waits for it at the end. What it raises is for that other to hear.
Keep: TypeAlias = Callable[[asyncio.Task[Any]], None]


class Begin(Protocol):
    def __call__(
        self, work: Coroutine[Any, Any, None], context: contextvars.Context | None = None, /
    ) -> asyncio.Task[None] | None:
        """Run it until it waits. The task that goes on with it, None where it did not have to.

        `context`: nobody else's; default the hub's own.
        """


async def repeat(
    work: Callable[[], Coroutine[Any, Any, None]], every: float, soon: asyncio.Event, log: logging.Logger, failed: str
) -> None:
    """Do it each `every` seconds, and when `soon` is set, until cancelled. Where it raises, `failed` says so."""
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(every):
                await soon.wait()
        soon.clear()
        try:
            await work()
        except Exception:
            log.exception("%s; it is tried again", failed, extra=fields(Event.TASK_FAILED, cause=failed))


class Background:
    """Tasks that nobody awaits: kept from the garbage collector, heard when they fail, ended with the hub."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._context = contextvars.copy_context()
        self._eager = Eager(self._keep)
        self.begin = self._eager.begin
        """As `spawn`, but it runs at once until it waits; None where it never did."""

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None], context: contextvars.Context | None = None) -> asyncio.Task[None]:
        """`context`: as `Begin` has it."""
        # Not by its argument `context`: there are task factories that know none. A copy, because an eager one runs it.
        return self._keep((context or self._context.copy()).run(asyncio.create_task, work))

    def keep(self, task: asyncio.Task[Any]) -> None:
        """See `Keep`."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self, *, within: float) -> int:
        """Let them finish, and cancel what has not by then: how many they were."""
        # The end of one may begin another: a join that is undone has something to tell the broker.
        until = asyncio.get_running_loop().time() + within
        while self._tasks and (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(tuple(self._tasks), timeout=left)
        late = len(self._tasks)
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(tuple(self._tasks))
        self._eager.stop()
        return late

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a background task failed", exc_info=error, extra=fields(Event.TASK_FAILED))


def is_our_end(error: BaseException) -> bool:
    """Whether an exception of the application's function is none of its own: the end of our task, or of the process.

    A function may have awaited what was cancelled, and whatever else it raises, `SystemExit` too, is one message's
    failure and no reason to end the worker for everybody. Ctrl-C is the operator's.
    """
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        return isinstance(error, KeyboardInterrupt)
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs any more
        return True
    return task is None or task.cancelling() > 0
