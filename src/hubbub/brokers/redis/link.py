"""A connection that redis-py made and logged in, and does not read any more.

Bytes come by callback and a chunk's replies are worked on in one go: redis-py's await for each costs more than all the
rest of receiving. Each step of the work is one message; what a flood leaves after `_TURN` seconds waits for the loop's
next turn, and the socket is not read meanwhile, so that the server's own bound is the one that a flood meets.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Protocol, TypeAlias

from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import RedisError

from hubbub.brokers.redis import resp
from hubbub.brokers.redis.resp import Reader

#: Seconds of work in one turn of the loop. A message begun is finished.
_TURN = 0.01

#: Takes replies until there is no complete one, one message a step.
Work: TypeAlias = Callable[[Reader], Iterator[None]]


class Connected(Protocol):
    """redis-py's connection, as far as it is needed here."""

    @property
    def transport(self) -> asyncio.Transport: ...

    async def disconnect(self) -> None: ...


class Link(asyncio.Protocol):
    """Belongs to who got it from `Server.connect`, and has to be closed."""

    def __init__(self, connection: Connected) -> None:
        self._connection = connection
        self._transport = connection.transport
        self._loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[Exception] = self._loop.create_future()
        self._reader = resp.new_reader()
        self._steps: Iterator[None] | None = None
        self._paused = False
        self._behind = False

    @property
    def up(self) -> bool:
        return not self._lost.done()

    def was_behind(self) -> bool:
        """Whether more had come than one turn could work on, at any time since this was asked last."""
        behind, self._behind = self._behind, self._paused
        return behind

    def read(self, work: Work) -> None:
        """From now on `work` is called for what arrives. An exception it raises ends the connection."""
        self._work = work
        self._before = self._transport.get_protocol()
        self._transport.set_protocol(self)

    def write(self, data: bytes) -> None:
        """Nothing, where the connection is lost."""
        if self.up:
            self._transport.write(data)

    def fail(self, error: Exception) -> None:
        """End it at once, for this reason."""
        if self.up:
            self._lost.set_result(error)
            self._transport.abort()

    async def lost(self, within: float | None = None) -> Exception | None:
        """Why it was lost; None where it is still up after `within` seconds."""
        # Not awaited itself: a caller that is cancelled would cancel it.
        await asyncio.wait((self._lost,), timeout=within)
        return self._lost.result() if self._lost.done() else None

    async def close(self) -> None:
        self.fail(NotConnected("closed"))
        with suppress(RedisError, OSError):
            await self._connection.disconnect()

    def data_received(self, data: bytes) -> None:
        if not self.up:
            return
        self._reader.feed(data)
        if self._steps is None:
            self._steps = self._work(self._reader)
            self._go_on()

    def eof_received(self) -> None:
        self.fail(NotConnected("connection closed by the server"))

    def connection_lost(self, error: Exception | None) -> None:
        # redis-py's own waits for it to be told.
        self._before.connection_lost(error)
        if self.up:
            self._lost.set_result(error or NotConnected("connection closed by the server"))

    def _go_on(self) -> None:
        if not self.up or self._steps is None:
            return
        until = monotonic() + _TURN
        try:
            for _ in self._steps:
                if monotonic() >= until:
                    self._pause()
                    return
        except Exception as error:  # noqa: BLE001 - whoever waits for the link's end hears of it
            self.fail(error)
            return
        self._steps = None
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = self._behind = True
            self._transport.pause_reading()
        self._loop.call_soon(self._go_on)
