"""Whether anything is traced: what has to be there, what switches it off, and what of it costs nothing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import hubbub
from hubbub import ConfigurationError, Hub
from hubbub.testing import ManualClock
from hubbub.tracing.provider import tracer_of
from tests.kit.traces import tracing

SOURCE = Path(hubbub.__file__).parent


def test_where_nobody_set_up_a_provider_nothing_is_traced() -> None:
    """The global one is that of the API alone."""
    assert type(trace.get_tracer_provider()) is trace.ProxyTracerProvider
    assert tracer_of(None) is None
    assert tracer_of(True) is None
    assert tracer_of(trace.NoOpTracerProvider()) is None


def test_a_provider_that_is_given_makes_the_spans_in_the_name_of_the_package() -> None:
    with tracing() as traces:
        span = tracer_of(traces.provider).start_span("x")  # type: ignore[union-attr]
        span.end()
        [ended] = traces.spans
    assert ended.instrumentation_scope.name == "hubbub"
    assert ended.instrumentation_scope.version == hubbub.__version__


@pytest.mark.parametrize(
    ("setting", "variable", "traced"),
    [
        (None, None, True),
        (None, "1", True),
        (None, "0", False),
        (True, "0", True),
        (False, "1", False),
    ],
)
def test_it_is_switched_by_the_code_and_else_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, *, setting: bool | None, variable: str | None, traced: bool
) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: TracerProvider(shutdown_on_exit=False))
    if variable is None:
        monkeypatch.delenv("HUBBUB_TRACING", raising=False)
    else:
        monkeypatch.setenv("HUBBUB_TRACING", variable)
    assert (tracer_of(setting) is not None) is traced


def test_an_sdk_that_is_disabled_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert tracer_of(TracerProvider(shutdown_on_exit=False)) is None


def test_a_provider_that_fails_stops_nobody_from_starting(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def get_tracer(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("no")

    assert tracer_of(Broken()) is None
    assert "nothing is traced: the tracer provider failed (builtins.RuntimeError" in caplog.text


@pytest.mark.parametrize("setting", ["yes", 1, TracerProvider, object()])
def test_what_is_no_provider_is_refused_by_name(setting: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Hub\(tracing=…\) is a bool, None or a TracerProvider"):
        Hub("memory", tracing=setting)


def test_no_sdk_is_imported_by_us() -> None:
    assert not [file for file in SOURCE.rglob("*.py") if "opentelemetry.sdk" in file.read_text()]


BARE = """
import asyncio, sys
from hubbub import Hub

# As where it is not installed: FastAPI's newest, which cannot do without, has been imported.
for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
    del sys.modules[name]
sys.modules["opentelemetry"] = None

async def runs():
    async with Hub("memory").running() as hub:
        await hub.room("r").send({"type": "x"})
    print("traced" if "hubbub.tracing.worker" in sys.modules else "untraced")

asyncio.run(runs())
"""


def test_the_api_need_not_be_there() -> None:
    """The oldest FastAPI that is supported does not bring it along."""
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "untraced\n", done.stderr


async def test_one_that_comes_too_late_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    async with Hub("memory", clock=clock).running(), Hub("memory", clock=clock, tracing=False).running():
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: TracerProvider(shutdown_on_exit=False))
        await clock.advance(4.0)
        assert not caplog.records
        await clock.advance(2.0)
    [record] = caplog.records
    assert record.name == "hubbub.tracing"
    assert record.getMessage().startswith("a tracer provider was set up after the hub had started: it traces nothing.")
