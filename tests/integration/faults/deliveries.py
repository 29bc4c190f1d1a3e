"""What a worker heard and was told, to be held against what was published."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hubbub.brokers.redis import RedisBroker
from hubbub.errors import Unavailable
from hubbub.options import History
from hubbub.types import Position, Topic, room_topic
from tests.kit.waiting import until

ROOM = room_topic("lobby")
KEEP = History(size=100_000, ttl=60)


class Deliveries:
    """What the broker brought a worker, in order: a number, or None where it said that some may be missing.

    No client's ledger: a worker is not told which positions it missed, and asks the history for them.
    """

    def __init__(self, broker: RedisBroker) -> None:
        self.broker = broker
        self.came: list[int | None] = []
        self.offsets: list[int] = []

    async def start(self) -> None:
        await self.broker.start(self._deliver, lambda: self.came.append(None), lambda _topic: self.came.append(None))
        await until(lambda: self.broker.ready, "it is ready")
        await self.broker.subscribe(ROOM)

    def _deliver(self, _topic: Topic, data: bytes, position: Position | None) -> None:
        self.came.append(int(data))
        if position is not None:
            self.offsets.append(position.offset)

    def untold(self, sent: list[int]) -> list[int]:
        """Those that never came, though the worker was not told, before or after, that something is missing there."""
        came, acknowledged = {*self.messages}, {*sent}
        untold: list[int] = []
        hole: list[int] = []
        last, told = -1, False
        for number in (*self.came, sent[-1] + 1):
            if number is None:
                # One loss makes one hole; what comes on the new connection may be ahead of the word about it.
                hole, told = [], not hole
                continue
            missing = [each for each in range(last + 1, number) if each not in came and each in acknowledged]
            if missing and told:
                told = False
            elif missing:
                untold += hole
                hole = missing
            last = number
        return untold + hole

    @property
    def messages(self) -> list[int]:
        return [number for number in self.came if number is not None]


@asynccontextmanager
async def publishing(broker: RedisBroker, keep: History | None = None) -> AsyncIterator[list[int]]:
    """The numbers whose publishing was acknowledged, one after the other, as fast as it goes."""
    sent: list[int] = []

    async def publish() -> None:
        number = 0
        while True:
            try:
                await broker.publish(ROOM, b"%d" % number, keep=keep)
            except Unavailable:
                await asyncio.sleep(0.01)
            else:
                sent.append(number)
            number += 1

    task = asyncio.create_task(publish())
    try:
        yield sent
    finally:
        task.cancel()
        await asyncio.wait((task,))
