"""What tracing costs a message: the processor time of its whole way, from bytes to bytes, beside the same without.

    python -m benchmarks.tracing [--members 3 100] [--messages 2000] [--rounds 5]

One process, the memory broker, a room without history, a typed message with an `id` from one of its members: its span,
that of what is published, and that of its delivery. Nothing is exported: what an exporter costs is that exporter's.
The ways take turns, and of each the cheapest round counts, so that what else the machine does is left out. Printed:
microseconds a message, and how many times that is what it is where `tracing=False`.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, ParentBasedTraceIdRatio, Sampler
from tests.architecture import way

from hubbub import Connection, Heartbeat, Hub


class Nowhere(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def provider(sampler: Sampler) -> TracerProvider:
    made = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(Nowhere()))
    return made


WAYS = {
    "tracing=False": lambda: False,
    "no provider": lambda: None,
    "none sampled": lambda: provider(ParentBased(ALWAYS_OFF)),
    "1 % sampled": lambda: provider(ParentBasedTraceIdRatio(0.01)),
    "all sampled": lambda: provider(ALWAYS_ON),
}


async def cost(tracing: object, *, members: int, messages: int) -> float:
    """Seconds of the processor for a message."""
    hub = Hub("memory", tracing=tracing, heartbeat=Heartbeat(interval=3600, timeout=3600))  # type: ignore[arg-type]

    @hub.rooms("room:{name}")
    async def anybody(name: str) -> bool:
        return True

    @hub.on(way.Say)
    async def say(message: way.Say, connection: Connection) -> None:
        await connection.room(message.room).send({"type": "say", "content": message.content})

    async with hub.running():
        tabs = [await way.joined(hub, number) for number in range(members)]
        frame = way.framed({"type": "say", "room": "room:1", "content": "hello", "id": 7})
        for _ in range(50):
            await way.said(tabs, frame)
        began = time.process_time()
        for _ in range(messages):
            await way.said(tabs, frame)
        took = time.process_time() - began
        for tab in tabs:
            tab.close()
    return took / messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, nargs="+", default=[3, 100])
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    os.environ["HUBBUB_DEV"] = "1"  # no rate
    for members in asked.members:
        best = dict.fromkeys(WAYS, float("inf"))
        for _ in range(asked.rounds):
            for name, tracing in WAYS.items():
                messages = max(20, asked.messages * 3 // members)
                best[name] = min(best[name], asked_cost(tracing(), members, messages))
        print(f"{members} members")
        for name, seconds in best.items():
            print(f"  {name:14} {seconds * 1e6:8.1f} µs a message  {seconds / best['tracing=False']:5.2f} x")


def asked_cost(tracing: object, members: int, messages: int) -> float:
    return asyncio.run(cost(tracing, members=members, messages=messages))


if __name__ == "__main__":
    main()
