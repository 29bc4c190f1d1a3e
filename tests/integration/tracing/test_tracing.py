"""What traces show, of two hubs that meet on a real Valkey, each with a tracer of its own.

What a span is below, what it is linked to, and what of it is an error.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from hubbub import Hub
from tests.integration.tracing.applications import traced
from tests.kit.client import Tab
from tests.kit.serving import Address, serving
from tests.kit.traces import Traces, about, id_of, is_below, links_of, trace_of, tracing
from tests.kit.waiting import until


@dataclass
class Worker:
    hub: Hub
    traces: Traces
    address: Address

    async def post(self, path: str, **options: object) -> None:
        async with httpx.AsyncClient(base_url=self.address.url, trust_env=False) as client:
            (await client.post(path, **options)).raise_for_status()  # type: ignore[arg-type]


@asynccontextmanager
async def two(valkey: str, traces: Traces, others: Traces | None) -> AsyncIterator[tuple[Worker, Worker]]:
    """Two workers of one cluster. `others` None: the second does not trace."""
    name = secrets.token_hex(4)
    (hub, app), (other, its) = traced(valkey, traces, name=name), traced(valkey, others, name=name)
    async with serving(app) as here, serving(its) as there:
        yield Worker(hub, traces, here), Worker(other, others or traces, there)


@pytest.mark.parametrize(
    ("path", "options", "name"),
    [
        ("/say?room=team:a", {}, "team:{team}"),
        ("/say?room=kept:a", {}, "kept:{name}"),
        ("/say?room=kept:a&keep=false", {}, "kept:{name}"),
        ("/say-sync?room=team:a", {}, "team:{team}"),
        ("/to/alice", {}, "user"),
        ("/all", {}, "everyone"),
    ],
)
async def test_one_trace_from_a_route_through_the_broker_to_delivery_on_another_worker(
    valkey: str, path: str, options: dict[str, object], name: str
) -> None:
    with tracing() as traces, tracing() as others:
        async with two(valkey, traces, others) as (here, there), Tab(there.address.ws, token="alice") as tab:
            await tab.join("team:a")
            await tab.join("kept:a")
            await here.post(path, **options)
            await tab.receive("said")
            published = await traces.one(f"publish {name}")
            delivered = await others.one(f"deliver {name}")
            route = await traces.one(f"POST {path.partition('?')[0].replace('alice', '{user}')}")

    assert published.kind is SpanKind.PRODUCER
    assert delivered.kind is SpanKind.CONSUMER
    assert trace_of(route) == trace_of(published) == trace_of(delivered)
    assert is_below(delivered, published)
    assert about(delivered)["hubbub.recipients"] == 1
    assert about(delivered)["messaging.client.id"] == tab.welcome["node"]


async def test_several_rooms_are_one_message_and_delivered_each(valkey: str) -> None:
    with tracing() as traces, tracing() as others:
        async with two(valkey, traces, others) as (here, there), Tab(there.address.ws, token="alice") as tab:
            await tab.join("team:a")
            await tab.join("kept:a")
            await here.post("/each", json=["team:a", "kept:a", "kept:b"])
            published = await traces.one("publish rooms")
            delivered = [await others.one("deliver team:{team}"), await others.one("deliver kept:{name}")]
    assert about(published)["messaging.batch.message_count"] == 3
    assert all(is_below(span, published) for span in delivered)


async def test_a_message_is_a_trace_of_its_own_linked_to_the_handshake_of_its_connection(valkey: str) -> None:
    with tracing() as traces, tracing() as others:
        async with (
            two(valkey, traces, others) as (here, there),
            Tab(here.address.ws, token="alice") as alice,
            Tab(there.address.ws, token="bob") as bob,
        ):
            await alice.join("team:a")
            await bob.join("team:a")
            await alice.request("say", room="team:a")
            await bob.receive("said")
            message, join = await traces.one("hubbub.message say"), await traces.one("hubbub.join team:{team}")
            handshake = await traces.one("hubbub.handshake")
            published = await traces.one("publish team:{team}")
            delivered = [await traces.one("deliver team:{team}"), await others.one("deliver team:{team}")]
        socket, endpoint = await traces.one("WS /ws"), await traces.named("fastapi.endpoint")
        connected = await traces.one("hubbub.connect")

    assert message.kind is join.kind is SpanKind.SERVER
    assert message.parent is join.parent is None
    assert links_of(message) == links_of(join) == [id_of(handshake)]
    assert len({trace_of(message), trace_of(join), trace_of(handshake)}) == 3
    assert about(message)["hubbub.connection"] == alice.welcome["connection"]
    assert is_below(published, message)
    assert all(is_below(span, published) for span in delivered)
    # What belongs to the beginning of the connection is in its own trace, which FastAPI has begun.
    assert any(is_below(handshake, span) for span in endpoint)
    assert is_below(connected, handshake)
    assert trace_of(socket) == trace_of(handshake)


@pytest.mark.parametrize(("type", "fields"), [("threaded", {}), ("say", {"way": "spawned"})])
async def test_who_sent_is_known_in_a_thread_and_in_what_was_spawned(
    valkey: str, type: str, fields: dict[str, str]
) -> None:
    with tracing() as traces:
        _, app = traced(valkey, traces)
        async with serving(app) as server, Tab(server.ws, token="alice") as tab:
            await tab.join("team:a")
            await tab.send({"type": type, "room": "team:a", **fields})
            await tab.receive("said")
            message = await traces.one(f"hubbub.message {type}")
            published = await traces.one("publish team:{team}")
            delivered = await traces.one("deliver team:{team}")
    assert is_below(published, message)
    assert is_below(delivered, published)


@pytest.mark.complains("fail failed for connection")
async def test_a_handler_that_fails_is_an_error_and_tells_no_secret() -> None:
    with tracing() as traces:
        _, app = traced("memory", traces)
        async with serving(app) as server, Tab(server.ws, token="alice-in-wonderland") as tab:
            await tab.request("fail", text="no row for alice-in-wonderland, token=sesame")
            failed = await traces.one("hubbub.message fail")
    assert failed.status.status_code is StatusCode.ERROR
    assert about(failed)["error.type"] == "LookupError"
    [event] = failed.events
    assert event.name == "exception"
    said = dict(event.attributes or {})
    assert said["exception.message"] == "no row for REDACTED, token=REDACTED"
    assert "raise LookupError(message.text)" in str(said["exception.stacktrace"])
    assert "wonderland" not in failed.to_json()
    assert "sesame" not in failed.to_json()


@pytest.mark.parametrize(
    ("type", "fields", "name", "code"),
    [
        ("fail", {"refused": True}, "hubbub.message fail", "forbidden"),
        ("fail", {"text": 7}, "hubbub.message fail", "invalid_message"),
        ("say", {"room": "team:elsewhere"}, "hubbub.message say", "not_joined"),
        ("who knows", {}, "hubbub.message", "unknown_type"),
        ("join_room", {"room": "team:closed"}, "hubbub.join team:{team}", "forbidden"),
        ("join_room", {"room": "nowhere"}, "hubbub.join room", "unknown_room"),
    ],
)
async def test_a_refusal_is_an_answer_and_no_error(type: str, fields: dict[str, object], name: str, code: str) -> None:
    with tracing() as traces:
        _, app = traced("memory", traces)
        async with serving(app) as server, Tab(server.ws, token="alice") as tab:
            answer = await tab.request(type, **fields)
            assert answer["code"] == code
            refused = await traces.one(name)
    assert refused.status.status_code is StatusCode.UNSET
    assert about(refused)["hubbub.refused"] == code
    assert not refused.events


async def test_a_handshake_that_is_refused_says_how() -> None:
    with tracing() as traces:
        _, app = traced("memory", traces)
        async with serving(app) as server:
            tab = Tab(server.ws, token="nobody")
            with pytest.raises(Exception, match="401"):
                await tab.connect()
            refused = await traces.one("hubbub.handshake")
    assert about(refused)["hubbub.refused"] == 401
    assert refused.status.status_code is StatusCode.UNSET


@pytest.mark.complains("authenticating a handshake failed")
async def test_an_authenticator_that_fails_is_an_error_and_its_text_is_not_told() -> None:
    with tracing() as traces:
        _, app = traced("memory", traces)
        async with serving(app) as server:
            tab = Tab(server.ws, token="fail-secret-token")
            with pytest.raises(Exception, match="500"):
                await tab.connect()
            failed = await traces.one("hubbub.handshake")
    assert failed.status.status_code is StatusCode.ERROR
    assert "secret-token" not in failed.to_json()


async def test_who_authenticates_by_the_first_message_is_traced_as_that() -> None:
    with tracing() as traces:
        _, app = traced("memory", traces)
        async with serving(app) as server:
            tab = await Tab(server.ws).connect()
            await tab.send({"type": "auth", "token": "alice"})
            await tab.receive("welcome")
            await tab.close()
            first, handshake = await traces.one("hubbub.authenticate"), await traces.one("hubbub.handshake")
    assert links_of(first) == [id_of(handshake)]
    assert about(first)["hubbub.renewal"] is False


@pytest.mark.complains("LookupError: broken")
async def test_what_a_plain_route_reads_is_a_message_each_and_current_in_its_task(valkey: str) -> None:
    with tracing() as traces:
        _, app = traced(valkey, traces)
        async with serving(app) as server, Tab(server.ws, "/plain", token="alice") as tab:
            await tab.request("one")
            await tab.request("two")
            await tab.send({"type": "break"})
            messages = await traces.named("hubbub.message", 3)
            published = await traces.named("publish team:{team}", 2)
    assert [about(span)["hubbub.message.type"] for span in messages] == ["one", "two", "break"]
    assert is_below(published[0], messages[0])
    assert is_below(published[1], messages[1])
    statuses = [span.status.status_code for span in messages]
    assert statuses == [StatusCode.UNSET, StatusCode.UNSET, StatusCode.ERROR]


async def test_what_was_not_sampled_is_passed_on_as_that(valkey: str) -> None:
    """Where the publisher's trace is not sampled, no worker makes a part of it; where it is, all do."""
    with tracing(ParentBased(ALWAYS_OFF)) as off, tracing() as on:
        async with two(valkey, off, on) as (here, there), Tab(there.address.ws, token="alice") as tab:
            await tab.join("team:a")
            await here.post("/say?room=team:a")
            await tab.receive("said")
            # The other worker would sample whatever has nothing above it.
            await there.post("/say?room=team:a")
            await tab.receive("said")
            published = await on.one("publish team:{team}")
            delivered = await on.named("deliver team:{team}")
    assert [is_below(span, published) for span in delivered][-1:] == [True]
    assert off.names == []


