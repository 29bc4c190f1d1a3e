"""A hub's starts and stops: counted, one after the other, and all in one event loop.

Several applications may include one hub's router, and each starts it; it stops with the last. What runs belongs to the
loop it was started in. Whoever came from another loop used to wait for ever for locks and sockets of the first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hubbub.hub.not_running import another_loop, not_running
from hubbub.hub.runtime import Runtime


class Lifecycle:
    """`begin` gives a runtime that has started, of `hub`."""

    def __init__(self, begin: Callable[[], Awaitable[Runtime]], hub: object) -> None:
        self._begin = begin
        self._hub = hub
        self._stopped = False
        """Whether it has run before."""
        self._starts = 0
        self._starting: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """In which it was started last, until it has stopped."""
        self.runtime: Runtime | None = None
        """What runs, None where nothing does."""

    @property
    def here(self) -> Runtime:
        """What runs. Raises ConfigurationError where nothing does."""
        if self.runtime is None:
            raise not_running(self._hub, stopped=self._stopped)
        return self.runtime

    def serving(self, scope: Mapping[str, Any]) -> Runtime:
        """As `here`, for a request or a handshake: raises ConfigurationError that says why, and in another loop."""
        if self.runtime is None:
            raise not_running(self._hub, scope, stopped=self._stopped)
        self._check_loop()
        return self.runtime

    async def start(self) -> None:
        """Raises ConfigurationError where it runs in another loop, and whatever `begin` raises."""
        self._check_loop()
        while self._starting is not None:
            await asyncio.wait((self._starting,))
        if self.runtime is None or self.runtime.stopping:
            self._loop = asyncio.get_running_loop()
            self._starting = started = self._loop.create_future()
            try:
                self.runtime = await self._begin()
            except BaseException:
                self._loop = None
                raise
            finally:
                self._starting = None
                started.set_result(None)
        self._starts += 1

    async def stop(self) -> None:
        """Raises ConfigurationError where it runs in another loop."""
        self._check_loop()
        self._starts = max(0, self._starts - 1)
        running = self.runtime
        if self._starts == 0 and running is not None:
            try:
                # Handlers that are given the time to finish still need their hub.
                await running.stop()
            finally:
                if self.runtime is running:
                    self.runtime = self._loop = None
                    self._stopped = True

    def _check_loop(self) -> None:
        if self._loop is None or self._loop is asyncio.get_running_loop():
            return
        if not self._loop.is_closed():
            raise another_loop()
        # Whoever ran that loop has not stopped the hub, and nobody can any more.
        self._loop = self._starting = self.runtime = None
        self._starts = 0
