"""A client of raw frames, as ill-mannered as a test needs it, and a server it may speak to.

The server has a hub's route and one of plain Starlette side by side: what is bounded is bounded on both.
"""

import asyncio
import base64
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from hubbub import Hub, Limits
from hubbub.protocol.masking import unmask
from tests.kit.inside import inside
from tests.kit.serving import Address, Names, serving, simple

OURS = {"ws": "hubbub.transports.uvicorn:HubbubProtocol", "http": "hubbub.transports.http:HubbubHTTP"}
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size, flag = len(payload), 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", first, flag | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, flag | 126, size)
    else:
        head = struct.pack("!BBQ", first, flag | 127, size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + unmask(payload, mask)


_opened: list["Peer"] = []


class Peer:
    """One socket. `buffer` bounds what the kernel takes for it before it is read."""

    def __init__(self, server: Address, path: str = "/ws?token=ann", *, buffer: int | None = None, **options: Any):
        self._port = int(server.url.rpartition(":")[2])
        self._path = path
        self._buffer = buffer
        self._options = options
        self._headers: dict[str, str] = {}
        self.head = b""
        self.status = 0

    async def open(self, *, head: bool = True, **headers: str) -> Self:
        """Connect; the rest of the handshake with `head`."""
        _opened.append(self)
        sock = socket.socket()
        if self._buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
        self.reader, self.writer = await asyncio.open_connection(sock=sock, limit=1024, **self._options)
        if head:
            self.writer.write(self.request(**headers))
            await self.answer()
        return self

    def request(self, **headers: str) -> bytes:
        lines = {
            "Host": f"127.0.0.1:{self._port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"GET {self._path} HTTP/1.1\r\n{text}\r\n".encode()

    async def answer(self) -> None:
        async with asyncio.timeout(10):
            self.head = await self.reader.readuntil(b"\r\n\r\n")
        self.status = int(self.head.split()[1])

    async def send(self, data: bytes) -> None:
        """As much of it as the server takes: it may have gone."""
        with contextlib.suppress(OSError):
            if self.writer.transport.is_closing():
                return
            self.writer.write(data)
            async with asyncio.timeout(20):
                await self.writer.drain()

    async def frame(self) -> tuple[int, bytes]:
        """The next one: its first byte and payload. Raises IncompleteReadError at the end."""
        async with asyncio.timeout(15):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first, await self.reader.readexactly(size)

    async def closed(self) -> int:
        """The code of the close frame, what comes before it passed over; 1006 where there is none."""
        try:
            while True:
                first, payload = await self.frame()
                if first == 0x80 | CLOSE:
                    return int.from_bytes(payload[:2], "big") if payload else 1005
        except TimeoutError:
            raise  # which is an OSError
        except (asyncio.IncompleteReadError, OSError):
            return 1006

    async def ended(self, *, within: float = 15) -> bytes:
        """What comes until the server lets the socket go."""
        data = b""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(within):
                while part := await self.reader.read(65536):
                    data += part
        return data

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.drop()

    async def drop(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
        if self in _opened:
            _opened.remove(self)


@dataclass
class Both:
    """A server with the hub's route `/ws`, and `/plain`, which says to everything how long it was."""

    address: Address
    hub: Hub
    app: FastAPI
    ends: list[int] = field(default_factory=list)
    """The codes with which plain routes ended."""

    @property
    def connections(self) -> int:
        return len(self.address.server.server_state.connections)

    @property
    def endpoints(self) -> int:
        return len(inside(self.hub).endpoint.connections)

    def peer(self, path: str, **options: Any) -> Peer:
        return Peer(self.address, "/ws?token=ann" if path == "/ws" else path, **options)


def hub_of(limits: Limits = Limits(closing=0.5)) -> Hub:  # noqa: B008 - it is frozen
    """Patient for half a second with peers that do not answer a close: few do here."""
    return Hub(auth=Names(), limits=limits)


@contextlib.asynccontextmanager
async def both(hub: Hub | None = None, **options: Any) -> AsyncIterator[Both]:
    hub = hub or hub_of()
    app = simple(hub)
    ends: list[int] = []

    @app.websocket("/plain")
    async def plain(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message["code"])
                await websocket.send_text(str(len(message.get("text") or message.get("bytes") or "")))
        except WebSocketDisconnect as end:
            ends.append(end.code)

    @app.websocket("/pour")
    async def pour(websocket: WebSocket) -> None:
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await websocket.send_bytes(bytes(65536))

    async with serving(app, **{**OURS, "ws_max_size": 65536, **options}) as address:
        try:
            yield Both(address, hub, app, ends)
        finally:
            while _opened:
                await _opened.pop().drop()
