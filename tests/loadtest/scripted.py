"""A WebSocket server that does exactly what a test says, right or wrong: bytes on a socket, from its own thread."""

import asyncio
import base64
import hashlib
import json
import re
import ssl
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from hubbub.loadtest.dialect import Dialect, Step
from hubbub.loadtest.result import Result
from hubbub.loadtest.run import run
from hubbub.loadtest.workloads import Target, Workload

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def text(payload: bytes) -> bytes:
    """A text frame as a server sends it."""
    if len(payload) < 126:
        return bytes((0x81, len(payload))) + payload
    if len(payload) < 65_536:
        return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload
    return b"\x81\x7f" + len(payload).to_bytes(8, "big") + payload


class Plain:
    """A dialect for it: connection i asks for `/i`, and everything is sent as it is."""

    subprotocols: Sequence[str] = ()
    delivery = b""

    def path(self, i: int) -> str:
        return f"/{i}"

    def headers(self, i: int) -> list[tuple[str, str]]:
        return []

    def opening(self, i: int, room: str | None) -> list[Step]:
        return []

    def message(self, i: int, room: str, content: str, id: str | None) -> str:
        return json.dumps({"from": i, "room": room, "content": content, "id": id})

    def answer(self, payload: bytes) -> str | None:
        return None

    def refusal(self, payload: bytes) -> str | None:
        return None


class Server:
    """What a script does is called in the server's loop.

    heard: called with the number of the connection that sent a text frame, and its payload. Default: to everybody.
    opened: called with the number of a connection after the answer to its handshake.
    answer: instead of the answer to the handshake; it is given the request's head and its key's right answer.
    """

    def __init__(
        self,
        heard: "Callable[[Server, int, bytes], None] | None" = None,
        *,
        opened: "Callable[[Server, int], None] | None" = None,
        answer: Callable[[bytes, bytes], bytes] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._heard = heard or Server.to_all
        self._opened = opened
        self._answer = answer or _switch
        self._tls = tls
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._over = asyncio.Event()
        self.writers: dict[int, asyncio.StreamWriter] = {}
        self.heads: dict[int, bytes] = {}
        self.texts: list[tuple[int, bytes]] = []
        """What the clients sent, in order."""
        self.controls: list[tuple[int, int, bytes]] = []
        """Their control frames: connection, opcode, payload."""

    loop: asyncio.AbstractEventLoop
    port: int

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.port)

    def send(self, i: int, data: bytes) -> None:
        self.writers[i].write(data)

    def to_all(self, sender: int, payload: bytes) -> None:
        for i in self.writers:
            self.send(i, text(payload))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        for writer in self.writers.values():
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._speak(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = re.match(rb"GET /(\d+)", head)
        i = int(path[1]) if path else 0
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
        assert key is not None
        self.heads[i] = head
        answer = self._answer(head, base64.b64encode(hashlib.sha1(key[1] + _GUID, usedforsecurity=False).digest()))
        writer.write(answer)
        if not answer.startswith(b"HTTP/1.1 101"):
            return
        self.writers[i] = writer
        if self._opened is not None:
            self._opened(self, i)
        while True:
            first, size = await reader.readexactly(2)
            size &= 0x7F
            if size >= 126:
                size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
            mask = await reader.readexactly(4)
            assert mask == b"\0\0\0\0"  # so that there is nothing to undo
            payload = await reader.readexactly(size)
            if first & 0x0F == 1:
                self.texts.append((i, payload))
                self._heard(self, i, payload)
            else:
                self.controls.append((i, first & 0x0F, payload))
                if first & 0x0F == 8:
                    return


def _switch(head: bytes, accept: bytes) -> bytes:
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def measure(server: Server, kind: Any = "fanout", dialect: Dialect | None = None, **options: Any) -> Result:
    """Of a run that is over after 20 messages, unless something else is asked for."""
    given = {"connections": 3, "messages": 20, "warm_up": 0.0, "duration": 20.0, "patience": 3.0, **options}
    return run(Workload(kind, **given), dialect or Plain(), server.target)
