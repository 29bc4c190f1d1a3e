"""The attackers' side of one attack: as many sockets as it has, in one loop, and what they were answered.

`python -m tests.hostile.attack.crowd` reads an order from its standard input and attacks until it is told to end, at
the lowest priority: the users beside it have the same core, and are not to wait for it.
"""

import contextlib
import errno
import heapq
import itertools
import json
import os
import select
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.hostile.attack.attacks import ATTACKS, Attack, Target
from tests.hostile.attack.wire import close_code

#: Sockets that were closed with a code and stay, at most.
_STAYING = 2_000
#: Seconds after which an attack that is not answered counts as begun.
_AT_IT = 15.0
_READ = select.EPOLLIN | select.EPOLLRDHUP
_GONE = select.EPOLLHUP | select.EPOLLERR


@dataclass(slots=True)
class Tally:
    """What came back. `answers`: HTTP statuses and close codes; `errors`: those that were told on an open socket."""

    opened: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    """Let go without a word."""
    sent: int = 0
    received: int = 0

    @property
    def told(self) -> set[int | str]:
        """Each kind of answer."""
        return {*self.answers, *self.errors}

    def __str__(self) -> str:
        kinds = {101: "let in"}
        parts = [f"{kinds.get(answer, answer)}: {times:,}" for answer, times in sorted(self.answers.items())]
        parts += [f"`{error}`: {times:,}" for error, times in sorted(self.errors.items())]
        if self.dropped:
            parts.append(f"dropped: {self.dropped:,}")
        return ", ".join(parts) or "nothing"


class _Socket:
    __slots__ = ("again", "at", "closed", "head", "number", "out", "sock", "tail", "upgraded")

    def __init__(self, number: int, sock: socket.socket, out: bytes) -> None:
        self.number, self.sock = number, sock
        self.out, self.at = memoryview(out), 0
        self.again = False
        self.head, self.tail = bytearray(), b""
        self.upgraded = self.closed = False


