"""A message to oneself, again and again: the only proof that what is published reaches this process.

It leaves by the connection for commands and comes back by the one that listens, so both have to work, and the server
between them. A PING lost as the proof: a connection can answer it and be subscribed to nothing. Before it something is
written (`writes.py`), so that who has heard the message knows that as well.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

#: After one that was refused, in parts of the time between two.
_SOONER = 6


class Probe:
    """`publish` is given the channel, which is this worker's alone, and a few bytes, one every `every` seconds.

    `write` is called before each, and says whether it was taken; where it was not, the next comes sooner.

    `round_trip`: seconds that the last one took, None before the first. `refusal`: why the last one could not be
    published, None where it could.
    """

    def __init__(
        self,
        publish: Callable[[bytes, bytes], Awaitable[Any]],
        write: Callable[[], Awaitable[bool]],
        channel: bytes,
        *,
        every: float,
    ) -> None:
        self.channel = channel
        self.round_trip: float | None = None
        self.refusal: Exception | None = None
        self._publish = publish
        self._write = write
        self._every = every
        self._number = 0
        self._under_way: dict[bytes, float] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None

    def begin(self) -> None:
        """The channel is subscribed to. May be called twice."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="hubbub-broker-probe")

    async def end(self) -> None:
        task, self._task = self._task, None
        self._under_way.clear()
        self.refusal = None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    def heard(self, data: bytes) -> bool:
        """Whether this is one of those under way."""
        sent = self._under_way.pop(data, None)
        if sent is None:
            return False
        self.round_trip = asyncio.get_running_loop().time() - sent
        return True

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            pause = self._every if await self._write() else self._every / _SOONER
            self._number += 1
            data = b"%d" % self._number
            self._under_way[data] = loop.time()
            try:
                await self._publish(self.channel, data)
                self.refusal = None
            except Exception as error:  # noqa: BLE001 - whatever it was, the next one may pass
                self.refusal = error
                with suppress(KeyError):
                    del self._under_way[data]
                pause = self._every / _SOONER
            await asyncio.sleep(max(pause - (loop.time() - began), self._every / _SOONER))
