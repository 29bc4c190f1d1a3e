"""Thousands of clients in one process: each a socket, a room and a position, and no task.

They join with `since`, count that every offset follows the one before, and come back when they are told to.
"""

import asyncio
import base64
import json
import os
import random
import time
from collections.abc import Callable
from typing import Any

from hubbub.loadtest.frames import CLOSE, PING, PONG, TEXT, Reading, frame

_HEAD_END = b"\r\n\r\n"


class Member(asyncio.Protocol):
    """`position` is (epoch, offset), None before the first join. `changed` is called when it moves."""

    def __init__(self, name: str, room: str, changed: Callable[["Member"], None]) -> None:
        self.name = name
        self.room = room
        self.position: tuple[str, int] | None = None
        self.joined: dict[str, Any] | None = None
        """The answer to its last join, None while it is not in."""
        self.settled = asyncio.Event()
        """Set when it is in, and when its connection is lost."""
        self.gone = asyncio.Event()
        """Set while it has no connection."""
        self.wrong: list[str] = []
        self._changed = changed
        self._transport: asyncio.Transport | None = None
        self._head: bytes | None = b""
        self._reading = Reading()

    async def come(self, host: str, port: int) -> None:
        """Returns when the socket is there. Raises OSError."""
        self._head, self._reading = b"", Reading()
        self.settled.clear()
        await asyncio.get_running_loop().create_connection(lambda: self, host, port)

    def go(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.gone.clear()
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            (
                f"GET /ws/as/{self.name} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self.joined = None
        self.settled.set()
        self.gone.set()
        self._changed(self)

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += data
            if _HEAD_END not in self._head:
                return
            head, _, data = self._head.partition(_HEAD_END)
            self._head = None
            if not head.startswith(b"HTTP/1.1 101 "):
                self.go()
                return
        for opcode, payload in self._reading.feed(data):
            if opcode == TEXT:
                self._hear(json.loads(payload))
            elif opcode == PING:
                self._write(frame(payload, PONG))
            elif opcode == CLOSE:
                self.go()

    def _hear(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "welcome":
                join: dict[str, Any] = {"type": "join_room", "room": self.room, "id": 1}
                if self.position is not None:
                    join["since"] = {"epoch": self.position[0], "offset": self.position[1]}
                self._write(frame(json.dumps(join).encode()))
            case "room_joined":
                self.joined = message
                if message.get("recovered") is not True:
                    if self.position is not None:
                        self.wrong.append(f"{self.name} at {self.position}: {message}")
                    self.position = (message["epoch"], message["offset"])
                self.settled.set()
                self._changed(self)
            case "said":
                assert self.position is not None
                epoch, offset = self.position
                if message["offset"] != offset + 1:
                    self.wrong.append(f"{self.name} at {self.position}: {message}")
                self.position = (epoch, message["offset"])
                self._changed(self)
            case "ping":
                self._write(frame(json.dumps({"type": "pong", "ts": message["ts"]}).encode()))
            case "closing" | "pong":
                pass
            case _:
                self.wrong.append(f"{self.name}: {message}")

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


class Crowd:
    """`count` members, spread evenly over the rooms."""

    def __init__(self, count: int, rooms: list[str]) -> None:
        self.members = [Member(f"user-{each}", rooms[each % len(rooms)], self._moved) for each in range(count)]
        self.tops: dict[str, int] = dict.fromkeys(rooms, 0)
        """Where the rooms are, as far as we say so."""
        self._behind: set[Member] = set(self.members)
        self._news = asyncio.Event()

    @property
    def wrong(self) -> list[str]:
        return [wrong for member in self.members for wrong in member.wrong]

    async def come(self, host: str, port: int, *, within: float) -> None:
        """All of them, each at a random moment of the next second, and again where it is refused."""

        async def one(member: Member) -> None:
            await asyncio.sleep(random.random())
            while member.joined is None:
                try:
                    await member.come(host, port)
                except OSError:
                    await asyncio.sleep(random.uniform(0.1, 1.0))
                    continue
                await member.settled.wait()

        async with asyncio.timeout(within), asyncio.TaskGroup() as tasks:
            for member in self.members:
                tasks.create_task(one(member))

    async def caught_up(self, *, within: float) -> float:
        """Returns when every member is in its room and where the room is; the time, by `time.monotonic`."""
        self._behind = {member for member in self.members if not self._is_there(member)}
        async with asyncio.timeout(within):
            while self._behind:
                self._news.clear()
                await self._news.wait()
        return time.monotonic()

    async def gone(self, *, within: float) -> None:
        """Returns when every connection is lost."""
        async with asyncio.timeout(within):
            for member in self.members:
                await member.gone.wait()

    def _is_there(self, member: Member) -> bool:
        position = member.position
        return member.joined is not None and position is not None and position[1] >= self.tops[member.room]

    def _moved(self, member: Member) -> None:
        if self._is_there(member):
            self._behind.discard(member)
            if not self._behind:
                self._news.set()
