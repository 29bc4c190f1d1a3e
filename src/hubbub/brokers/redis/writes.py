"""Whether the server takes what is written: asked again and again, by a script that writes, as messages do.

To be heard is not enough. A primary that became a replica, a full disk or memory, a right that was taken away: there
PUBLISH still works and no message that is kept, no member that comes. What works goes on then, so the connections stay;
a worker that can let nobody in says so instead of seeming ready.

A replica may have a successor at the same address. It is looked for by a connection of its own, and only where that one
may write do the others end: to end them at once lost live messages on a server that had none.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ResponseError

from hubbub.brokers.redis.refusals import is_demoted
from hubbub.errors import Unavailable
from hubbub.ports.logs import Event, fields

logger = logging.getLogger("hubbub.brokers.redis")


class Writes:
    """`write` raises Unavailable where nothing is written, `elsewhere` does it at what the address leads to now.

    `move` is called with the reason where that is another server. A refusal counts when it has lasted for `lasting`
    seconds, at the start at once. `refusal`: the server's words then, None where it writes, or nobody knows.
    """

    def __init__(
        self,
        write: Callable[[], Awaitable[Any]],
        elsewhere: Callable[[], Awaitable[Any]],
        move: Callable[[ResponseError], None],
        *,
        address: str,
        lasting: float,
    ) -> None:
        self.refusal: str | None = None
        self._write = write
        self._elsewhere = elsewhere
        self._move = move
        self._address = address
        self._lasting = lasting
        self._since: float | None = None
        self._taken_once = self._complained = False

    async def attempt(self) -> bool:
        """False where it was refused. No answer is no refusal: who does not answer is found out otherwise."""
        refusal = await self._tried()
        if is_demoted(refusal) and await self._is_taken_elsewhere():
            # Unless it is this server that leads again.
            refusal = await self._tried()
            if is_demoted(refusal):
                self._move(refusal)
        return refusal is None

    async def _tried(self) -> ResponseError | None:
        try:
            await self._write()
        except Unavailable as error:
            if not isinstance(error.__cause__, ResponseError):
                return None
            self._refused(error.__cause__)
            return error.__cause__
        self._taken()
        return None

    async def _is_taken_elsewhere(self) -> bool:
        try:
            await self._elsewhere()
        except Unavailable:
            return False
        return True

    def _refused(self, error: ResponseError) -> None:
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
        lasts = now - self._since >= self._lasting
        if lasts or not self._taken_once:
            self.refusal = str(error)
        if lasts and not self._complained:
            self._complained = True
            logger.warning(
                "the broker at %s refuses writes, so nobody is let in: %s",
                self._address,
                error,
                extra=fields(Event.BROKER_REFUSES, broker=self._address, cause=str(error)),
            )

    def _taken(self) -> None:
        self._since = self.refusal = None
        self._taken_once = True
        if self._complained:
            self._complained = False
            logger.warning(
                "the broker at %s takes writes again",
                self._address,
                extra=fields(Event.BROKER_ACCEPTS, broker=self._address),
            )
