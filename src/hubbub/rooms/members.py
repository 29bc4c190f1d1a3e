"""Who is in a room with presence, as the broker says: asked once for all who want to know at the same time."""

from functools import partial

from hubbub.ports.broker import Broker
from hubbub.scheduling.single_flight import SingleFlight
from hubbub.scheduling.tasks import Spawn
from hubbub.types import Topic


class Members:
    def __init__(self, broker: Broker, spawn: Spawn) -> None:
        self._broker = broker
        self._spawn = spawn
        self._reads: dict[Topic, SingleFlight[list[str]]] = {}

    def __len__(self) -> int:
        """How many topics are being read."""
        return len(self._reads)

    async def read(self, topic: Topic) -> list[str]:
        """Who is there, not earlier than now. Many who come back at once share the answer. Raises Unavailable."""
        shared = self._reads.get(topic)
        if shared is None:
            ask, idle = partial(self._broker.members, topic), partial(self._reads.pop, topic)
            shared = self._reads[topic] = SingleFlight(self._spawn, ask, idle=idle)
        return await shared()
