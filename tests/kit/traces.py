"""What was traced, by the SDK's own exporter in memory: one tracer provider for each hub, so that a test knows whose.

with tracing() as traces:
    hub = Hub(tracing=traces.provider)
    …
    [published] = await traces.named("publish room")
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from tests.kit.waiting import until


@dataclass
class Traces:
    provider: TracerProvider
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """Those that have ended, in that order."""
        return self.exporter.get_finished_spans()

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    async def named(self, name: str, count: int = 1) -> list[ReadableSpan]:
        """The spans of this name, once there are so many."""
        await until(lambda: self.names.count(name) >= count, f"{name!r} {count} times among {self.names}")
        return [span for span in self.spans if span.name == name]

    async def one(self, name: str) -> ReadableSpan:
        """The only one of this name."""
        [span] = await self.named(name)
        return span


@contextmanager
def tracing(sampler: Sampler = ALWAYS_ON) -> Iterator[Traces]:
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    try:
        yield Traces(provider)
    finally:
        provider.shutdown()


def trace_of(span: ReadableSpan) -> int:
    return span.get_span_context().trace_id


def id_of(span: ReadableSpan) -> int:
    return span.get_span_context().span_id


def is_below(span: ReadableSpan, other: ReadableSpan) -> bool:
    """Whether the other is its parent, in the same trace."""
    return span.parent is not None and span.parent.span_id == id_of(other) and trace_of(span) == trace_of(other)


def links_of(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]


def about(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})
