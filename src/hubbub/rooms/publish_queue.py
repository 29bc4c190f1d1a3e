"""Messages that wait for a broker that is away, because the application asked for it: bounded in number and in time.

They leave in the order in which they came. Waiting is all that is done here: a message that may have gone out is not
sent again unless it is kept, where an idempotency key makes that harmless.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable

from hubbub.errors import Unavailable

#: Seconds between two looks whether it is over, while somebody waits.
_LOOK = 0.05


class PublishQueue:
    """`over` says whether messages may leave; at most `limit` wait for that."""

    def __init__(self, over: Callable[[], bool], *, limit: int) -> None:
        self._over = over
        self._limit = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        # One looks for all, whoever was the first to wait.
        self._context = contextvars.copy_context()

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, within: float) -> None:
        """Returns when it is over. Raises Unavailable after `within` seconds, or where too many wait."""
        if not self._waiting and self._over():
            return
        if len(self._waiting) >= self._limit:
            raise Unavailable(f"{self._limit} messages wait for the broker already")
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[None] = loop.create_future()
        self._waiting.append(mine)
        if self._alarm is None:
            # Those who were told in this turn have still to leave.
            self._alarm = loop.call_later(0.0 if self._over() else _LOOK, self.look, context=self._context)
        try:
            async with asyncio.timeout(within):
                await mine
        except TimeoutError:
            raise Unavailable from None
        finally:
            # Not before: whoever comes meanwhile must not pass.
            self._waiting.remove(mine)

    def look(self) -> None:
        """Let them go where it is over; else look again, while anybody waits."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if not self._waiting:
            return
        if not self._over():
            self._alarm = asyncio.get_running_loop().call_later(_LOOK, self.look, context=self._context)
            return
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
