"""Cycles: connect, join, talk, leave, go. Each user comes once, and half of the rooms are new.

Of eight, one goes without a word, and one while it is still in its room. The client says in one write what it can, so
that the server has most of the processor.
"""

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from tests.kit.raw_peers import CLOSE, TEXT, frame

_KEY = base64.b64encode(bytes(16)).decode()
_WITHOUT_A_WORD, _STILL_IN = 3, 6
#: Rooms that are used again and again.
_COMMON = 50


class Cycle(asyncio.Protocol):
    """One of them. `over` has None when all went as it should, else what was wrong."""

    def __init__(self, number: int, host: str) -> None:
        self.over: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._kind = number % 8
        self._room = f"room:{number if number % 2 else number % _COMMON}"
        self._said = b""
        self._closed = False
        head = (
            f"GET /ws?token=user-{number} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self._text = f"words of {number}"
        messages = [
            {"type": "join_room", "room": self._room},
            {"type": "say", "room": self._room, "text": self._text},
            {"type": "leave_room", "room": self._room},
        ]
        if self._kind == _STILL_IN:
            del messages[-1]
        self._sent = head.encode() + b"".join(frame(TEXT, json.dumps(message).encode()) for message in messages)
        self._last = b'"room_left"' if self._kind != _STILL_IN else b'"said"'

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._sent)

    def data_received(self, data: bytes) -> None:
        self._said += data
        if not self._closed and self._last in self._said and self._text.encode() in self._said:
            self._closed = True
            if self._kind == _WITHOUT_A_WORD:
                self._transport.abort()
            else:
                self._transport.write(frame(CLOSE, b"\x03\xe8"))

    def connection_lost(self, exc: Exception | None) -> None:
        wrong = None
        if not self._closed:
            wrong = f"it ended too early, after {self._said!r}"
        elif self._kind != _WITHOUT_A_WORD and not self._said.endswith(b"\x88\x02\x03\xe8"):
            wrong = f"its close was not answered: {self._said!r}"
        if not self.over.done():
            self.over.set_result(wrong)


@dataclass
class Cycles:
    """Makes them, `at_once` at a time. `made` is how many there were so far, `wrong` what was wrong with some."""

    url: str
    at_once: int = 50
    made: int = 0
    wrong: list[str] = field(default_factory=list)

    async def make(self, count: int) -> None:
        parts = urlsplit(self.url)
        numbers = iter(range(self.made, self.made + count))
        async with asyncio.TaskGroup() as group:
            for _ in range(self.at_once):
                group.create_task(self._each(numbers, parts.hostname or "", parts.port or 0))

    async def _each(self, numbers: Iterator[int], host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        for number in numbers:
            _, cycle = await loop.create_connection(lambda number=number: Cycle(number, f"{host}:{port}"), host, port)
            async with asyncio.timeout(60):
                wrong = await cycle.over
            self.made += 1
            if wrong is not None:
                self.wrong.append(f"{number}: {wrong}")