class Crowd:
    """All sockets of an attack, opened by `run` in its thread. `tally` may be read by others."""

    def __init__(self, attack: Attack, target: Target, *, sockets: int | None = None) -> None:
        self._attack, self._target = attack, target
        self._wanted = sockets or attack.sockets
        self._poll = select.epoll()
        self._sockets: dict[int, _Socket] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._begun: set[int] = set()
        self.tally = Tally()

    @property
    def at_it(self) -> bool:
        """Whether each socket has had its first answer, or has sent all that it says before one."""
        return len(self._begun) >= self._wanted

    def run(self, until: Callable[[], bool]) -> Tally:
        for number in range(self._wanted):
            self._open(number)
        try:
            while not until():
                self._turn()
        finally:
            for each in self._sockets.values():
                each.sock.close()
            self._poll.close()
        return self.tally

    def _turn(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        wait = min(0.05, max(0.0, self._due[0][0] - time.monotonic())) if self._due else 0.05
        with contextlib.suppress(InterruptedError):
            for descriptor, events in self._poll.poll(wait):
                each = self._sockets.get(descriptor)
                if each is not None:
                    self._happened(each, events)

    def _happened(self, each: _Socket, events: int) -> None:
        try:
            if events & select.EPOLLIN and self._reads(each):
                if not self._read(each):
                    return
            elif events & (_GONE | select.EPOLLRDHUP):
                self._gone(each)
                return
            if events & select.EPOLLOUT:
                self._write(each)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                self._gone(each)

    def _at(self, delay: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + delay, next(self._numbers), what))

    def _open(self, number: int) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        if self._attack.buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._attack.buffer)
        each = _Socket(number, sock, self._attack.opening(self._target, number))
        if sock.connect_ex(("127.0.0.1", self._target.port)) not in (0, errno.EINPROGRESS):
            sock.close()
            self.tally.dropped += 1
            self._at(max(0.05, self._attack.pause), lambda: self._open(number))
            return
        self.tally.opened += 1
        self._sockets[sock.fileno()] = each
        self._poll.register(sock, self._mask(each) | select.EPOLLOUT)

    def _write(self, each: _Socket) -> None:
        if each.at < len(each.out):
            sent = each.sock.send(each.out[each.at :])
            each.at += sent
            self.tally.sent += sent
            if each.at < len(each.out):
                return
        attack = self._attack
        if attack.asks or not each.out:
            self._begun.add(each.number)
        if each.again and attack.every == 0:
            each.at = 0
        elif attack.asks and attack.again and not each.again:
            self._begin(each)
        else:
            self._poll.modify(each.sock, self._mask(each))

    def _reads(self, each: _Socket) -> bool:
        return self._attack.reads or not (each.upgraded or self._attack.asks)

    def _mask(self, each: _Socket) -> int:
        return _READ if self._reads(each) else select.EPOLLRDHUP

    def _begin(self, each: _Socket) -> None:
        """What is sent again and again, from now on."""
        if not self._attack.again:
            return
        each.again = True
        if self._attack.every:
            self._at(self._attack.every, lambda: self._repeat(each))
        else:
            each.out, each.at = memoryview(self._attack.again), 0
            self._poll.modify(each.sock, self._mask(each) | select.EPOLLOUT)

    def _repeat(self, each: _Socket) -> None:
        if each.closed or self._sockets.get(each.sock.fileno()) is not each:
            return
        if each.at == len(each.out):
            each.out, each.at = memoryview(self._attack.again), 0
            self._poll.modify(each.sock, self._mask(each) | select.EPOLLOUT)
        self._at(self._attack.every, lambda: self._repeat(each))

    def _read(self, each: _Socket) -> bool:
        """Whether the socket goes on."""
        data = each.sock.recv(1 << 18)
        if not data:
            self._gone(each)
            return False
        self.tally.received += len(data)
        if not each.upgraded:
            each.head += data
            head, ended, rest = bytes(each.head).partition(b"\r\n\r\n")
            if not ended:
                return True
            status = int(head[9:12]) if head.startswith(b"HTTP/1.") and head[9:12].isdigit() else 0
            self.tally.answers[status] += 1
            self._begun.add(each.number)
            if status != 101:
                self._gone(each, told=True)
                return False
            each.upgraded, data = True, rest
            if self._attack.leaves:
                self._gone(each, told=True)
                return False
            each.out, each.at = memoryview(self._attack.then), 0
            self._poll.modify(each.sock, self._mask(each) | (select.EPOLLOUT if self._attack.then else 0))
            self._begin_behind(each)
        for part in data.split(b'"code":"')[1:]:
            self.tally.errors[part[: part.find(b'"')].decode()] += 1
        each.tail = (each.tail + data)[-127:]
        code = close_code(each.tail)
        if code is not None and not each.closed:
            self.tally.answers[code] += 1
            if not self._attack.stays or len(self._sockets) > _STAYING:
                self._gone(each, told=True)
                return False
            each.closed = True
            self._at(self._attack.pause, lambda: self._open(each.number))
        return True

    def _begin_behind(self, each: _Socket) -> None:
        """After `then`, which is small: the kernel takes it whole."""
        if self._attack.then:
            self._write(each)
        self._begin(each)

    def _gone(self, each: _Socket, *, told: bool = False) -> None:
        if self._sockets.pop(each.sock.fileno(), None) is None:
            return
        each.sock.close()
        if each.closed:
            return
        self._begun.add(each.number)
        self.tally.dropped += not told
        self._at(self._attack.pause, lambda: self._open(each.number))


def main() -> None:
    order = json.loads(sys.stdin.readline())
    os.nice(19)
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    crowd = Crowd(ATTACKS[order["attack"]], Target(order["port"], tuple(order["tokens"])))
    begun = time.monotonic()

    def over() -> bool:
        nonlocal begun
        if begun and (crowd.at_it or time.monotonic() - begun > _AT_IT):
            begun = 0.0
            print("at it", flush=True)
        return bool(ended)

    print(crowd.run(over))


if __name__ == "__main__":
    main()
