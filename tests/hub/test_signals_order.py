"""Signals to this very process, and who hears of them in which order."""

import asyncio
import contextvars
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hubbub.testing import settle
from tests.hub.conftest import Hub, Server, register, told
from tests.kit.waiting import until


async def test_the_server_hears_of_it_when_the_hub_is_done(server: Server, log: list[Any]) -> None:
    hub = Hub(log, done=False)
    signals = register(hub)
    told()
    await settle()
    assert log == [("drain", False)]
    hub.gate.set()
    await until(lambda: len(log) == 3, "passed on")
    assert log == [("drain", False), "drained", "SIGTERM"]
    signals.unregister(hub)
    assert log[3:] == []


async def test_a_loop_that_sleeps_is_woken(server: Server, log: list[Any]) -> None:
    hub = Hub(log)
    signals = register(hub)
    begun = asyncio.Event()
    hub.begun = begun.set
    began = time.monotonic()
    threading.Timer(0.1, told).start()
    # Nothing else happens in this loop: without being woken it would sleep until the timeout.
    async with asyncio.timeout(10):
        await begun.wait()
    assert time.monotonic() < began + 5
    signals.unregister(hub)


async def test_sigint_is_passed_on_as_soon_as_all_are_told(server: Server, log: list[Any]) -> None:
    hub = Hub(log)
    signals = register(hub)
    told(signal.SIGINT)
    await until(lambda: "SIGINT" in log, "passed on")
    assert log == [("drain", True), "drained", "SIGINT"]
    signals.unregister(hub)


async def test_where_the_server_reloads_there_is_no_window(server: Server, log: list[Any]) -> None:
    server.config.reload = True
    hub = Hub(log)
    signals = register(hub)
    told()
    await until(lambda: "SIGTERM" in log, "passed on")
    assert log[0] == ("drain", True)
    signals.unregister(hub)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_hurries_the_hubs_and_goes_to_the_server_once(
    server: Server, log: list[Any], second: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.hub.signals.ECHO", 0.0)
    hub = Hub(log, done=False)
    signals = register(hub)
    told()
    await until(lambda: log == [("drain", False)], "begun")
    told(second)
    await until(lambda: second.name in log, "passed on")
    assert log == [("drain", False), "hurry", "drained", second.name]
    signals.unregister(hub)
    assert len(log) == 4


async def test_a_hub_that_does_not_hurry_holds_nobody_up(
    server: Server, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.hub.signals.ECHO", 0.0)
    hub = Hub(log, done=False)
    hub.hurry = lambda: None  # type: ignore[method-assign]
    signals = register(hub)
    told()
    await until(lambda: log == [("drain", False)], "begun")
    told()
    told()  # at once, past everybody
    time.sleep(0)  # noqa: ASYNC251 - the handler runs between two instructions
    assert log == [("drain", False), "SIGTERM"]
    signals.unregister(hub)
    assert log == [("drain", False), "SIGTERM"]


async def test_nobody_is_waited_for_longer_than_a_server_takes_to_notice(
    server: Server, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.hub.signals.ECHO", 0.0)
    hub = Hub(log, done=False)
    hub.hurry = lambda: None  # type: ignore[method-assign]
    signals = register(hub)
    told()
    await until(lambda: log == [("drain", False)], "begun")
    told(signal.SIGINT)
    await until(lambda: log == [("drain", False), "SIGINT"], "passed on all the same")
    signals.unregister(hub)


async def test_a_sigterm_that_came_by_two_ways_is_one(server: Server, log: list[Any]) -> None:
    hub = Hub(log, done=False)
    signals = register(hub)
    told()
    told()
    await until(lambda: log == [("drain", False)], "begun")
    told()
    time.sleep(0)  # noqa: ASYNC251 - the handler runs between two instructions
    assert log == [("drain", False)]
    told(signal.SIGINT)
    await until(lambda: "drained" in log, "hurried")
    signals.unregister(hub)


async def test_a_second_sigint_after_the_first_was_passed_on_forces_the_server(server: Server, log: list[Any]) -> None:
    hub = Hub(log)
    signals = register(hub)
    told(signal.SIGINT)
    await until(lambda: "SIGINT" in log, "passed on")
    told(signal.SIGINT)
    await until(lambda: "hurry" in log, "hurried")
    assert log.count("SIGINT") == 2
    signals.unregister(hub)


async def test_several_hubs_share_one_and_go_together(server: Server, log: list[Any]) -> None:
    slow, quick = Hub(log, done=False), Hub(log)
    signals = register(slow)
    assert register(quick) is signals
    told()
    await until(lambda: "drained" in log, "the first is done")
    assert log == [("drain", False), ("drain", False), "drained"]
    slow.gate.set()
    await until(lambda: "SIGTERM" in log, "passed on")
    assert log.count("SIGTERM") == 1
    signals.unregister(quick)
    assert signal.getsignal(signal.SIGTERM) != server.handle_exit
    signals.unregister(slow)
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit


async def test_a_hub_that_fails_holds_up_nobody(
    server: Server, log: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    hubs = [Hub(log, fails=True), Hub(log)]
    several = [register(hub) for hub in hubs]
    told()
    await until(lambda: "SIGTERM" in log, "passed on")
    assert "drained" in log
    assert "could not send its clients away" in caplog.text
    for signals, hub in zip(several, hubs, strict=True):
        signals.unregister(hub)


async def test_a_hub_that_stops_while_it_drains_does_not_swallow_the_signal(server: Server, log: list[Any]) -> None:
    hub = Hub(log, done=False)
    signals = register(hub)
    told()
    await until(lambda: log, "begun")
    signals.unregister(hub)
    await settle()
    assert log == [("drain", False), "SIGTERM"]
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit


class Broken:
    """Connections that cannot even be looked at."""

    def __iter__(self) -> Iterator[Any]:
        raise ValueError("negative file descriptor: -1")


async def test_the_server_hears_of_it_whatever_goes_wrong_before(server: Server, log: list[Any]) -> None:
    server.server_state.connections = Broken()
    server.config.ws_protocol_class = Broken
    hub = Hub(log)
    signals = register(hub)
    told()
    await until(lambda: "SIGTERM" in log, "passed on")
    signals.unregister(hub)


async def test_a_drain_does_not_have_the_variables_of_what_a_signal_has_come_into(
    server: Server, log: list[Any]
) -> None:
    """It comes between any two instructions, most likely in those of somebody's message."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    hub = Hub(log)
    signals = register(hub)
    hub.begun = lambda: log.append(variable.get())

    def message() -> None:
        variable.set("the message's")
        told()

    contextvars.copy_context().run(message)
    await until(lambda: "SIGTERM" in log, "passed on")
    assert log == [("drain", False), "unset", "drained", "SIGTERM"]
    signals.unregister(hub)
