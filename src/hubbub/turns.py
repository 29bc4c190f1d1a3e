"""One connection's work, one piece at a time, in order, by a task that exists only while there is some."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from hubbub.subscriptions import Spawn

W = TypeVar("W")


class Turns(Generic[W]):
    """`do` works on one piece and raises nothing. Beside it `limit` pieces may wait."""

    __slots__ = ("_busy", "_do", "_limit", "_spawn", "_waiting", "_worker")

    def __init__(self, spawn: Spawn, do: Callable[[W], Awaitable[None]], *, limit: int) -> None:
        self._spawn = spawn
        self._do = do
        self._limit = limit
        self._waiting: deque[W] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._busy = False

    def take(self, work: W) -> bool:
        """Whether there was room for it."""
        # Until the worker has begun, the piece it will begin with stands in the queue and waits behind nothing.
        if len(self._waiting) >= self._limit + (not self._busy):
            return False
        self._waiting.append(work)
        if self._worker is None:
            self._worker = self._spawn(self._work())
        return True

    def clear(self) -> None:
        """Forget what waits. What is being worked on is finished: half a handler's work would help nobody."""
        self._waiting.clear()

    async def _work(self) -> None:
        self._busy = True
        try:
            while self._waiting:
                await self._do(self._waiting.popleft())
        finally:
            self._worker = None
            self._busy = False
