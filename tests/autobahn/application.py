"""An application that says back what it hears, text as text and bytes as bytes, in the two ways there are.

`/taken`: the socket is taken over, as a hub's route has it, and the transport drives the echo. `/asgi`: the route of
any application, by `websocket.receive` and `websocket.send`. On a server that is not ours there is only the second.

The suite sends messages of 16 MiB, and some in 65,536 frames, so the bounds are raised here: what is asked is how
frames are read, not how many.
"""

from collections import deque
from types import SimpleNamespace
from typing import Any

from hubbub.closes import Close
from hubbub.protocol.codec import Prepared
from hubbub.protocol.deflate import deflate
from hubbub.protocol.frames import Opcode, text_frame
from hubbub.transports import direct
from hubbub.transports.asgi import EXTENSION

LIMIT = 16 * 1024 * 1024
direct.FRAGMENTS = LIMIT


class Echo:
    """A connection as far as a transport can tell. Text goes the way of every message, by the outbox."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.waiting: deque[Prepared] = deque()
        self.session = SimpleNamespace(receive=lambda said: said)

    @property
    def outbound(self) -> "Echo":
        return self

    def receive(self, said: str | bytes) -> None:
        if isinstance(said, str):
            self.waiting.append(Prepared(said.encode()))
            self.transport.flush()
        else:
            self.transport.writer.send(binary_frame(said, self.transport.writer.bits))

    def take(self, size: int) -> list[Prepared]:
        return [self.waiting.popleft()] if self.waiting else []

    def heard(self) -> None: ...

    def sent(self, size: int) -> None: ...

    def drained(self) -> None: ...

    def blocked(self) -> None: ...

    def close(self, close: Close) -> None:
        self.transport.close(close)

    def lost(self, code: int = 1006, reason: str = "") -> None: ...


def binary_frame(data: bytes, bits: int) -> bytes:
    """What a hub never sends."""
    frame = text_frame(deflate(data, bits), compressed=True) if bits else text_frame(data)
    return bytes((frame[0] + Opcode.BINARY - Opcode.TEXT,)) + frame[1:]


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    if scope["path"] == "/taken":
        echo = Echo()
        echo.transport = scope["extensions"][EXTENSION](echo, limit=LIMIT, closing=5.0)
        await echo.transport.wait()
        return
    try:
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})
    except OSError:
        pass  # the peer has gone
