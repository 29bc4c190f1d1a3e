"""Whether a worker that says it is ready takes anybody: a new socket, and a message that is kept.

Asked again and again, of every worker. It may be mistaken for as long as a refusal must last to be one. Only who says
no at once is counted: who is slow to say it waits for a broker that says nothing, and silence is measured elsewhere.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence

import httpx
import websockets

from tests.soak.publishers import post
from tests.soak.stage import Worker, is_ready

#: A room in which nobody is.
_ROOM = "kept:inspected"
_PAUSE = 0.5
_HANDSHAKE = 5.0
_AT_ONCE = 1.0
#: Seconds: three until it is noticed, three until it counts, and a machine with much to do.
_MISTAKEN = 12.0


class Inspector:
    """`mistaken`: for how many seconds a worker may say so and take nobody."""

    def __init__(self, workers: Sequence[Worker], http: httpx.AsyncClient, *, mistaken: float = _MISTAKEN) -> None:
        self.wrong: list[str] = []
        self._workers = workers
        self._http = http
        self._mistaken = mistaken

    def begin(self) -> list[asyncio.Task[None]]:
        """One task a worker, to be cancelled."""
        return [asyncio.create_task(self._inspect(worker)) for worker in self._workers]

    async def _inspect(self, worker: Worker) -> None:
        since: float | None = None
        for number in itertools.count():
            await asyncio.sleep(_PAUSE)
            began = time.monotonic()
            taken = await self._takes_somebody(worker) and await self._takes_something(worker, number)
            slow = time.monotonic() - began > _AT_ONCE
            if taken or slow or not await is_ready(self._http, worker):
                since = None
                continue
            since = since or began
            if time.monotonic() - since > self._mistaken:
                self.wrong.append(f"{worker.name} was ready for {self._mistaken:g} s and took nobody")
                return

    async def _takes_somebody(self, worker: Worker) -> bool:
        try:
            async with (
                asyncio.timeout(_HANDSHAKE),
                websockets.connect(f"{worker.ws}/ws/as/inspector", proxy=None) as socket,
            ):
                return "welcome" in str(await socket.recv())
        except (OSError, websockets.WebSocketException):
            return False

    async def _takes_something(self, worker: Worker, number: int) -> bool:
        return await post(self._http, worker, _ROOM, f"inspector of {worker.name}", number) is not None
