"""A question whose answer serves all who asked before it was put: one is on its way, and the others share the next."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from hubbub.errors import Unavailable
from hubbub.scheduling.tasks import Spawn

R = TypeVar("R")


class SingleFlight(Generic[R]):
    """`once` puts the question; what it raises, everybody is told who shared that one.

    `idle` is told when nobody waits any more.
    """

    __slots__ = ("_idle", "_next", "_once", "_spawn", "on_its_way")

    def __init__(
        self, spawn: Spawn, once: Callable[[], Awaitable[R]], *, idle: Callable[[], object] = lambda: None
    ) -> None:
        self._spawn = spawn
        self._once = once
        self._idle = idle
        self._next: asyncio.Future[tuple[R] | Exception] | None = None
        self.on_its_way: bool = False

    async def __call__(self) -> R:
        """The answer to a question that was put after this call. Raises Unavailable too where everything ends."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        mine = self._next
        if not self.on_its_way:
            self.on_its_way = True
            self._spawn(self._work())
        # Not awaited itself: one who is cancelled would cancel it for all.
        await asyncio.wait((mine,))
        answer = mine.result()
        if isinstance(answer, Exception):
            raise answer
        return answer[0]

    async def _work(self) -> None:
        """Ask as often as somebody waits."""
        asked: asyncio.Future[tuple[R] | Exception] | None = None
        try:
            while self._next is not None:
                asked, self._next = self._next, None
                try:
                    asked.set_result((await self._once(),))
                except Exception as error:  # noqa: BLE001 - it belongs to those who asked
                    asked.set_result(error)
        finally:
            self.on_its_way = False
            for waiting in (asked, self._next):
                if waiting is not None and not waiting.done():
                    waiting.set_result(Unavailable())
            self._next = None
            self._idle()
