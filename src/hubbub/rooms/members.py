"""Who is in a room with presence, as the broker says: asked once for all who want to know at the same time."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from hubbub.ports.broker import Broker
from hubbub.scheduling.single_flight import SingleFlight
from hubbub.scheduling.tasks import Spawn
from hubbub.types import Topic

R = TypeVar("R")


class Members:
    def __init__(self, broker: Broker, spawn: Spawn) -> None:
        self._broker = broker
        self._spawn = spawn
        self._reads: dict[Topic, SingleFlight[list[str]]] = {}
        self._looks: dict[Topic, SingleFlight[dict[str, bytes]]] = {}

    def __len__(self) -> int:
        """How many topics are being read."""
        return len(self._reads) + len(self._looks)

    async def read(self, topic: Topic) -> list[str]:
        """Who is there, not earlier than now. Many who come back at once share the answer. Raises Unavailable."""
        return await self._shared(self._reads, self._broker.members, topic)

    async def look(self, topic: Topic) -> dict[str, bytes]:
        """The same, with what each of them shows, JSON, empty where that is nothing. Raises Unavailable."""
        return await self._shared(self._looks, self._broker.shown, topic)

    async def _shared(
        self, flights: dict[Topic, SingleFlight[R]], ask: Callable[[Topic], Awaitable[R]], topic: Topic
    ) -> R:
        shared = flights.get(topic)
        if shared is None:
            idle = partial(flights.pop, topic)
            shared = flights[topic] = SingleFlight(self._spawn, partial(ask, topic), idle=idle)
        return await shared()
