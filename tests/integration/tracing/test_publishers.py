"""Who publishes without a hub: its trace goes on in every worker that delivers."""

import asyncio
import secrets
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from hubbub import ConfigurationError, Unavailable
from hubbub.client.publisher import AsyncPublisher, Publisher
from tests.integration.tracing.applications import traced
from tests.kit.client import Tab
from tests.kit.serving import serving
from tests.kit.traces import Traces, about, is_below, tracing
from tests.kit.valkey import free_port


async def publish(
    kind: type[Publisher] | type[AsyncPublisher], url: str, name: str, traces: Traces, **options: Any
) -> None:
    """Three messages of one trace: into a room, to a user, to several rooms."""
    tracer = traces.provider.get_tracer("task")

    def in_a_thread() -> None:
        with Publisher(url, name=name, **options) as publisher, tracer.start_as_current_span("task"):
            publisher.room("kept:a").send({"type": "said"})
            publisher.user("alice").send({"type": "said"})
            publisher.each_room(["team:a", "kept:a"]).send({"type": "said"})

    if kind is Publisher:
        await asyncio.to_thread(in_a_thread)
        return
    async with AsyncPublisher(url, name=name, **options) as publisher:
        with tracer.start_as_current_span("task"):
            await publisher.room("kept:a").send({"type": "said"})
            await publisher.user("alice").send({"type": "said"})
            await publisher.each_room(["team:a", "kept:a"]).send({"type": "said"})


@pytest.mark.parametrize("kind", [Publisher, AsyncPublisher])
async def test_the_trace_of_a_task_goes_on_where_it_is_delivered(
    valkey: str, kind: type[Publisher] | type[AsyncPublisher]
) -> None:
    name = secrets.token_hex(4)
    with tracing() as traces, tracing() as of_the_task:
        _, app = traced(valkey, traces, name=name)
        async with serving(app) as server, Tab(server.ws, token="alice") as tab:
            await tab.join("team:a")
            await tab.join("kept:a")
            await publish(kind, valkey, name, of_the_task, tracing=of_the_task.provider)
            for _ in range(4):
                await tab.receive("said")
            task = await of_the_task.one("task")
            room, user, each = (await of_the_task.named("publish room", 2)) + (await of_the_task.named("publish user"))
            of_rooms, of_user = [room, user], each
            in_team = await traces.one("deliver team:{team}")
            in_kept, inbox = await traces.named("deliver kept:{name}", 2), await traces.one("deliver user")
    assert all(is_below(span, task) for span in (*of_rooms, of_user))
    assert of_rooms[0].kind is SpanKind.PRODUCER
    assert is_below(in_kept[0], of_rooms[0])
    assert is_below(in_kept[1], of_rooms[1])
    assert is_below(in_team, of_rooms[1])
    assert is_below(inbox, of_user)
    assert str(about(of_rooms[0])["messaging.message.id"]).endswith(":1")
    assert about(of_rooms[1])["messaging.batch.message_count"] == 2


async def test_one_that_may_not_trace_publishes_without(valkey: str) -> None:
    name = secrets.token_hex(4)
    with tracing() as traces:
        _, app = traced(valkey, traces, name=name)
        async with serving(app) as server, Tab(server.ws, token="alice") as tab:
            await tab.join("kept:a")
            await publish(AsyncPublisher, valkey, name, traces, tracing=False)
            for _ in range(3):
                await tab.receive("said")
            assert not [each for each in traces.names if each.startswith(("publish", "deliver"))]


def test_a_broker_that_is_away_is_an_error() -> None:
    with tracing() as traces:
        publisher = Publisher(f"redis://127.0.0.1:{free_port()}", tracing=traces.provider)
        with pytest.raises(Unavailable):
            publisher.room("a").send({"type": "said"})
        [span] = traces.spans
    assert span.status.status_code is StatusCode.ERROR
    assert about(span)["error.type"] == "hubbub.errors.Unavailable"


def test_what_is_no_provider_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"Publisher\(tracing=…\) is a bool, None or a TracerProvider"):
        Publisher("redis://127.0.0.1", tracing="yes")  # type: ignore[arg-type]
