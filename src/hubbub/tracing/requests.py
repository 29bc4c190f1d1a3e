"""What clients ask for: a trace of its own each, linked to the handshake of its connection.

Not below the span of the connection: that lasts as long as the socket, and a trace of hours with thousands of spans is
of use to nobody.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind
from starlette.websockets import WebSocket

from hubbub.connection.requests import Client, Request
from hubbub.ports.injection import Injected
from hubbub.ports.tracing import Taken
from hubbub.protocol.join_room import Join
from hubbub.protocol.session import Check, Leave, Message, Renew, SetPresence, Text
from hubbub.tracing.destinations import Destinations
from hubbub.tracing.spans import NONE, ROOT, Attributes, Spans
from hubbub.types import User, room_topic

#: The span of the handshake, for all that its connection asks for.
_HANDSHAKE: ContextVar[SpanContext | None] = ContextVar("hubbub.handshake", default=None)

_MOST_OF_A_TYPE = 64


class RequestSpans:
    """Around `do`, as `hubbub.connection.requests` has it. `handler`: of a type, None where there is none.

    As `Reading` it knows the messages that a route reads itself.
    """

    def __init__(
        self,
        do: Callable[[Client, Request], Awaitable[None]],
        spans: Spans,
        destinations: Destinations,
        handler: Callable[[str], object],
    ) -> None:
        self._do = do
        self._spans = spans
        self._destinations = destinations
        self._handler = handler

    async def do(self, client: Client, request: Request) -> None:
        """In a context of its own, which ends with it."""
        name, about = self._named(client, request)
        if not name or client.outbound.closed:
            await self._do(client, request)
            return
        handshake = _HANDSHAKE.get()
        about |= {"hubbub.connection": client.id, "messaging.client.id": client.node}
        if isinstance(request, User) and handshake is not None:
            parent = trace.set_span_in_context(NonRecordingSpan(handshake), ROOT)
            span = self._spans.start(name, SpanKind.INTERNAL, about, parent)
        else:
            span = self._spans.start(name, SpanKind.SERVER, about, ROOT, () if handshake is None else (handshake,))
        self._spans.enter(span)
        if client.iterator is not None:
            client.iterator.span = span
        try:
            await self._do(client, request)
        finally:
            self._spans.end(span)

    def _named(self, client: Client, request: Request) -> tuple[str, dict[str, str | int | bool]]:
        """Nothing for what is not traced. A name that a client chose is in no span's name."""
        match request:
            case Message(type):
                known = client.iterator is None and self._handler(type) is not None
                name = f"hubbub.message {type}" if known else "hubbub.message"
                return name, {"hubbub.message.type": type[:_MOST_OF_A_TYPE]}
            case Text():
                return "hubbub.message", {}
            case Join():
                pattern, attributes = self._destinations.of(room_topic(request.room))
                return f"hubbub.join {pattern}", {**attributes, "hubbub.resumes": request.since is not None}
            case Leave(room):
                pattern, attributes = self._destinations.of(room_topic(room))
                return f"hubbub.leave {pattern}", dict(attributes)
            case SetPresence():
                return "hubbub.set_presence", {}
            case User():
                return "hubbub.connect", {}
            case Check():
                return "hubbub.authenticate", {"hubbub.renewal": False}
            case Renew():
                return "hubbub.authenticate", {"hubbub.renewal": True}
        return "", {}

    def take(self, taken: Taken) -> None:
        span = taken.span
        if span is not None and span is not NONE:
            if taken.outside is None:
                taken.outside = otel.get_current()
            self._spans.enter(span)

    def done(self, taken: Taken) -> None:
        if taken.outside is not None:
            otel.attach(taken.outside)
            self._spans.leave()


class HookSpans:
    """Around `call`, as `Dispatch` has it, for hooks of joins, leaves and ends, which run in turns of their own."""

    def __init__(self, call: Callable[..., Awaitable[Any]], spans: Spans) -> None:
        self._call = call
        self._spans = spans

    async def call(self, hook: Injected, caller: Client, *among: Any) -> Any:
        handshake = _HANDSHAKE.get()
        about = {"hubbub.connection": caller.id, "messaging.client.id": caller.node}
        links = () if handshake is None else (handshake,)
        with self._spans.within(self._spans.start(f"hubbub.hook {hook.name}", SpanKind.INTERNAL, about, ROOT, links)):
            return await self._call(hook, caller, *among)


class HandshakeSpans:
    """Around whoever lets a handshake in."""

    def __init__(self, let_in: Callable[..., Awaitable[Any]], spans: Spans) -> None:
        self._let_in = let_in
        self._spans = spans

    async def let_in(self, websocket: WebSocket, *among: Any, **options: Any) -> Any:
        scope = websocket.scope
        about: Attributes = {"network.protocol.name": "websocket"}
        if isinstance(path := getattr(scope.get("route"), "path", None), str):
            about = {**about, "http.route": path}
        # Below the span of FastAPI, where it makes one; else below whatever the client says it belongs to.
        local = trace.get_current_span().get_span_context().is_valid
        parent = None if local else self._spans.extracted(scope.get("headers") or ())
        span = self._spans.start("hubbub.handshake", SpanKind.INTERNAL if local else SpanKind.SERVER, about, parent)
        if span is not NONE:
            _HANDSHAKE.set(span.get_span_context())
        with self._spans.within(span):
            return await self._let_in(websocket, *among, **options)
