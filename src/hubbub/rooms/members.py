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
        self._looks: dict[Topic, SingleFlight[dict[str, bytes]]] = {}

    def __len__(self) -> int:
        """How many topics are being read."""
        return len(self._reads) + len(self._looks)

    async def read(self, topic: Topic) -> list[str]:
        """Who is there, not earlier than now. Many who come back at once share the answer. Raises Unavailable."""
        shared = self._reads.get(topic)
        if shared is None:
            ask, idle = partial(self._broker.members, topic), partial(self._reads.pop, topic)
            shared = self._reads[topic] = SingleFlight(self._spawn, ask, idle=idle)
        return await shared()

    async def look(self, topic: Topic) -> dict[str, bytes]:
        """The same, with what each of them shows, JSON, empty where that is nothing. Raises Unavailable."""
        shared = self._looks.get(topic)
        if shared is None:
            ask, idle = partial(self._broker.shown, topic), partial(self._looks.pop, topic)
            shared = self._looks[topic] = SingleFlight(self._spawn, ask, idle=idle)
        return await shared()
