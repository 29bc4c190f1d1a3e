"""Leaving without a window, or without waiting for its end: all are told, and closed in one turn."""

import contextlib
import signal

import pytest

from tests.integration.hub.leaving import hub_that_leaves, operated, tabs, terminate, told_by_signals
from tests.kit.inside import inside, runs
from tests.kit.serving import serving
from tests.kit.waiting import until


async def test_a_second_signal_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubbub.hub.signals.ECHO", 0.0)
    hub = hub_that_leaves(60.0)
    async with told_by_signals(operated(hub)) as (server, handlers), contextlib.AsyncExitStack() as stack:
        all_of_them = await tabs(server, 5, stack)
        terminate()
        await until(lambda: inside(hub).stopping, "it drains")
        assert not handlers.heard
        terminate()
        assert [await tab.closed(within=15) for tab in all_of_them] == [1012] * 5
        assert [len(tab.received("closing")) for tab in all_of_them] == [1] * 5
        await until(lambda: not runs(hub), "the hub has stopped")
        assert handlers.heard == [signal.SIGTERM]


@pytest.mark.parametrize("window", [0.0, 60.0])
async def test_sigint_and_no_window_send_all_away_at_once(window: float) -> None:
    hub = hub_that_leaves(window)
    async with told_by_signals(operated(hub)) as (server, handlers), contextlib.AsyncExitStack() as stack:
        all_of_them = await tabs(server, 5, stack)
        terminate(signal.SIGINT if window else signal.SIGTERM)
        assert [await tab.closed(within=15) for tab in all_of_them] == [1012] * 5
        assert all(tab.received("closing")[0]["retry_after"] < 1000 for tab in all_of_them)
        await until(lambda: handlers.heard, "passed on")


async def test_a_hub_that_is_stopped_without_a_signal_tells_all_at_once() -> None:
    hub = hub_that_leaves(60.0)
    async with serving(operated(hub)) as server, contextlib.AsyncExitStack() as stack:
        all_of_them = await tabs(server, 4, stack)
        await hub.stop()
        assert [await tab.closed(within=15) for tab in all_of_them] == [1012] * 4
        told = sorted(tab.received("closing")[0]["retry_after"] for tab in all_of_them)
        assert told == [7_500, 22_500, 37_500, 52_500]
