"""A server that wants to end without having been told to: uvicorn's own, looking as it does ten times a second."""

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
import uvicorn

from hubbub.testing import settle
from tests.hub.conftest import Hub, register, told
from tests.kit.waiting import until


async def _nothing(scope: Any, receive: Any, send: Any) -> None: ...


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.heard: list[int] = []

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.heard.append(sig)
        super().handle_exit(sig, frame)


@pytest.fixture
def server() -> Iterator[Server]:
    """One that serves two requests at most; its handlers of signals are installed, but no sockets opened."""
    config = uvicorn.Config(_nothing, limit_max_requests=2, log_config=None)
    config.load()
    here = Server(config)
    before = {number: signal.signal(number, here.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield here
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve_too_much(server: Server) -> None:
    server.server_state.total_requests = 2


def ask_for_the_end(server: Server) -> None:
    server.should_exit = True


WISHES = [serve_too_much, ask_for_the_end]


@pytest.mark.parametrize("wish", WISHES)
async def test_it_ends_when_the_hub_has_drained_and_not_before(
    server: Server, log: list[Any], wish: Callable[[Server], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    hub = Hub(log, done=False)
    signals = register(hub)
    assert not await server.on_tick(1)
    wish(server)
    for counter in range(1, 9):
        assert not await server.on_tick(counter)
        await settle()
    assert log == [("drain", False)]
    assert caplog.text.count("Maximum request limit") == (wish is serve_too_much)
    assert caplog.text.count("the server ends by itself") == 1
    server.server_state.default_headers = []
    await server.on_tick(10)
    assert server.server_state.default_headers, "the rest of its look was left out"
    hub.gate.set()

    async def ends() -> bool:
        return await server.on_tick(1)

    await until(ends, "it ends")
    assert log == [("drain", False), "drained"]
    signals.unregister(hub)


async def test_a_look_is_the_servers_own_again_when_the_hub_has_stopped(server: Server, log: list[Any]) -> None:
    hub = Hub(log, done=False)
    signals = register(hub)
    serve_too_much(server)
    assert not await server.on_tick(1)
    signals.unregister(hub)
    assert server.on_tick.__func__ is uvicorn.Server.on_tick  # type: ignore[attr-defined]
    # Of whoever took the look before: an application, or a hub that put its handler later.
    server.should_exit = True
    assert await server.on_tick(1)


async def test_a_gate_below_another_lets_go_as_well(server: Server, log: list[Any]) -> None:
    first = Hub(log, done=False)
    outer = register(first)
    handler = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *args: handler(*args))  # type: ignore[operator, misc]
    second = Hub(log, done=False)
    inner = register(second)
    assert inner is not outer
    outer.unregister(first)
    inner.unregister(second)
    server.should_exit = True
    assert await server.on_tick(1)


async def test_sigterm_meanwhile_reaches_the_server_after_the_hub(server: Server, log: list[Any]) -> None:
    hub = Hub(log, done=False)
    signals = register(hub)
    serve_too_much(server)
    assert not await server.on_tick(1)
    told()
    await settle()
    assert not server.should_exit
    assert log == [("drain", False)]
    hub.gate.set()
    await until(lambda: server.should_exit, "passed on")
    assert await server.on_tick(1)
    signals.unregister(hub)
    assert server.heard == [signal.SIGTERM]


async def test_sigint_meanwhile_hurries_and_is_the_servers_first(server: Server, log: list[Any]) -> None:
    hub = Hub(log, done=False)
    signals = register(hub)
    serve_too_much(server)
    assert not await server.on_tick(1)
    await until(lambda: log, "it drains")
    told(signal.SIGINT)
    await until(lambda: server.should_exit, "passed on")
    assert log == [("drain", False), "hurry", "drained"]
    assert not server.force_exit, "the end of the lifespan would be left out"
    signals.unregister(hub)


async def test_a_signal_that_comes_when_all_are_gone_is_passed_on_at_once(server: Server, log: list[Any]) -> None:
    hub = Hub(log)
    signals = register(hub)
    serve_too_much(server)

    async def ends() -> bool:
        return await server.on_tick(1)

    await until(ends, "it ends")
    told()
    await until(lambda: server.should_exit, "passed on")
    assert log == [("drain", False), "drained"]
    signals.unregister(hub)


async def test_whoever_forces_the_end_is_not_held_up(server: Server, log: list[Any]) -> None:
    hub = Hub(log, done=False)
    signals = register(hub)
    server.should_exit = server.force_exit = True
    assert await server.on_tick(1)
    signals.unregister(hub)
    await asyncio.sleep(0)
