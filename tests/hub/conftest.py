"""A hub and a server that write down what they hear; the server's handlers of signals are this process's."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from hubbub.hub.signals import ShutdownSignals

#: Seconds.
CLOSING = 0.05


class Hub:
    """One that takes until `gate` is set to send its clients away."""

    def __init__(self, log: list[Any], *, done: bool = True, fails: bool = False) -> None:
        self._log = log
        self._fails = fails
        self.begun: Callable[[], object] = lambda: None
        self.gate = asyncio.Event()
        if done:
            self.gate.set()

    async def drain(self, *, at_once: bool) -> None:
        self._log.append(("drain", at_once))
        self.begun()
        if self._fails:
            raise RuntimeError("no")
        await self.gate.wait()
        self._log.append("drained")

    def hurry(self) -> None:
        self._log.append("hurry")
        self.gate.set()


class Server:
    """What uvicorn's is, as far as anybody can see from its signal handler."""

    def __init__(self, log: list[Any], *, reload: bool = False) -> None:
        self._log = log
        self.config = SimpleNamespace(reload=reload, workers=3, ws_protocol_class=None)
        self.server_state = SimpleNamespace(connections=set())

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        self._log.append(signal.Signals(number).name)


@pytest.fixture
def log() -> list[Any]:
    return []


@pytest.fixture
def server(log: list[Any]) -> Iterator[Server]:
    """Its handlers are installed."""
    here = Server(log)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, here.handle_exit)
    try:
        yield here
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def register(hub: Hub) -> ShutdownSignals:
    signals = ShutdownSignals.register(hub, closing=CLOSING)
    assert signals is not None
    return signals


def told(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)
