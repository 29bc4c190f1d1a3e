"""Work that an application does for one connection, and only for as long as that lasts.

A handler is worked on to its end, whoever has left meanwhile: half of its work would help nobody. What is spawned is
for one tab alone, an answer that is streamed or a feed that is watched, and ends with it, however it ends: closed by
either side, lost, or sent away because the worker leaves.
"""

import asyncio
import inspect
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from hubbub.errors import ConnectionClosed
from hubbub.ports.logs import Event, fields
from hubbub.protocol.concern import concern
from hubbub.protocol.handshake import Handshake
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.scheduling.tasks import Keep
from hubbub.types import ConnectionId

#: Of what failed.
LOG = logging.getLogger("hubbub.spawned")

T = TypeVar("T")


@contextmanager
def closed_unless_begun(work: Coroutine[Any, Any, T]) -> Iterator[None]:
    """What the block raises, with nothing left that nobody awaits. Raises TypeError for what is no coroutine."""
    if not inspect.iscoroutine(work):
        raise TypeError(f"spawn takes a coroutine, what a call of an `async def` gives, not {type(work).__name__}")
    try:
        yield
    except BaseException:
        work.close()
        raise


class Spawned:
    """One connection's. `keep`: the hub's, which waits at its end for what is ending then. `told`: of what failed."""

    __slots__ = ("_connection", "_handshake", "_keep", "_tasks", "_told")

    def __init__(self, connection: ConnectionId, handshake: Handshake, keep: Keep, told: LimitedLog) -> None:
        self._connection = connection
        self._handshake = handshake
        self._keep = keep
        self._told = told
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(_done(work))
        self._tasks.add(task)
        self._keep(task)
        task.add_done_callback(partial(self._ended, work))
        return task

    def cancel(self) -> None:
        """The connection has ended."""
        for task in tuple(self._tasks):
            task.cancel()

    def _ended(self, work: Coroutine[Any, Any, Any], task: asyncio.Task[Any]) -> None:
        work.close()  # one that was cancelled before its first step has never been awaited
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None or (isinstance(error, ConnectionClosed) and error.connection == self._connection):
            return  # done, stopped, or it was about to say something to a client that had left: nobody's fault
        name = getattr(work, "__qualname__", type(work).__name__)
        kind = f"what was spawned, {name}, failed by {type(error).__qualname__}"
        text = "what was spawned for connection %s failed: %s"
        concern(error, self._handshake)
        self._told.tell(
            kind,
            text,
            self._connection,
            name,
            level=logging.ERROR,
            error=error,
            extra=fields(Event.SPAWNED_FAILED, connection=self._connection, function=name),
        )


async def _done(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except SystemExit as error:
        # asyncio would end the worker with it, for everybody.
        raise RuntimeError("what was spawned would have ended the process") from error
