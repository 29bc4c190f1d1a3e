"""Beginning coroutines as the loop calls a protocol, and keeping what goes on."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hubbub.scheduling.eager import Eager
from tests.kit.loop import called


class Kept:
    """What `Eager` keeps going, and what was noted."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.eager = Eager(self._keep)
        self.notes: list[object] = []

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self.tasks.append(task)
        return task

    async def begin(self, *works: Coroutine[Any, Any, None]) -> list[asyncio.Task[None] | None]:
        """All in one turn, as the loop calls a protocol."""
        return await called(lambda: [self.eager.begin(work) for work in works])

    async def done(self) -> None:
        await asyncio.wait_for(asyncio.gather(*self.tasks, return_exceptions=True), 5)


def tasks() -> set[asyncio.Task[Any]]:
    """All but those of the plugin that runs the tests, which has a new one for each phase."""
    return {task for task in asyncio.all_tasks() if "TestRunner" not in task.get_coro().__qualname__}  # type: ignore[union-attr]


async def note(kept: Kept, what: object) -> None:
    kept.notes.append(what)
