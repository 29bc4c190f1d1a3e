"""How long a peer is waited for: to take bytes, to end a message it has begun.

Whether a peer takes anything is asked of the kernel: how much of what it was given is still in its queue, whatever
kind of socket it is and whoever encrypts above it. What is left in asyncio's buffer alone does not tell: a socket
counts as writable only when a third of its own buffer is free (a unix socket: three quarters), and TLS shows none of
the 64 KiB below it, so a slow reader would look like one that has stalled. Where the kernel cannot say, patience is as
long as such a buffer may take.
"""

import array
import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Protocol

from hubbub.ports.logs import Event, fields
from hubbub.transports.environment import chosen

try:
    import fcntl
    import termios
except ImportError:  # Windows
    _OUTQ = None
else:
    _OUTQ = termios.TIOCOUTQ

_log = logging.getLogger("hubbub.transports.timeouts")

STALLED = chosen("TIMEOUT_STALLED", 10.0)
"""Seconds without any byte taken before the socket is aborted."""
UNSEEN = 60.0
"""The same where only asyncio's buffer can be seen."""
ASSEMBLED = 30.0
"""Seconds for a message that has begun to become whole."""


class Progress:
    """How far a peer has come with what it was sent."""

    __slots__ = ("buffered", "queued")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.buffered = transport.get_write_buffer_size()
        self.queued = _queued(transport)
        """Bytes the kernel has still to send, None where it cannot say."""

    def since(self, before: "Progress") -> bool:
        """Whether the peer has taken anything. Its queue may also grow: what was taken made room for more."""
        return self.buffered < before.buffered or self.queued != before.queued


def _queued(transport: asyncio.Transport) -> int | None:
    """Bytes given to the kernel that the peer's has not taken (unix(7), tcp(7): SIOCOUTQ); None where it cannot say."""
    peer = transport.get_extra_info("socket")
    if _OUTQ is None or peer is None:
        return None
    size = array.array("i", [0])
    try:
        fcntl.ioctl(peer.fileno(), _OUTQ, size)
    except (OSError, ValueError):  # closed already, or of a kind that has no such queue
        return None
    return size[0]


class Stall:
    """Watches a transport that has something buffered, from now until `cancel`.

    Calls back once when the peer has taken nothing for `STALLED` seconds.
    """

    __slots__ = ("_progress", "_ring", "_timer", "_transport")

    def __init__(self, transport: asyncio.Transport, ring: Callable[[], object]) -> None:
        self._transport = transport
        self._ring = ring
        self._remember(Progress(transport))

    def cancel(self) -> None:
        self._timer.cancel()

    def _remember(self, progress: Progress) -> None:
        self._progress = progress
        seconds = UNSEEN if progress.queued is None else STALLED
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        progress = Progress(self._transport)
        if progress.since(self._progress):
            self._remember(progress)
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


class Abortable(Protocol):
    def abort(self) -> None: ...


@contextlib.contextmanager
def or_abort(socket: Abortable) -> Iterator[None]:
    """Around what ends a socket: where that fails, whatever state it had to do with, the socket is aborted."""
    try:
        yield
    except Exception:  # noqa: BLE001 - a socket that stays would keep its server from ending
        _log.exception("a socket could not be ended in order and is dropped", extra=fields(Event.SOCKET_FAILED))
        socket.abort()
