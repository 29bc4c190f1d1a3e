"""Spans, by a tracer that may fail: whatever an SDK, a sampler or an exporter raises, what was traced goes on.

An exception is told of with its type, its text and its traceback, but for what is secret there; of what quotes the
message, by its type and place alone. A refusal is an answer, and no error.
"""

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from opentelemetry import context as otel
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from pydantic import ValidationError

from hubbub.errors import HandshakeRefused, InternalError, Refused, Unavailable, WrongAnswer, described, text_of
from hubbub.ports.logs import Event, fields
from hubbub.protocol.trace_context import TraceContext, read

_log = logging.getLogger("hubbub.tracing")

Attributes: TypeAlias = Mapping[str, str | int | bool]
#: From an exception and a text about it to that text without what is secret in it.
Hide: TypeAlias = Callable[[BaseException, str], str]

#: Nothing above it: a trace begins.
ROOT = Context()
NONE = trace.INVALID_SPAN

#: What is worked on now. Not whatever span is current: the application's own functions make spans, too.
_WORKED_ON: ContextVar[Span] = ContextVar("hubbub.span", default=NONE)


class Spans:
    """By `tracer`. As `Outcomes` it is told what became of the work that goes on now."""

    def __init__(self, tracer: trace.Tracer, hide: Hide) -> None:
        self._tracer = tracer
        self._hide = hide
        self._told: set[str] = set()

    def start(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        parent: Context | None = None,
        links: Sequence[SpanContext] = (),
    ) -> Span:
        """`parent`: default what is current. NONE where it could not be made."""
        try:
            return self._tracer.start_span(
                name,
                context=parent,
                kind=kind,
                attributes=attributes,
                links=[Link(link) for link in links] or None,
            )
        except Exception as error:  # noqa: BLE001 - see above, here and below
            self._odd("begin", error)
            return NONE

    def end(self, span: Span, attributes: Attributes | None = None) -> None:
        try:
            if attributes and span.is_recording():
                span.set_attributes(attributes)
            span.end()
        except Exception as error:  # noqa: BLE001
            self._odd("end", error)

    @contextmanager
    def within(self, span: Span) -> Iterator[None]:
        """What is done in the block is done for this span, which ends with it, by what the block raises."""
        if span is NONE:
            yield
            return
        outer, token = _WORKED_ON.set(span), otel.attach(trace.set_span_in_context(span))
        try:
            yield
        except BaseException as error:
            self.came_to(error)
            raise
        finally:
            otel.detach(token)
            _WORKED_ON.reset(outer)
            self.end(span)

    def leave(self) -> None:
        """Nothing is worked on any more."""
        _WORKED_ON.set(NONE)

    def enter(self, span: Span) -> None:
        """As `within`, for good: where the context ends with the work."""
        if span is not NONE:
            _WORKED_ON.set(span)
            otel.attach(trace.set_span_in_context(span))

    def say(self, attributes: Attributes) -> None:
        """Of what is worked on now."""
        self.say_of(_WORKED_ON.get(), attributes)

    def say_of(self, span: Span, attributes: Attributes) -> None:
        try:
            if span.is_recording():
                span.set_attributes(attributes)
        except Exception as error:  # noqa: BLE001
            self._odd("describe", error)

    def came_to(self, error: BaseException) -> None:
        """What is worked on now ended by this."""
        if isinstance(error, HandshakeRefused | InternalError):
            return  # of which more was told
        if isinstance(error, Refused) and not isinstance(error, Unavailable):
            self.refused(error.code)
        elif isinstance(error, Exception):
            self.failed(error)

    def refused(self, code: str | int) -> None:
        self.say({"hubbub.refused": code})

    def failed(self, error: BaseException) -> None:
        try:
            span = _WORKED_ON.get()
            if span.is_recording():
                kind, text, where = self._told_of(error)
                span.set_attributes({"error.type": kind})
                span.set_status(StatusCode.ERROR)
                about = {"exception.type": kind, "exception.message": text, "exception.stacktrace": where}
                span.add_event("exception", about)
        except Exception as odd:  # noqa: BLE001
            self._odd("describe", odd)

    def current(self) -> str | None:
        """What a message is given to carry: the span that is current, sampled or not; None where there is none."""
        try:
            here = trace.get_current_span().get_span_context()
            if not here.is_valid:
                return None
            state = here.trace_state.to_header() if here.trace_state else ""
            return str(TraceContext(here.trace_id, here.span_id, int(here.trace_flags) & 0xFF, state))
        except Exception as error:  # noqa: BLE001
            self._odd("pass on", error)
            return None

    def extracted(self, headers: Iterable[tuple[bytes, bytes]]) -> Context:
        """What is above a handshake, by what the application's propagators read in its headers."""
        carrier: dict[str, list[str]] = {}
        for name, value in headers:
            carrier.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        try:
            return propagate.extract(carrier, context=ROOT)
        except Exception as error:  # noqa: BLE001
            self._odd("read", error)
            return ROOT

    def _told_of(self, error: BaseException) -> tuple[str, str, str]:
        """Its type, its text, its traceback."""
        cls = type(error)
        kind = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
        if isinstance(error, ValidationError | WrongAnswer):
            return kind, described(error), ""  # its text quotes what was validated, which mostly is the message
        where = "".join(traceback.format_exception(error))
        return kind, self._hide(error, text_of(error)), self._hide(error, where)

    def _odd(self, what: str, error: Exception) -> None:
        kind = f"{what}, {type(error).__qualname__}"
        if kind not in self._told:
            self._told.add(kind)
            _log.warning(
                "a span could not be made or ended (%s); the message went on, as will others",
                kind,
                extra=fields(Event.SPAN_FAILED, cause=kind),
            )


def above(text: str) -> Context | None:
    """The span that a message carries, as what is above another; None where it carries none."""
    found = read(text)
    if found is None:
        return None
    state = TraceState.from_header([found.state]) if found.state else None
    span = SpanContext(found.trace_id, found.span_id, True, TraceFlags(found.flags), state)
    return trace.set_span_in_context(NonRecordingSpan(span), ROOT)
