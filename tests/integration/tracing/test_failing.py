"""A tracer that fails costs nobody a message, and says so once; what is no context costs nobody one either."""

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler, SamplingResult

from hubbub.protocol.envelope import Envelope, Kind, with_trace
from hubbub.protocol.trace_context import MOST_STATE, TraceContext
from hubbub.types import room_topic
from tests.integration.tracing.applications import traced
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.serving import serving
from tests.kit.traces import Traces, tracing


class NoEnd(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("the exporter is away")


class NoStart(SpanProcessor):
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        raise RuntimeError("no span today")


class NoSampling(Sampler):
    def should_sample(self, *_: Any, **__: Any) -> SamplingResult:
        raise RuntimeError("no sampling today")

    def get_description(self) -> str:
        return "none"


@pytest.mark.parametrize("fault", [NoEnd(), NoStart(), NoSampling()], ids=lambda fault: type(fault).__name__)
@pytest.mark.complains("fail failed for connection")
async def test_whatever_a_tracer_raises_all_is_delivered(
    valkey: str, fault: SpanProcessor | Sampler, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider(sampler=fault if isinstance(fault, Sampler) else ALWAYS_ON, shutdown_on_exit=False)
    traces = Traces(provider)
    if isinstance(fault, SpanProcessor):
        provider.add_span_processor(fault)
    hub, app = traced(valkey, traces, telemetry=False)
    with caplog.at_level(logging.WARNING, "hubbub.tracing"):
        async with serving(app) as server, Tab(server.ws, token="alice") as tab:
            await tab.join("kept:a")
            for number in range(3):
                await tab.send({"type": "say", "room": "kept:a", "content": str(number)})
                assert (await tab.receive("said"))["content"] == str(number)
            await hub.broadcast({"type": "all"})
            await tab.receive("all")
            assert (await tab.request("fail"))["code"] == "internal"
            assert (await tab.request("nothing"))["code"] == "unknown_type"
    said = [record.getMessage() for record in caplog.records if record.name == "hubbub.tracing"]
    assert len(said) == len(set(said)) >= 1
    assert all("RuntimeError" in line for line in said)
    provider.shutdown()


PARENT = str(TraceContext(7, 8, 1))


def strange() -> Sequence[Envelope]:
    message = Envelope(Kind.MESSAGE, b'{"type":"said","room":"team:a"}')
    texts = ["", "garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "f" * 60_000, f"{PARENT};{'x' * MOST_STATE}x"]
    return [message._replace(trace=text) for text in texts]


@pytest.mark.parametrize("traces_too", [True, False])
async def test_an_envelope_of_another_release_or_of_anybody_is_delivered_all_the_same(
    valkey: str, *, traces_too: bool
) -> None:
    with tracing() as traces:
        hub, app = traced(valkey, traces if traces_too else None)
        async with serving(app) as server, Tab(server.ws, token="alice") as tab:
            await tab.join("team:a")
            broker = inside(hub).broker
            old = Envelope(Kind.MESSAGE, b'{"type":"said","room":"team:a"}').encode()
            odd = [b'{"t":7}', b'{"t":null}', b'{"t":["00"]}', b'{"t":{}}', b'{"later":"00-1"}']
            of_others = [bytes((1, 1)) + len(head).to_bytes(2, "big") + head + old[4:] for head in odd]
            for data in (old, *(envelope.encode() for envelope in strange()), *of_others):
                await broker.publish(room_topic("team:a"), data)
                assert await tab.receive("said") == {"type": "said", "room": "team:a"}
            assert not [name for name in traces.names if name.startswith("deliver")]
            await broker.publish(room_topic("team:a"), with_trace(old, f"{PARENT};vendor=1"))
            assert await tab.receive("said") == {"type": "said", "room": "team:a"}
            if traces_too:
                delivered = await traces.one("deliver team:{team}")
                assert delivered.parent is not None
                assert (delivered.parent.trace_id, delivered.parent.span_id) == (7, 8)
                assert delivered.parent.trace_state.to_header() == "vendor=1"
