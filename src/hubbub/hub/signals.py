"""Being told to end: the hubs of a process send their clients away before the server hears of it.

uvicorn closes all sockets first and ends the lifespan afterwards, too late for a word to anybody. So the first hub that
starts puts a handler before those of SIGTERM and SIGINT that are installed then, and these are called when every hub
has drained: requests are answered meanwhile. A second signal hurries the hubs, unless it is the echo of the first.
SIGINT leaves no window, because somebody waits at a terminal, nor does a server that reloads. A protocol class that
does it lost: it would be there under one server only.

A server that ends without a signal, because it has served enough, is held back for as long (`exit_gate.py`).

Off the main thread there are no signals; then clients are told when the hub stops.
"""

import asyncio
import contextvars
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol, TypeAlias

from hubbub.errors import ConfigurationError
from hubbub.hub.exit_gate import ExitGate, gate
from hubbub.hub.server_process import ENDING, ServerProcess
from hubbub.options import Leaving
from hubbub.ports.logs import Event, fields
from hubbub.transports.leftovers import Leftovers

_log = logging.getLogger("hubbub.departure")

_Handler: TypeAlias = Callable[[int, FrameType | None], Any]

# The same order, given again: a service manager tells all processes of a service, and the parent tells its workers.
ECHO = 1.0
# How long a transport with a task of its own needs to write what was said last.
_SAID = 0.05
# A server looks ten times a second whether it is to end, and then lets go of what it still has.
_NOTICED = 0.25


class Drainable(Protocol):
    """A hub that runs."""

    async def drain(self, *, at_once: bool) -> None:
        """Send everybody away; returns when they are gone or had their time, with `at_once` as soon as all are told."""

    def hurry(self) -> None:
        """Take no more time for `drain`."""


class ShutdownSignals:
    """What is installed for the signals as long as hubs run, one for all of a process."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, closing: float) -> None:
        self._loop = loop
        self._closing = closing
        self._hubs: list[Drainable] = []
        self._before: dict[int, _Handler | int | None] = {}
        self._told: int | None = None
        self._told_at = 0.0
        self._hurried = self._passed_on = self._drained = False
        self._work: asyncio.Task[None] | None = None
        self._gate: ExitGate | None = None
        # A signal comes in the middle of anything, and what is done then is not to have its variables.
        self._context = contextvars.copy_context()

    @classmethod
    def register(cls, hub: Drainable, *, closing: float) -> "ShutdownSignals | None":
        """Tell `hub` of signals until `unregister`. None where this thread gets none. Call from the event loop.

        `closing`: seconds after which a socket that is closed and takes nothing is dropped.
        """
        if threading.current_thread() is not threading.main_thread():
            return None
        loop = asyncio.get_running_loop()
        found = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        signals = found if isinstance(found, cls) and found.of(loop) else cls(loop, closing=closing)
        signals.add(hub)
        return signals

    def of(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether this is that loop's; one whose hubs were never stopped may still be installed."""
        return self._loop is loop

    def add(self, hub: Drainable) -> None:
        self._hubs.append(hub)
        for number in ENDING:
            handler = signal.getsignal(number)
            # An ignored one stays ignored, and None is a handler that is not Python's and could not be put back.
            if number in self._before or handler in (None, signal.SIG_IGN):
                continue
            self._before[number] = handler
            signal.signal(number, self._handle)
        if self._gate is None:
            self._gate = gate(self.server_process.server, self._may_end)

    def unregister(self, hub: Drainable) -> None:
        """`hub` has stopped. With the last one the handlers are again what they were. May be called twice."""
        if hub not in self._hubs:
            return
        self._hubs.remove(hub)
        if self._hubs:
            return
        if self._work is not None:
            self._work.cancel()
        if self._gate is not None:
            self._gate.open()
        for number, handler in self._before.items():
            # A handler that was put before ours later calls ours, and ours calls on.
            if signal.getsignal(number) == self._handle:
                signal.signal(number, handler)
        self._pass_on_once()

    @property
    def server_process(self) -> ServerProcess:
        """The server whose handlers were installed before."""
        return ServerProcess(self._before.values())

    def _handle(self, number: int, _: FrameType | None) -> None:
        # Between any two instructions of the main thread: what is to be done is left to the loop.
        if self._hubs and not self._loop.is_closed():
            if self._told is None:
                self._told, self._told_at = number, self._loop.time()
                self._loop.call_soon_threadsafe(self._begin, context=self._context)
                return
            if number == self._told == signal.SIGTERM and self._loop.time() - self._told_at < ECHO:
                return
            if not self._hurried:
                self._hurried, self._told = True, number
                self._loop.call_soon_threadsafe(self._hurry, context=self._context)
                if not self._passed_on:
                    return
        self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        self._passed_on = True
        handler = self._before[number]
        if callable(handler):
            handler(number, None)
        else:
            signal.signal(number, handler)
            signal.raise_signal(number)

    def _begin(self) -> None:
        if self._work is None:
            self._work = self._loop.create_task(self._drain())
        elif self._drained:
            self._pass_on_once()
        elif self._told == signal.SIGINT:
            self._hurry()

    def _may_end(self) -> bool:
        """The server would end now. Whether it may; the hubs begin to drain where they have not yet."""
        if self._work is None:
            _log.warning("the server ends by itself; its clients are sent away first", extra=fields(Event.DRAIN_BEGINS))
            self._begin()
        return self._drained or self._passed_on

    async def _drain(self) -> None:
        process = self.server_process
        at_once = self._told == signal.SIGINT or process.reloads
        work = (hub.drain(at_once=at_once) for hub in self._hubs)
        for failure in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(failure, Exception):
                _log.error("a hub could not send its clients away", exc_info=failure, extra=fields(Event.DRAIN_FAILED))
        await asyncio.sleep(_SAID)
        leftovers = Leftovers(process.server)
        try:
            if not at_once and not self._hurried:
                await leftovers.drop_idle()
        except Exception:  # noqa: BLE001 - whatever it was, the server must hear that it is to end
            _log.exception("sockets that are closed already could not be dropped", extra=fields(Event.SOCKET_FAILED))
        self._drained = True
        self._pass_on_once()
        await asyncio.sleep(self._closing)
        leftovers.drop()

    def _hurry(self) -> None:
        self._hurried = True
        for hub in self._hubs:
            hub.hurry()
        # Whatever a hub does then, nobody waits longer for it.
        self._loop.call_later(_NOTICED, self._pass_on_once)
        self._loop.call_later(2 * _NOTICED, Leftovers(self.server_process.server).drop)

    def _pass_on_once(self) -> None:
        if not self._passed_on and self._told is not None:
            self._pass_on(self._told)


def leaving_from_environment() -> Leaving:
    """What holds where the code says nothing: HUBBUB_DRAIN is the window. Raises ConfigurationError."""
    window = os.environ.get("HUBBUB_DRAIN")
    if not window:
        return Leaving()
    try:
        return Leaving(window=float(window))
    except ValueError:
        raise ConfigurationError(f"HUBBUB_DRAIN is a number of seconds, 0 or more, not {window!r}") from None
