"""The server's end of a tab's connection: a transport without a socket.

What a connection writes is handed to the tab at once, as long as the tab reads. What it does not read stays in the
connection's outbox, so that back-pressure, its policies and its bounds are the real ones.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from hubbub.closes import Close
from hubbub.ports.transport import Driven
from hubbub.testing.conversation import NO_CLOSE
from hubbub.transports.null import NOBODY


class Line:
    """The server's end: what a transport is to a connection. Ends once, with a code."""

    pings = False
    writer = None
    outlives = False

    def __init__(self, told: Callable[[str], None], over: Callable[[int], None]) -> None:
        self._told = told
        self._over = over
        self._driven: Driven = NOBODY
        self._closing = 0.0
        self._close: Close | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._held: deque[str] = deque()
        self._paused = 0
        self._gone = asyncio.Event()
        self.readable: int | None = None
        """How many messages the tab is still going to read; None: all that come."""

    def take_over(self, driven: Driven, *, limit: int, closing: float) -> "Line":
        """What the endpoint calls."""
        self._driven, self._closing = driven, closing
        return self

    # What the connection calls.

    def ping(self) -> None:
        """There are no frames here that could be one."""

    def flush(self) -> None:
        while self.readable != 0 and not self._gone.is_set():
            messages = self._driven.outbound.take(1)
            if not messages:
                break
            for message in messages:
                if self.readable is not None:
                    self.readable -= 1
                self._driven.outbound.sent(len(message))
                self._told(message.text)
        if self._close is not None and self.readable != 0:
            self.end(self._close.code)

    def close(self, close: Close) -> None:
        if self._close is None and not self._gone.is_set():
            self._close = close
            self._alarm = asyncio.get_running_loop().call_later(self._closing, self.end)
            # The peer hears of it in a later turn, as over a network.
            asyncio.get_running_loop().call_soon(self.flush)

    def pause_reading(self, seconds: float) -> None:
        self._paused += 1
        asyncio.get_running_loop().call_later(seconds, self._go_on)

    def stop_reading(self) -> None:
        self._paused += 1

    def read_on(self) -> None:
        self._go_on()

    # What the endpoint calls.

    async def wait(self) -> None:
        await self._gone.wait()

    async def stop(self) -> None:
        self.end()

    # What the tab calls.

    def frame(self, text: str) -> None:
        self._held.append(text)
        self._read()

    def end(self, code: int = NO_CLOSE) -> None:
        """The socket is gone."""
        if self._gone.is_set():
            return
        self._gone.set()
        if self._alarm is not None:
            self._alarm.cancel()
        driven, self._driven = self._driven, NOBODY
        driven.lost(code)
        self._over(code)

    def _go_on(self) -> None:
        self._paused -= 1
        self._read()

    def _read(self) -> None:
        while self._held and not self._paused:
            text = self._held.popleft()
            if self._close is None:
                self._driven.weigh(len(text.encode("utf-8", "surrogatepass")))
                self._driven.receive(text)
