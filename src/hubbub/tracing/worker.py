"""What traces one worker, and what of it stands in for what there is where nobody traces."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from opentelemetry.trace import Tracer

from hubbub.connection.requests import Client, Request
from hubbub.rooms.declared import DeclaredRooms
from hubbub.tracing.deliveries import DeliverySpans, TracedBatcher
from hubbub.tracing.destinations import Destinations
from hubbub.tracing.publishing import Publishing, TracedEachRoom, TracedSender
from hubbub.tracing.requests import HandshakeSpans, HookSpans, RequestSpans
from hubbub.tracing.spans import Hide, Spans
from hubbub.types import NodeId


class Tracing:
    """By `tracer`. `hide`: what is secret in what is told of an exception."""

    def __init__(self, tracer: Tracer, hide: Hide, declared: DeclaredRooms, node: NodeId) -> None:
        self.outcomes: Spans = Spans(tracer, hide)
        self._destinations = Destinations(declared)
        publishing = Publishing(self.outcomes, self._destinations)
        self.sender: Callable[..., TracedSender] = partial(TracedSender, publishing)
        self.each_room: Callable[..., TracedEachRoom] = partial(TracedEachRoom, publishing)
        self.deliveries: DeliverySpans = DeliverySpans(self.outcomes, self._destinations, node)
        self.batcher: Callable[..., TracedBatcher] = partial(TracedBatcher, self.deliveries.written)

    def requests(
        self, do: Callable[[Client, Request], Awaitable[None]], handler: Callable[[str], object]
    ) -> RequestSpans:
        """Around what does what clients ask for."""
        return RequestSpans(do, self.outcomes, self._destinations, handler)

    def hooks(self, call: Callable[..., Awaitable[Any]]) -> HookSpans:
        """Around what runs the hooks of connections."""
        return HookSpans(call, self.outcomes)

    def handshakes(self, let_in: Callable[..., Awaitable[Any]]) -> HandshakeSpans:
        """Around what lets them in."""
        return HandshakeSpans(let_in, self.outcomes)
