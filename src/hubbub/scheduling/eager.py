"""Running a coroutine at once, in this turn of the event loop, and as a task only if it waits.

From Python 3.12 on asyncio does this itself (`eager_start`). Python 3.11 does not, but has what a task's own code
needs to believe: that a current task is there, and that it is the same one to the end (`asyncio.timeout`, task groups
and anyio's scopes remember it). So real tasks stand by, parked. While a coroutine takes its first step one of them is
the current task; if the coroutine waits, it wakes, adopts the coroutine and runs it to the end, and another is parked.
The coroutine's context variables are those it was begun with, in its first step and in all that follow.

Making a task for every message lost: two more turns of the loop and about a third of what a small message costs.
"""

import asyncio
import contextvars
import sys
from asyncio.tasks import _enter_task, _leave_task, current_task
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeAlias
from weakref import getweakrefcount

Work: TypeAlias = Coroutine[Any, Any, None]

#: How many stand by. One begun within another's step is common: a connection is let in, its user comes online.
_DEPTH = 3


class Eager:
    """Bound to the running loop and to the context variables that hold here. `keep` is given every task that goes on.

    `stop` at the end.
    """

    def __init__(self, keep: Callable[[asyncio.Task[None]], asyncio.Task[None]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._keep = keep
        self._parked = [] if sys.version_info >= (3, 12) else [self._park() for _ in range(_DEPTH)]

    def begin(self, work: Work, context: contextvars.Context | None = None) -> asyncio.Task[None] | None:
        """Run it until it waits or ends: the task that goes on with it, None where it has ended.

        `context`: what it runs in, and nothing else does; default a copy of the one this was made in, because what is
        begun may outlive the message that was the cause. What it raises is in the task; a coroutine that ends by an
        exception in its first step gives such a task, too.
        """
        if context is None:
            context = self._context.copy()
        if sys.version_info >= (3, 12):
            task = asyncio.Task(work, loop=self._loop, context=context, eager_start=True)
            return None if task.done() and not task.cancelled() and task.exception() is None else self._keep(task)
        current = current_task(self._loop)
        if current is not None:
            # Begun within the step of another: that one is not the current task meanwhile.
            _leave_task(self._loop, current)
        try:
            parked = self._parked.pop() if self._parked else self._park()
            if not parked.untouched():
                parked.task.cancel()
                parked = self._park()
            adopted = parked.step(work, context)
            if adopted is not None:
                parked = self._park()
            if len(self._parked) < _DEPTH:
                self._parked.append(parked)
            else:
                parked.task.cancel()
            return None if adopted is None else self._keep(adopted)
        finally:
            if current is not None:
                _enter_task(self._loop, current)

    def stop(self) -> None:
        while self._parked:
            self._parked.pop().task.cancel()

    def _park(self) -> "_Parked":
        # It may stand by for long, and would keep alive what the message that was the cause has in its variables.
        return self._context.copy().run(_Parked, self._loop)


class _Parked:
    """A task that waits to be given a coroutine that has taken its first step already."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._adoption = _Adoption(loop.create_future())
        self.task: asyncio.Task[None] = loop.create_task(self._adoption)
        self._name = self.task.get_name()
        self._gate = self._adoption.gate
        self._references = sys.getrefcount(self.task)
        self._weak = getweakrefcount(self.task)

    def untouched(self) -> bool:
        """Nobody has kept it, or asked it to end: what one message's code ties to its task, the next must not find."""
        task = self.task
        return (
            not self._gate.done()
            and not task._must_cancel  # type: ignore[attr-defined]  # noqa: SLF001 - `uncancel` does not undo it
            and not task._callbacks  # noqa: SLF001 - not to be had otherwise
            and task.get_name() == self._name
            and getweakrefcount(task) == self._weak
            # One more for `task`.
            and sys.getrefcount(task) == self._references + 1
        )

    def step(self, work: Work, context: contextvars.Context) -> asyncio.Task[None] | None:
        # The documented way for tasks of one's own: "Extending asyncio", task lifetime support.
        _enter_task(self._loop, self.task)
        try:
            awaited = context.run(work.send, None)
        except StopIteration:
            return None
        except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine's task, whatever it is
            self._adoption.fail(error)
        else:
            self._adoption.take(work, awaited, context)
        finally:
            _leave_task(self._loop, self.task)
        return self.task


class _Adoption(Coroutine[Any, Any, None], Generator[Any, Any, None]):
    """What a parked task runs. Not a generator function: what is thrown at one before it has begun is lost."""

    def __init__(self, gate: asyncio.Future[None]) -> None:
        self.gate = gate
        self._work: Work | None = None
        self._awaited: list[Any] = []
        """What the first step waits for, until the task does."""
        self._context = contextvars.Context()
        self._error: BaseException | None = None
        self.__qualname__ = "parked"
        """What the task says it runs."""

    def __await__(self) -> Generator[Any, Any, None]:
        # Some task factories wrap what their tasks run.
        return self

    def take(self, work: Work, awaited: Any, context: contextvars.Context) -> None:
        self._work, self._context = work, context
        self.__qualname__ = getattr(work, "__qualname__", type(work).__name__)
        self._awaited.append(awaited)
        self._open()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._open()

    def send(self, value: Any) -> Any:
        if self._error is not None:
            raise self._error
        if self._work is None:
            return next(self.gate.__await__())
        return self._awaited.pop() if self._awaited else self._context.run(self._work.send, value)

    def throw(self, error: Any, *_: Any) -> Any:
        if self._error is not None:
            raise self._error
        if self._work is None:
            self.gate.cancel()
            raise error
        if self._awaited:
            # The task was cancelled before it waited for this. One that waits hands on a cancellation.
            awaited = self._awaited.pop()
            if awaited is not None and isinstance(error, asyncio.CancelledError) and awaited.cancel(*error.args):
                return awaited
        return self._context.run(self._work.throw, error)

    def close(self) -> None:
        if self._work is not None:
            self._work.close()

    def _open(self) -> None:
        # Who cancels itself in its first step has cancelled the gate.
        if not self.gate.done():
            self.gate.set_result(None)
