"""The moment in which a connection is let in, or ends before that: who waits for it."""

import asyncio
from collections.abc import Callable


class Opening:
    __slots__ = ("_callbacks",)

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], object]] | None = []
        """None once it is over."""

    def when_over(self, callback: Callable[[], object]) -> None:
        """Call back in that moment; now, where it has been."""
        if self._callbacks is None:
            callback()
        else:
            self._callbacks.append(callback)

    async def wait(self) -> None:
        """Until then."""
        waiting = asyncio.Event()
        self.when_over(waiting.set)
        await waiting.wait()

    def over(self) -> None:
        """It is now. Nothing happens the second time."""
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()
