"""`docs/howto/tracing.md`: its tables against what is traced, its examples on a real server."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from hubbub.protocol.trace_context import MOST_STATE
from tests.docs.pages import examples, plain, read, rows, sections
from tests.integration.tracing.applications import traced
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.serving import serving
from tests.kit.traces import Traces, about, tracing
from tests.kit.waiting import wait_for

PAGE = "docs/howto/tracing.md"


async def everything(traces: Traces) -> list[ReadableSpan]:
    """A span of each kind, of all that is done here."""
    hub, app = traced("memory", traces)
    async with serving(app) as server:
        first = await Tab(server.ws).connect()
        await first.send({"type": "auth", "token": "bob"})
        await first.receive("welcome")
        await first.close()
        async with Tab(server.ws, token="alice", features=["presence"]) as tab:
            await tab.join("shown:a")
            await tab.join("team:7")
            await tab.join("kept:a")
            await tab.send({"type": "say", "room": "kept:a"})
            await tab.receive("said")
            await tab.request("fail")
            await tab.request("fail", refused=True)
            await tab.request("set_presence", presence={"a": 1})
            await hub.user("alice").send({"type": "a"})
            await hub.broadcast({"type": "b"})
            await hub.each_room(["team:7", "kept:a"]).send({"type": "c"})
            await tab.receive("c")
            await tab.send({"type": "leave_room", "room": "team:7"})
            await tab.receive("room_left")
            await traces.one("hubbub.leave team:{team}")
            await traces.named("deliver kept:{name}", 2)
    return [span for span in traces.spans if span.instrumentation_scope and span.instrumentation_scope.name == "hubbub"]


def tables() -> list[list[list[str]]]:
    [spans, attributes] = [sections(PAGE)["The spans"].partition("| attribute |")[part] for part in (0, 2)]
    return [rows(spans), rows("| attribute |" + attributes)]


@pytest.mark.complains("fail failed for connection")
async def test_the_tables_say_what_is_traced_and_nothing_else() -> None:
    with tracing() as traces:
        spans = await everything(traces)
    said, attributes = tables()
    words = {plain(row[0]).partition(" ")[0]: row for row in said}
    assert {span.name.partition(" ")[0] for span in spans} == set(words)
    for span in spans:
        assert span.kind.name.lower() in words[span.name.partition(" ")[0]][1]
    assert {span.name for span in spans} >= {"publish user", "publish everyone", "publish rooms"}
    named = {name for row in attributes for name in re.findall(r"`([a-z_.]+)`", row[0])}
    assert {name for span in spans for name in about(span)} == named


def test_what_may_be_carried_is_as_long_as_it_says() -> None:
    assert f"`tracestate` of at most {MOST_STATE} characters" in read(PAGE)


@pytest.mark.complains("fail failed for connection")
async def test_what_a_sampler_leaves_out_is_not_traced_nor_what_comes_of_it(
    example: Callable[[str, str], ModuleType],
) -> None:
    module = example(PAGE, "quiet.py")
    traces = Traces(module.provider(["say"]))
    hub, app = traced("memory", traces)
    async with serving(app) as server, Tab(server.ws, token="alice") as tab:
        await tab.join("team:a")
        await tab.send({"type": "say", "room": "team:a"})
        await tab.receive("said")
        await tab.request("fail")
        await traces.one("hubbub.message fail")
        await hub.room("team:a").send({"type": "said"})
        await tab.receive("said")
        await traces.one("deliver team:{team}")
    assert "hubbub.message say" not in traces.names
    assert traces.names.count("publish team:{team}") == traces.names.count("deliver team:{team}") == 1
    traces.provider.shutdown()


@pytest.mark.parametrize("switch", [None, "0"])
def test_the_application_traces_a_request_to_its_delivery(tmp_path: Path, switch: str | None) -> None:
    (tmp_path / "traced.py").write_text(examples(PAGE)["traced.py"])
    environment = {"HUBBUB_SECRET": "x" * 32, "HUBBUB_TRACING": switch}
    with Served("traced:app", "--dev", cwd=tmp_path, env=environment, ready="/docs") as server:
        httpx.post(f"{server.url}/orders/1/ship", trust_env=False).raise_for_status()
        server.stop()
        wait_for(lambda: '"name": "POST /orders/{order_id}/ship"' in server.output, what="FastAPI's span is printed")
        assert ('"name": "publish team:{team_id}"' in server.output) is (switch is None)
