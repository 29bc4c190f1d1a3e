"""Connects all of a run's connections, a bounded number at a time, as a crowd of people comes through a door."""

import contextlib
import errno
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hubbub.loadtest.connection import Connection
from hubbub.loadtest.crowd import Crowd, clock
from hubbub.loadtest.dialect import Dialect
from hubbub.loadtest.histogram import Histogram
from hubbub.loadtest.opening import opening
from hubbub.loadtest.poller import WRITABLE
from hubbub.loadtest.stream import Stream
from hubbub.loadtest.workloads import BenchError, Target, Workload, WrongSetting

try:
    import resource
except ImportError:  # Windows has neither limit nor module
    resource = None  # type: ignore[assignment]

_STALLED_BUFFER = 4096
#: Of the 28,000 ports that Linux by default has for one pair of addresses.
PORTS = 20_000
_OWN_DESCRIPTORS = 64


@dataclass(slots=True)
class Connected:
    """All connections, by number. `latency` is each one's time to connect, `took` the time for all; nanoseconds."""

    connections: list[Connection] = field(default_factory=list)
    latency: Histogram = field(default_factory=Histogram)
    took: int = 0


@dataclass(slots=True, kw_only=True)
class Connecting:
    """
    room: the name of the room of a connection, None for none.
    stream: what a connection reads.
    report: told how many are open.

    `all` raises BenchError where the server refuses or stalls, and ConfigurationError for more connections than the
    machine allows.
    """

    crowd: Crowd
    workload: Workload
    dialect: Dialect
    target: Target
    room: Callable[[int], str | None]
    stream: Callable[[int], Stream]
    report: Callable[[int], None]
    _connected: Connected = field(default_factory=Connected)
    _opened: int = 0

    def all(self) -> Connected:
        """Returns when all are open."""
        workload = self.workload
        number = workload.members + workload.stall
        _allow_descriptors(number + _OWN_DESCRIPTORS)
        family, address = self._address()
        context = self.target.context or ssl.create_default_context() if self.target.tls else None
        connections = self._connected.connections
        began = progress = clock()
        opened = 0
        while self._opened < number:
            while len(connections) < min(number, self._opened + workload.connecting):
                self._connect(family, address, context)
            self.crowd.read(0.1)
            if self._opened > opened:
                opened, progress = self._opened, clock()
                self.report(opened)
            elif clock() - progress > workload.patience * 1e9:
                raise BenchError(
                    f"the server stalls: {opened:,} of {number:,} connections are open, "
                    f"and no other opened within {workload.patience:g} s"
                )
        self._connected.took = clock() - began
        return self._connected

    def _address(self) -> tuple[socket.AddressFamily, tuple[str, int]]:
        try:
            found = socket.getaddrinfo(self.target.host, self.target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise BenchError(f"cannot find the server {self.target.host}") from None
        family, _, _, _, address = found[0]
        return family, (str(address[0]), int(address[1]))

    def _connect(self, family: socket.AddressFamily, address: tuple[str, int], context: ssl.SSLContext | None) -> None:
        number = len(self._connected.connections)
        began = clock()
        try:
            made = self._socket(family, address, number)
            code = made.connect_ex(address)
        except OSError as error:
            raise BenchError(f"connection {number} cannot be made: {error.strerror}") from None
        if code not in {0, errno.EINPROGRESS, errno.EWOULDBLOCK}:
            made.close()
            raise BenchError(f"cannot reach {self.target.host} port {self.target.port}: {os.strerror(code)}")
        connection = Connection(number, made, self.crowd.poller)
        self._connected.connections.append(connection)
        self.crowd.add(connection)
        self.crowd.poller.watch(connection.descriptor, WRITABLE)
        connection.opening = self._opening(connection, began, context)
        next(connection.opening)

    def _socket(self, family: socket.AddressFamily, address: tuple[str, int], number: int) -> socket.socket:
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._stalls(number):
                # As little as possible is kept for it by the kernel here: it is the server that is to notice.
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _STALLED_BUFFER)
            if number >= PORTS and address[0].startswith("127.") and sys.platform == "linux":
                # All of 127.0.0.0/8 is this machine, and each of its addresses has ports of its own.
                made.bind((f"127.0.0.{1 + number // PORTS}", 0))
        except OSError:
            made.close()
            raise
        return made

    def _opening(self, connection: Connection, began: int, context: ssl.SSLContext | None) -> Iterator[int]:
        number = connection.number
        reading = yield from opening(connection, self.dialect, self.target, self.room(number), context)
        now = clock()
        self._connected.latency.add([now], began)
        self._opened += 1
        if self._stalls(number):
            self.crowd.stall(connection, reading)
        else:
            self.crowd.join(connection, self.stream(number).start(reading.rest, reading.partial))

    def _stalls(self, number: int) -> bool:
        return number >= self.workload.members


def _allow_descriptors(number: int) -> None:
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < number:
        if hard != resource.RLIM_INFINITY and hard < number:
            raise WrongSetting(
                "connections", f"needs {number:,} open files, and this machine allows {hard:,} (ulimit -n)"
            )
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