async def test_a_worker_that_does_not_trace_delivers_and_passes_nothing_on_of_its_own(valkey: str) -> None:
    with tracing() as traces:
        async with (
            two(valkey, traces, None) as (here, there),
            Tab(here.address.ws, token="alice") as alice,
            Tab(there.address.ws, token="bob") as bob,
        ):
            await alice.join("kept:a")
            await bob.join("kept:a")
            await here.post("/say?room=kept:a")
            assert await bob.receive("said") == await alice.receive("said")
            await there.post("/say?room=kept:a")
            assert await bob.receive("said") == await alice.receive("said")
            await here.post("/say?room=kept:a")
            await alice.receive("said")
            await traces.named("deliver kept:{name}", 2)
            assert traces.names.count("publish kept:{name}") == 2


async def test_what_is_replayed_is_the_same_and_part_of_the_join(valkey: str) -> None:
    with tracing() as traces, tracing() as others:
        async with two(valkey, traces, others) as (here, there):
            await here.post("/say?room=kept:a")
            position = await here.hub.room("kept:a").send({"type": "said"}, idempotency_key="once")
            again = await there.hub.room("kept:a").send({"type": "said"}, idempotency_key="once")
            assert again == position
            async with Tab(there.address.ws, token="alice") as tab:
                joined = await tab.join("kept:a", since={"epoch": position.epoch, "offset": 0})  # type: ignore[union-attr]
                assert joined["recovered"] is True
                assert [(await tab.receive("said"))["offset"] for _ in range(2)] == [1, 2]
                page = await there.hub.room("kept:a").history()
                said = {"type": "said", "room": "kept:a"}
                assert page.messages == [{**said, "offset": 1}, {**said, "offset": 2}]
                join = await others.one("hubbub.join kept:{name}")
            assert about(join)["hubbub.resumes"] is True
            assert "deliver kept:{name}" not in [*others.names, *traces.names]


async def test_a_message_that_waited_for_the_broker_is_below_who_sent_it(valkey: str) -> None:
    with tracing() as traces:
        hub, app = traced(valkey, traces)
        async with serving(app) as server, Tab(server.ws, token="alice") as tab:
            await tab.join("team:a")
            tracer = traces.provider.get_tracer("test")
            with tracer.start_as_current_span("sends") as sends:
                await hub.room("team:a").send({"type": "said"}, patience=5.0)
            await tab.receive("said")
            published = await traces.one("publish team:{team}")
            await until(lambda: "deliver team:{team}" in traces.names, "it was delivered")
    assert published.parent is not None
    assert published.parent.span_id == sends.get_span_context().span_id
