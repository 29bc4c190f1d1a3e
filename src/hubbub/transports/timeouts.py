"""How long a peer is waited for: to take bytes, to end a message it has begun, to let a socket go.

Whether a peer takes anything is asked of the kernel where it can say (Linux: what the peer has acknowledged). What is
left in asyncio's buffer alone does not tell: a socket counts as writable only when a third of its own buffer is free,
and TLS shows none of the 64 KiB below it, so a slow reader would look like one that has stalled.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any

STALLED = 10.0
"""Seconds without any byte taken before the socket is aborted."""
ASSEMBLED = 30.0
"""Seconds for a message that has begun to become whole."""

_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)
# struct tcp_info of Linux: tcpi_bytes_acked, an unsigned 64-bit number, from 4.1 on.
_ACKNOWLEDGED = slice(120, 128)


def acknowledged(transport: asyncio.Transport) -> int:
    """Bytes the peer's kernel has taken since the beginning, 0 where that cannot be known."""
    peer = transport.get_extra_info("socket")
    if _TCP_INFO is None or peer is None:
        return 0
    try:
        info = peer.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _ACKNOWLEDGED.stop)
    except (OSError, ValueError):  # uvloop's word for a socket that is closed already is a ValueError
        return 0
    return int.from_bytes(info[_ACKNOWLEDGED], sys.byteorder) if len(info) == _ACKNOWLEDGED.stop else 0


class Stall:
    """Watches a transport that has something buffered, from now until `cancel`.

    Calls back once when the peer has taken nothing for `STALLED` seconds.
    """

    __slots__ = ("_acknowledged", "_left", "_ring", "_timer", "_transport")

    def __init__(self, transport: asyncio.Transport, ring: Callable[[], object]) -> None:
        self._transport = transport
        self._ring = ring
        self._remember()

    def cancel(self) -> None:
        self._timer.cancel()

    def _remember(self) -> None:
        self._left = self._transport.get_write_buffer_size()
        self._acknowledged = acknowledged(self._transport)
        self._timer = asyncio.get_running_loop().call_later(STALLED, self._look)

    def _look(self) -> None:
        if self._transport.get_write_buffer_size() < self._left or acknowledged(self._transport) > self._acknowledged:
            self._remember()
        else:
            self._ring()


class Deadline:
    """Calls back once, `seconds` after the last `start`, unless stopped. Starting again makes no new timer."""

    __slots__ = ("_due", "_ring", "_seconds", "_timer")

    def __init__(self, seconds: float, ring: Callable[[], object]) -> None:
        self._seconds = seconds
        self._ring = ring
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        return self._due is not None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(self._due, self._look)

    def stop(self) -> None:
        self._due = None

    def cancel(self) -> None:
        """Stop, and keep nothing alive."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        due = self._due
        if due is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < due:
            self._timer = loop.call_at(due, self._look)
        else:
            self._due = None
            self._ring()


class Bounded:
    """A transport whose `close` becomes an `abort` where the peer has not taken what is left within `seconds`.

    asyncio's own waits until the buffer is empty, which may be never; and a second `close` of its TLS makes a later
    `abort` have no effect. `lost` at the end.
    """

    __slots__ = ("_seconds", "_timer", "transport", "write")

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self.transport = transport
        self.write = transport.write
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.transport.abort)

    def lost(self) -> None:
        self._seconds = 0
        if self._timer is not None:
            self._timer.cancel()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)
