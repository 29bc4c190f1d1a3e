"""Messages handed to a route that reads them itself, one at a time.

The route's `async for` and the connection's queue meet here: the next message is handed over only when the route asks
for it, which also says that it is done with the one before. So a plain route handles its messages in order and under
the same bound as handlers do, and nothing piles up behind its back.
"""

import asyncio
from typing import Any


class Handed:
    def __init__(self) -> None:
        self._slot: tuple[Any, asyncio.Future[None]] | None = None
        self._taken: asyncio.Future[None] | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._ended = False

    async def hand(self, item: Any) -> None:
        """Returns when the route has asked for the one after it, or the connection has ended."""
        if self._ended:
            return
        done = asyncio.get_running_loop().create_future()
        self._slot = (item, done)
        _settle(self._arrival)
        await done

    async def next(self) -> Any:
        """Raises StopAsyncIteration once the connection has ended and nothing is left."""
        _settle(self._taken)
        while self._slot is None:
            if self._ended:
                raise StopAsyncIteration
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        (item, self._taken), self._slot = self._slot, None
        return item

    def end(self) -> None:
        self._ended = True
        _settle(self._arrival)
        _settle(self._taken)
        _settle(self._slot[1] if self._slot else None)


def _settle(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
