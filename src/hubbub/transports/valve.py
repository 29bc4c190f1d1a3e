"""When a socket of our own is read, and when not: for some time, until somebody says so, or for a turn of the loop.

There may be several reasons at once, and it is read when the last of them is gone. What had come before and was not
looked at yet comes first then, so that nothing overtakes it.
"""

import asyncio
from collections.abc import Callable

from hubbub.transports.socket_writer import SocketWriter


class Valve:
    """Made when it is first needed. `look`: at what had come; it may keep it from being read again."""

    __slots__ = ("_look", "_timer", "_until", "_writer", "stopped")

    def __init__(self, writer: SocketWriter, look: Callable[[], None]) -> None:
        self._writer = writer
        self._look = look
        self._timer: asyncio.TimerHandle | None = None
        # Kept here, because what uvloop gives for a time that has come knows none.
        self._until = 0.0
        self.stopped: bool = False
        """Until `read_on`."""

    @property
    def shut(self) -> bool:
        """Whether nothing is read."""
        return self.stopped or self._timer is not None

    def pause(self, seconds: float) -> None:
        """For so long at least; 0: until the next turn of the loop."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if self._timer is not None:
            if self._until >= until:
                return
            self._timer.cancel()
        elif not self.stopped:
            self._writer.socket.pause_reading()
        self._until = until
        self._timer = loop.call_at(until, self._over)

    def stop(self) -> None:
        if not self.shut:
            self._writer.socket.pause_reading()
        self.stopped = True

    def read_on(self) -> None:
        """After `stop`. In a later turn, as it may be called while something is worked on."""
        if self.stopped:
            self.stopped = False
            if self._timer is None:
                self._until = 0.0
                self._timer = asyncio.get_running_loop().call_later(0, self._over)

    def hasten(self, seconds: float) -> None:
        """No pause that has begun lasts longer than that from now on."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if self._timer is not None and self._until > until:
            self._timer.cancel()
            self._until = until
            self._timer = loop.call_at(until, self._over)

    def end(self) -> None:
        """The socket is gone."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _over(self) -> None:
        self._timer = None
        if not self.stopped:
            self._look()
        if not self.shut:
            self._writer.socket.resume_reading()
