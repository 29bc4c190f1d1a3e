"""What is published: a span each, and the trace in the envelope, whoever it goes to and however long it waits."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.trace import SpanKind
from pydantic import BaseModel

from hubbub.options import Keep
from hubbub.protocol.envelope import with_trace
from hubbub.protocol.for_each_room import ForEachRoom
from hubbub.rooms.each_room import EachRoom
from hubbub.rooms.publishing import Exclude, Sender
from hubbub.tracing.destinations import Destination, Destinations, destination
from hubbub.tracing.spans import Attributes, Spans
from hubbub.types import Position, Topic

_HEAD = 4
#: Beside those of the destination.
PUBLISHES: Attributes = {"messaging.operation.name": "publish", "messaging.operation.type": "send"}


class Publishing:
    """What is traced alike, with a hub or without."""

    def __init__(self, spans: Spans, destinations: Destinations | None = None) -> None:
        self.spans = spans
        self._destinations = destinations

    def to(self, topic: Topic) -> Destination:
        return destination(topic) if self._destinations is None else self._destinations.of(topic)

    def begin(self, topic: Topic) -> Any:
        """A block in which one message is published there."""
        name, attributes = self.to(topic)
        span = self.spans.start(f"publish {name}", SpanKind.PRODUCER, {**attributes, **PUBLISHES})
        return self.spans.within(span)

    def begin_each(self, topics: Sequence[Topic]) -> Any:
        """The same, to several rooms at once: one span, because it is one message."""
        names = {self.to(topic).name for topic in topics}
        name = names.pop() if len(names) == 1 else "rooms"
        about = {"messaging.system": "hubbub", "messaging.batch.message_count": len(topics), **PUBLISHES}
        return self.spans.within(self.spans.start(f"publish {name}", SpanKind.PRODUCER, about))

    def carry(self, data: bytes) -> bytes:
        """The envelope, with the trace in it."""
        self.spans.say({"messaging.message.body.size": len(data) - _HEAD - int.from_bytes(data[2:4], "big")})
        trace = self.spans.current()
        return data if trace is None else with_trace(data, trace)

    def went(self, position: Position | None) -> None:
        if position is not None:
            self.spans.say({"messaging.message.id": f"{position.epoch}:{position.offset}"})


class TracedSender(Sender):
    __slots__ = ("_publishing", "_untraced")

    def __init__(self, publishing: Publishing, topic: Topic, *among: Any, **options: Any) -> None:
        super().__init__(topic, *among, **options)
        self._publishing = publishing
        self._untraced = self._publish
        self._publish = self._carry

    async def send(
        self,
        message: Mapping[str, Any] | BaseModel | ForEachRoom,
        *,
        exclude: Exclude,
        key: str | None = None,
        keep: bool = True,
        idempotency_key: str | None = None,
        patience: float = 0.0,
        spent: bool = False,
    ) -> Position | None:
        options: dict[str, Any] = {"exclude": exclude, "key": key, "keep": keep, "idempotency_key": idempotency_key}
        options |= {"patience": patience, "spent": spent}
        if spent:  # one of several, which have a span together
            return await super().send(message, **options)
        with self._publishing.begin(self.topic):
            position = await super().send(message, **options)
            self._publishing.went(position)
            return position

    async def _carry(
        self, topic: Topic, data: bytes, *, keep: Keep = None, idempotency_key: str | None = None
    ) -> Position | None:
        carried = self._publishing.carry(data)
        if self._journeys is not None:
            self._journeys.becomes(data, carried)
        return await self._untraced(topic, carried, keep=keep, idempotency_key=idempotency_key)


class TracedEachRoom(EachRoom):
    def __init__(
        self, publishing: Publishing, names: Sequence[Any], senders: Mapping[Any, Sender], *among: Any
    ) -> None:
        super().__init__(names, senders, *among)
        self._publishing = publishing
        self._topics = [sender.topic for sender in senders.values()]

    async def send(self, message: Mapping[str, Any] | BaseModel, **options: Any) -> list[Position | None]:
        with self._publishing.begin_each(self._topics):
            return await super().send(message, **options)
