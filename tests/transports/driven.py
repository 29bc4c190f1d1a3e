"""A taken-over socket, with a real socket on either side and a connection that remembers what it was told."""

import asyncio
import contextlib
import gc
import json
import socket
from collections import deque
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from hubbub.closes import Close
from hubbub.ports.metrics import Traffic
from hubbub.protocol.codec import Prepared
from hubbub.protocol.frames import Parser
from hubbub.transports.direct import DirectTransport
from tests.kit.waiting import until
from tests.transports.pairs import over_tcp


class Driven:
    """A connection as far as a transport can tell, with a queue for an outbox."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.waiting: deque[Prepared] = deque()
        self.frames: list[str | bytes] = []
        self.calls: list[str] = []
        self.weighed = 0
        self.clear = False
        self.closes: list[Close] = []
        self.session = SimpleNamespace(limit=1 << 62)
        self.traffic = Traffic()

    @property
    def outbound(self) -> "Driven":
        return self

    def receive(self, data: str | bytes) -> None:
        self.frames.append(data)

    def weigh(self, size: int) -> None:
        self.weighed += size

    def heard(self) -> None:
        self.calls.append("heard")

    def take(self, size: int) -> list[Prepared]:
        taken: list[Prepared] = []
        while self.waiting and size > 0:
            taken.append(self.waiting.popleft())
            size -= len(taken[-1])
        return taken

    def sent(self, size: int) -> None: ...

    def drained(self) -> None:
        self.clear = True

    def blocked(self) -> None:
        self.clear = False
        self.calls.append("blocked")

    def close(self, close: Close) -> None:
        self.closes.append(close)
        self.clear = False
        self.transport.close(close)

    def lost(self, code: int = 1006, reason: str = "") -> None:
        self.clear = False
        self.calls.append("lost")

    def send(self, *messages: Prepared) -> None:
        """As a burst does it: the short way while it is clear."""
        if not self.clear:
            self.waiting.extend(messages)
            self.transport.flush()
            return
        taken = self.transport.writer.write(messages)
        if taken is not None:
            self.put_back(messages[taken:])

    def put_back(self, messages: Any) -> None:
        self.clear = False
        self.waiting.extendleft(reversed(messages))
        self.transport.flush()


class Ends:
    """`here` is the server's socket number; `there` the client's."""

    def __init__(self, driven: Driven, transport: DirectTransport, there: socket.socket, gone: list[Any]) -> None:
        self.driven, self.transport, self.there, self.gone = driven, transport, there, gone
        self.texts: list[str] = []
        self.parser = Parser(limit=10_000_000)

    async def read(self, size: int) -> bytes:
        data = b""
        async with asyncio.timeout(10):
            while len(data) < size:
                part = await asyncio.get_running_loop().sock_recv(self.there, size - len(data))
                if not part:
                    break
                data += part
        return data

    async def rest(self) -> bytes:
        """Everything until the server lets it go."""
        data = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                while part := await asyncio.get_running_loop().sock_recv(self.there, 1 << 20):
                    data += part
        return data


async def taken_over(**options: Any) -> Ends:
    here, there = over_tcp()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
    there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
    here.setblocking(False)
    there.setblocking(False)
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, here)
    driven = Driven()
    gone: list[Any] = []
    taken = driven.transport = DirectTransport(
        driven,
        transport,
        gone=lambda _: gone.append("gone"),
        **{"limit": 65536, "closing": 1.0, "bits": 0, "inflate": None, **options},
    )
    transport.set_protocol(taken)
    taken.flush()
    assert driven.clear
    return Ends(driven, taken, there, gone)


@contextlib.asynccontextmanager
async def ends_of(**options: Any) -> AsyncIterator[Ends]:
    """Until then; at the end it is gone."""
    here = await taken_over(**options)
    try:
        yield here
    finally:
        here.transport.abort()
        here.there.close()
    await until(lambda: here.gone, "gone")


def transports() -> list[DirectTransport]:
    return [each for each in gc.get_objects() if type(each) is DirectTransport]


def numbered(number: int, size: int = 0) -> Prepared:
    return Prepared(json.dumps({"n": number, "x": "x" * size}).encode())


async def block(ends: Ends) -> int:
    """Send until nothing more is taken, nor a moment later (`fill` says why); how many messages."""
    number = 0
    while ends.driven.clear:
        while ends.driven.clear:
            ends.driven.send(numbered(number, 3000))
            number += 1
        await asyncio.sleep(0.05)
    return number


def numbers(data: bytes) -> list[int]:
    """Of the messages in frames a server sent; what is cut at the end is left out."""
    found, at = [], 0
    while at + 2 <= len(data):
        size, start = data[at + 1], at + 2
        if size == 126:
            size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        if start + size > len(data):
            break
        if data[at] == 0x81:
            found.append(json.loads(data[start : start + size])["n"])
        at = start + size
    return found
