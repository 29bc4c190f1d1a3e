"""What the tests of whole hubs on a network share: a hub with one kind of room, a publisher, and the verdict."""

from collections.abc import Callable
from typing import Any

from hubbub import History, Hub, Unavailable
from hubbub.testing import Acknowledged, Ledger, Network, checks
from hubbub.testing.broker import NetworkBroker

KEEP = History(size=100, ttl=600)


def making(network: Network, **options: Any) -> Callable[[NetworkBroker], Hub]:
    def make(broker: NetworkBroker) -> Hub:
        hub = Hub(broker=broker, clock=network.clock, **options)

        @hub.rooms("kept:{name}", presence=True, history=KEEP)
        async def kept(name: str) -> bool:
            return True

        return hub

    return make


class Publisher:
    """Sends numbers to a room and remembers what was acknowledged."""

    def __init__(self, room: str) -> None:
        self.room = room
        self.number = 0
        self.acknowledged: list[Acknowledged] = []

    async def send(self, hub: Hub) -> None:
        self.number += 1
        message = {"type": "said", "number": self.number}
        for _ in range(2):
            try:
                position = await hub.room(self.room).send(message, idempotency_key=f"{self.number}")
            except Unavailable:
                continue
            self.acknowledged.append(Acknowledged(room=self.room, message=message, position=position))
            return


def judge(ledgers: list[Ledger], publisher: Publisher) -> list[str]:
    found = checks.in_order(ledgers) + checks.whole(ledgers) + checks.agreed(ledgers)
    return [str(each) for each in found + checks.delivered(ledgers, publisher.acknowledged)]
