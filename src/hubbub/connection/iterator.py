"""Messages handed to a route that reads them itself, one at a time.

The route's `async for` and the connection's queue meet here: the next message is handed over only when the route asks
for it, which also says that it is done with the one before. So a plain route handles its messages in order and under
the same bound as handlers do, and nothing piles up behind its back.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

_Handled: TypeAlias = Callable[[], object]


class MessageIterator:
    def __init__(self) -> None:
        self._slot: tuple[Any, _Handled, asyncio.Future[None]] | None = None
        self._taken: tuple[_Handled, asyncio.Future[None]] | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._ended = False
        self.span: Any = None
        """Where anybody traces: of what was handed over last."""
        self.outside: Any = None
        """What was current in the route before it took anything."""

    async def hand(self, item: Any, handled: _Handled = lambda: None) -> None:
        """Calls `handled` and returns when the route is done with the item; returns, too, when the connection ends."""
        if self._ended:
            return
        done = asyncio.get_running_loop().create_future()
        self._slot = (item, handled, done)
        _settle(self._arrival)
        await done

    async def next(self) -> Any:
        """Raises StopAsyncIteration once the connection has ended and nothing is left.

        RuntimeError where another task of the route waits already: it would be chance which of them gets a message.
        """
        if self._arrival is not None and not self._arrival.done():
            raise RuntimeError("two tasks read the same connection; let one read and hand on to the other")
        self.finish()
        while self._slot is None:
            if self._ended:
                raise StopAsyncIteration
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        item, handled, done = self._slot
        self._slot, self._taken = None, (handled, done)
        return item

    def finish(self) -> None:
        """The route is done with what it took last."""
        if self._taken is not None:
            (handled, done), self._taken = self._taken, None
            if not done.done():
                handled()
                _settle(done)

    def end(self) -> None:
        self._ended = True
        _settle(self._arrival)
        _settle(self._taken[1] if self._taken else None)
        _settle(self._slot[2] if self._slot else None)


def _settle(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
