"""Those whom a drain sends away, on a clock that the test moves."""

import asyncio
import json
from typing import Any

from hubbub import closes
from hubbub.closes import Close
from hubbub.hub.drain import Drain
from hubbub.protocol.codec import Prepared
from hubbub.testing import ManualClock, settle

#: Seconds: shorter than a step of the drain, so that nothing falls between two looks.
_MOVE = 0.025


class Peer:
    """`stays`: it takes nothing, so its socket is still there after the close."""

    def __init__(self, crowd: "Crowd", *, stays: bool = False) -> None:
        self._crowd = crowd
        self._stays = stays
        self.closed = False
        self.told: list[dict[str, Any]] = []
        self.close_with: Close | None = None
        self.closed_at = -1.0

    def answer(self, message: Prepared) -> None:
        assert not self.closed
        self.told.append(json.loads(message.data))

    def close(self, close: Close) -> None:
        assert not self.closed
        self.closed = True
        self.close_with = close
        self.closed_at = self._crowd.elapsed
        if not self._stays:
            self._crowd.here.discard(self)


class Crowd:
    def __init__(self, size: int, *, closing: float = 5.0) -> None:
        self.clock = ManualClock()
        self._began = self.clock.now()
        self.all: list[Peer] = []
        self.here: set[Peer] = set()
        self.drain = Drain(self.here, self.clock, closing=closing)
        for _ in range(size):
            self.come()

    @property
    def elapsed(self) -> float:
        return round(self.clock.now() - self._began, 6)

    def come(self, *, stays: bool = False) -> Peer:
        peer = Peer(self, stays=stays)
        self.all.append(peer)
        self.here.add(peer)
        return peer

    async def until(self, task: "asyncio.Task[Any]", *, seconds: float = 60.0) -> float:
        """Time passes until the task has ended; when that was."""
        await settle()
        end = self.elapsed + seconds
        while not task.done():
            assert self.elapsed < end, "it has not ended"
            await self.moves(_MOVE)
        task.result()
        return self.elapsed

    async def moves(self, seconds: float) -> None:
        for _ in range(round(seconds / _MOVE)):
            self.clock.move(_MOVE)
            await settle()

    def returns(self) -> list[int]:
        """What they were told, in milliseconds, in the order in which they were closed."""
        return [peer.told[0]["retry_after"] for peer in sorted(self.all, key=lambda each: each.closed_at)]


def emptying(crowd: Crowd, window: float) -> "asyncio.Task[None]":
    return asyncio.create_task(crowd.drain.empty(closes.RESTARTING, window=window))
