"""One connection's work, one piece at a time, in order, within the turn of the event loop in which it came if it can.

A piece that waits for nothing is done when `submit` returns: no task, no queue, no wake-up. One that waits goes on as a
task, and what comes meanwhile waits behind it. An idle connection has neither task nor queue.

Each piece has context variables of its own, which begin as those of its owner: what it sets is gone with it.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from hubbub.scheduling.tasks import Begin

Owner = TypeVar("Owner")
W = TypeVar("W")


class Serial(Generic[Owner, W]):
    """`do` works on one piece of its owner's and raises nothing. Beside it `limit` pieces may wait.

    `context`: the owner's; it may be others' as well, because it is only copied.
    """

    __slots__ = ("_begin", "_busy", "_context", "_do", "_limit", "_owner", "_waiting")

    def __init__(
        self,
        begin: Begin,
        do: Callable[[Owner, W], Coroutine[Any, Any, None]],
        owner: Owner,
        *,
        limit: int,
        context: contextvars.Context,
    ) -> None:
        self._begin = begin
        # Apart: a function that knows its owner would be a quarter of a kilobyte of every idle connection.
        self._do = do
        self._owner = owner
        self._context = context
        self._limit = limit
        # Each with what it weighs.
        self._waiting: deque[tuple[W, int]] | None = None
        self._busy = False

    @property
    def context(self) -> contextvars.Context:
        """Its owner's."""
        return self._context

    @property
    def idle(self) -> bool:
        """Nothing is worked on, and no queue is kept."""
        return not self._busy and self._waiting is None

    def submit(self, work: W, source: str | bytes = b"") -> bool:
        """Whether there was room for it. `source`: what it was read from, and what it weighs while it waits."""
        if self._busy:
            if self._waiting is None:
                self._waiting = deque()
            if len(self._waiting) >= self._limit and not self._fits_beside(self._waiting, work):
                return False
            weight = self._weight_of(work, source)
            self._waiting.append((work, weight))
            self._weighed(weight)
            return True
        # Before it begins: what comes while it is being worked on waits, however it comes.
        self._busy = True
        task = self._begin(self._do(self._owner, work), self._context.copy())
        if task is None and self._waiting is None:
            self._busy = False
        else:
            self._go_on(task)
        return True

    def clear(self) -> None:
        """Forget what waits. What is being worked on is finished: half a handler's work would help nobody."""
        waiting, self._waiting = self._waiting, None
        if waiting:
            self._weighed(-sum(weight for _, weight in waiting))

    def _fits_beside(self, waiting: deque[tuple[W, int]], work: W) -> bool:
        """Whether it may wait although `limit` pieces do."""
        return False

    def _weight_of(self, work: W, source: str | bytes) -> int:
        return 0

    def _weighed(self, more: int) -> None:
        """What waits weighs so much more, or less."""

    def _go_on(self, task: "asyncio.Task[None] | None") -> None:
        """What waits, until a piece goes on as a task."""
        while task is None:
            if not self._waiting:
                self._busy = False
                self._waiting = None
                return
            work, weight = self._waiting.popleft()
            self._weighed(-weight)
            task = self._begin(self._do(self._owner, work), self._context.copy())
        task.add_done_callback(self._next)

    def _next(self, _: "asyncio.Task[None]") -> None:
        self._go_on(None)
