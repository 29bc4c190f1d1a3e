"""What a worker delivers of a message that carries its trace: from when the broker brought it until it was written.

Below the span that published it, on whichever worker. A message without a trace has no span here: there is nothing it
would be a part of. Nor has what a client that comes back is handed once more: that is part of its join.
"""

from collections.abc import Callable
from typing import Any

from opentelemetry.trace import Span, SpanKind

from hubbub.delivery.batch import Batcher
from hubbub.ports.tracing import Message
from hubbub.tracing.destinations import Destinations
from hubbub.tracing.spans import NONE, Attributes, Spans, above
from hubbub.types import NodeId, Topic

_DELIVERS: Attributes = {"messaging.operation.name": "deliver", "messaging.operation.type": "process"}


class DeliverySpans:
    """`node`: this worker's name."""

    def __init__(self, spans: Spans, destinations: Destinations, node: NodeId) -> None:
        self._spans = spans
        self._destinations = destinations
        self._node = node
        self._open: list[Span] = []

    def begin(self, topic: Topic, trace: str, message: Message, recipients: Any) -> None:
        parent = above(trace)
        if parent is None:
            return
        name, attributes = self._destinations.of(topic)
        about = {**attributes, **_DELIVERS, "messaging.client.id": self._node}
        span = self._spans.start(f"deliver {name}", SpanKind.CONSUMER, about, parent)
        if span is NONE:
            return
        reached = sum(map(message.is_for, recipients)) if span.is_recording() else 0
        if reached:
            self._open.append(span)
            self._spans.say_of(span, {"hubbub.recipients": reached, "messaging.message.body.size": len(message)})
        else:
            self._spans.end(span, {"hubbub.recipients": 0})

    def written(self) -> None:
        """All that was handed on so far."""
        if self._open:
            spans, self._open = self._open, []
            for span in spans:
                self._spans.end(span)


class TracedBatcher(Batcher):
    """`written` is called when it has written all it had."""

    def __init__(self, written: Callable[[], None], *among: Any, **options: Any) -> None:
        super().__init__(*among, **options)
        self._written = written

    def flush(self) -> None:
        super().flush()
        if not self._flushing:
            self._written()
