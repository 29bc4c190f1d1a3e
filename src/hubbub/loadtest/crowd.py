"""All connections of a run in one loop of one thread, read as fast as the kernel gives.

`read` is the loop that decides what the tool can measure. Everything in it is there because it was measured: lists by
descriptor instead of attributes, one buffer for all, a comparison instead of a parse (see `hubbub.loadtest.stream`),
and the latencies of one arrival counted together. Of a read's 4.8 µs the kernel takes 4; a loop in C that counts
nothing reads 1.2 times as much, which is not worth a compiler.
"""

import time
from typing import NoReturn

from hubbub.loadtest.connection import Connection, ReadInto
from hubbub.loadtest.frames import CLOSE, ProtocolFault, Reading, frame
from hubbub.loadtest.poller import READABLE, WRITABLE, poller
from hubbub.loadtest.stream import Arrival, Refusal, State
from hubbub.loadtest.workloads import BenchError

_BUFFER = 256 * 1024
_MOST_EVENTS = 1024
_PARTING = 1.0
_QUIET = 200_000_000

clock = time.perf_counter_ns


class Crowd:
    """Its methods raise BenchError where the server closes or refuses a connection, or says what no server may."""

    def __init__(self) -> None:
        self.poller = poller()
        self.buffer = bytearray(_BUFFER)
        self.reads: list[ReadInto] = []
        self.states: list[State | None] = []
        """By descriptor, as `reads` is; None where nothing is read (yet)."""
        self._connections: dict[int, Connection] = {}
        self._stalled: dict[int, Reading] = {}
        self._ended: set[int] = set()
        self.stalled_closed: list[int] = []
        """When each stalled member was found to be closed."""

    def add(self, connection: Connection) -> None:
        """One that opens: resumed whenever what it waits for is there."""
        missing = connection.descriptor + 1 - len(self.states)
        self.reads.extend([connection.socket.recv_into] * missing)
        self.states.extend([None] * missing)
        self._connections[connection.descriptor] = connection

    def join(self, connection: Connection, state: State) -> None:
        """It is open, and read from now on."""
        self.reads[connection.descriptor] = connection.reader()
        self.states[connection.descriptor] = state

    def stall(self, connection: Connection, reading: Reading) -> None:
        """It is open, and not read until all is over."""
        self.reads[connection.descriptor] = connection.reader()
        self._stalled[connection.descriptor] = reading

    def read(self, timeout: float) -> list[tuple[int, int]]:
        """Reads what is there or comes within `timeout` seconds, and counts it; the descriptors it came from."""
        events = self.poller.poll(timeout, _MOST_EVENTS)
        reads, states, buffer = self.reads, self.states, self.buffer
        starts = buffer.startswith
        unsettled: list[Arrival] = []
        for descriptor, what in events:
            state = states[descriptor]
            if state is None:
                self._unread(descriptor)
                continue
            size: int | None
            try:
                size = reads[descriptor](buffer)
            except BlockingIOError:
                size = None
            except OSError as error:
                self.lost(self._connections[descriptor], error)
            now = clock()
            arrival = state.last
            if what == READABLE and size == arrival.size and starts(arrival.data):
                states[descriptor] = arrival.after
                times = arrival.times
                if not times:
                    unsettled.append(arrival)  # type: ignore[arg-type]  # what was never is of no size
                times.append(now)
            else:
                self.slow(self._connections[descriptor], size, what, now, unsettled)
        for arrival in unsettled:
            arrival.stream.settle(arrival)
        return events

    def send(self, connection: Connection, data: bytes) -> None:
        try:
            connection.send(data)
        except OSError as error:
            self.lost(connection, error)

    def closed_unseen(self) -> int:
        """How many of those who stall the server has closed without their noticing; now they read all there is.

        A close, or an end, stands behind what was sent before it, and is not seen by who does not read.
        """
        left = self._stalled.keys() - self._ended
        number = len(left)
        for descriptor in left:
            self.poller.watch(descriptor, READABLE)
        quiet = clock() + _QUIET
        while clock() < quiet and left:
            for descriptor, _ in self.poller.poll(0.01, _MOST_EVENTS):
                if descriptor in left:
                    quiet = clock() + _QUIET
                    if self._says_close(descriptor):
                        left.discard(descriptor)
        return number - len(left)

    def _says_close(self, descriptor: int) -> bool:
        """By a close frame, or by its end."""
        reading = self._stalled[descriptor]
        try:
            while size := self.reads[descriptor](self.buffer):
                if any(opcode == CLOSE for opcode, _ in reading.feed(bytes(self.buffer[:size]))):
                    return True
        except BlockingIOError:
            return False
        except (OSError, ProtocolFault):
            pass
        return True

    def close(self) -> None:
        """Take leave of the server, and close everything."""
        everyone = list(self._connections.values())
        open_ones = [each for each in everyone if each.opening is None and each.descriptor not in self._ended]
        waited_for = set()
        for connection in open_ones:
            try:
                connection.send(frame((1000).to_bytes(2, "big"), CLOSE))
                waited_for.add(connection.descriptor)
            except OSError:
                pass
        deadline = clock() + _PARTING * 1e9
        while waited_for and clock() < deadline:
            for descriptor, _ in self.poller.poll(0.05, _MOST_EVENTS):
                if descriptor in waited_for and self._over(descriptor):
                    waited_for.discard(descriptor)
        for connection in everyone:
            connection.close()
        self.poller.close()

    def _over(self, descriptor: int) -> bool:
        read = self.reads[descriptor]
        try:
            while read(self.buffer):
                pass
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _unread(self, descriptor: int) -> None:
        """One that is not read here, since it opens or stalls."""
        connection = self._connections[descriptor]
        if descriptor in self._stalled:
            self._ended.add(descriptor)
            self.stalled_closed.append(clock())
            self.poller.forget(descriptor)
        elif connection.opening is not None:
            try:
                wanted = next(connection.opening, None)
            except OSError as error:
                self.lost(connection, error)
            if wanted is None:
                connection.opening = None
                # Said anew, so that what came since the last read is told.
                self.poller.watch(descriptor, 0 if descriptor in self._stalled else READABLE)
            else:
                self.poller.watch(descriptor, wanted)

    def slow(self, connection: Connection, size: int | None, what: int, now: int, unsettled: list[Arrival]) -> None:
        """What the fast loop does not know: other bytes, a full buffer, an end, room to send."""
        descriptor = connection.descriptor
        if what & WRITABLE:
            self._flush(connection)
        while size is not None:
            if size == 0:
                raise BenchError(f"the server closed connection {connection.number} without a word")
            self._take(connection, bytes(self.buffer[:size]), now, unsettled, lasting=size < _BUFFER)
            if what in (READABLE, READABLE | WRITABLE) and size < _BUFFER:
                return
            try:
                size = self.reads[descriptor](self.buffer)
            except BlockingIOError:
                return
            except OSError as error:
                self.lost(connection, error)
            now = clock()

    def _take(self, connection: Connection, data: bytes, now: int, unsettled: list[Arrival], *, lasting: bool) -> None:
        state = self.states[connection.descriptor]
        if state is None:
            raise ValueError("a connection that is not read")
        try:
            arrival = state.stream.arrive(state, data, lasting=lasting)
        except Refusal as refusal:
            raise BenchError(f"the server refused what connection {connection.number} sent: {refusal}") from None
        except ProtocolFault as fault:
            raise BenchError(f"the server sent connection {connection.number} {fault}") from None
        self.states[connection.descriptor] = arrival.after
        if not arrival.times:
            unsettled.append(arrival)
        arrival.times.append(now)
        for reply in arrival.replies:
            self.send(connection, reply)
        if arrival.closed is not None:
            raise BenchError(f"the server closed connection {connection.number}: {arrival.closed}")

    def _flush(self, connection: Connection) -> None:
        try:
            connection.flush()
        except OSError as error:
            self.lost(connection, error)

    def lost(self, connection: Connection, error: OSError) -> NoReturn:
        raise BenchError(f"connection {connection.number} was lost: {error.strerror or error}") from None
