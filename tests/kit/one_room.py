"""One worker's positions of one room, over a broker that keeps one true stream."""

from typing import Any

from hubbub.history.topic import Bounds, Standing
from hubbub.hub.composition import compose
from hubbub.options import History, Limits
from hubbub.ports.metrics import Tally
from hubbub.protocol.join_room import Since
from hubbub.testing import ManualClock, settle
from hubbub.types import Position, room_topic
from tests.kit.recipients import Reader, Turn
from tests.kit.streams import StreamBroker

TOPIC = room_topic("r")
KEEP = History(size=1_000, ttl=60)


class OneRoom:
    """A room with one member, which has joined at the top; its messages come when they are brought."""

    def __init__(self, *, keep: History = KEEP, per_read: int = 1_000, buffered: int = 1_000, **limits: int) -> None:
        self.broker, self.clock = StreamBroker(), ManualClock()
        self.stream = self.broker.of(TOPIC)
        self.turn, self.metrics = Turn(), Tally()
        broker: Any = self.broker
        parts = compose(
            broker,
            self.clock,
            limits=Limits(**limits),
            metrics=self.metrics,
            batcher=self.turn.batcher,
            bounds=Bounds(per_read, buffered),
        )
        self.background, self.registry, self.positions = parts.background, parts.registry, parts.positions
        self.keep = keep
        self.ann = Reader("ann", self.turn)
        self.registry.add(self.ann, "ann")
        self.registry.join(self.ann, "r")

    async def join(self, since: Since | None = None) -> Standing:
        return await self.positions.join(TOPIC, self.keep, since)

    def publish(self, *, bring: bool = True, **fields: Any) -> Position:
        position, data = self.stream.publish(self.keep.size, **fields)
        if bring:
            self.positions.deliver(TOPIC, data, position)
        return position

    def lose(self, several: int) -> None:
        for _ in range(several):
            self.publish(bring=False)

    async def miss_one(self) -> None:
        """The next shows that it was lost, and the broker, which answers no more by itself, is asked for it."""
        self.broker.at_once = False
        self.lose(1)
        self.publish()
        await settle()

    async def rounds(self, several: int) -> None:
        for _ in range(several):
            self.clock.move(1.0)
            await settle()

    @property
    def offsets(self) -> list[Any]:
        """What the member was told: offsets, and gaps as epoch, after and upto."""
        return [
            (each["epoch"], each["after"], each["upto"]) if each["type"] == "gap" else each.get("offset", each["type"])
            for each in self.ann.told
        ]


def offsets(standing: Standing) -> list[int]:
    return [int(outgoing.message.data.rpartition(b":")[2][:-1]) for outgoing in standing.missed]
