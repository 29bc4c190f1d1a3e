"""One socket to the server: bytes out without waiting, and what it is to the run."""

import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

from hubbub.loadtest.poller import READABLE, WRITABLE, Poller

#: Reads into a buffer; the number of bytes, 0 at the end. Raises BlockingIOError where there is nothing yet.
ReadInto: TypeAlias = Callable[[bytearray], int]


class Connection:
    """`number` is the one a dialect is asked with. `opening` is there until it is open; it gives what it waits for."""

    __slots__ = ("_poller", "_unsent", "descriptor", "number", "opening", "socket")

    def __init__(self, number: int, made: socket.socket, poller: Poller) -> None:
        self.number = number
        self.socket = made
        self.descriptor = made.fileno()
        self.opening: Iterator[int] | None = None
        self._poller = poller
        self._unsent: deque[bytes] = deque()

    def send(self, data: bytes) -> None:
        """All of it, in order, now or when the server takes it. Raises OSError where the connection is gone."""
        if self._unsent:
            self._unsent.append(data)
            return
        taken = self._offer(data)
        if taken < len(data):
            self._unsent.append(data[taken:])
            self._poller.watch(self.descriptor, READABLE | WRITABLE)

    def flush(self) -> None:
        """Send on, now that the server takes some."""
        while self._unsent:
            data = self._unsent.popleft()
            taken = self._offer(data)
            if taken < len(data):
                self._unsent.appendleft(data[taken:])
                return
        self._poller.watch(self.descriptor, READABLE)

    def reader(self) -> ReadInto:
        """How to read from it: the socket's own `recv_into`, and with TLS all that one arrival brought."""
        if isinstance(self.socket, ssl.SSLSocket):
            return _tls_reader(self.socket)
        return self.socket.recv_into

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._poller.forget(self.descriptor)
        with contextlib.suppress(OSError):
            self.socket.close()

    def _offer(self, data: bytes) -> int:
        try:
            return self.socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0


def _tls_reader(wrapped: ssl.SSLSocket) -> ReadInto:
    # A record that is decrypted is readable without the kernel's knowing of it, so all of them are taken at once.
    def read(buffer: bytearray) -> int:
        view = memoryview(buffer)
        size = 0
        while size < len(buffer):
            try:
                more = wrapped.recv_into(view[size:])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if not size:
                    raise BlockingIOError from None
                break
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                break
            if not more:
                break
            size += more
        return size

    return read
