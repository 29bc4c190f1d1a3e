"""What came in one piece is read in portions on plain routes too: in order, all of it, and others have their turns."""

import asyncio
import zlib

import pytest
from fastapi import FastAPI, WebSocket

from hubbub.protocol.deflate import Inflate
from hubbub.protocol.frames import PORTION
from tests.kit.raw_peers import CLOSE, OURS, PING, TEXT, Peer, frame
from tests.kit.serving import serving
from tests.kit.waiting import until
from tests.transports.resources import MIB

MANY = 3000
HALF = 20


async def test_very_many_frames_in_one_piece_are_read_in_many_turns() -> None:
    app = FastAPI()
    heard: list[str] = []
    over = asyncio.Event()
    turns = 0

    @app.websocket("/plain")
    async def plain(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            heard.append(text)  # noqa: PERF401 - others look at it meanwhile
        over.set()

    async def others() -> None:
        nonlocal turns
        while not over.is_set():
            if heard:
                turns += 1
            await asyncio.sleep(0)

    async with serving(app, **OURS) as server:
        peer = await Peer(server, "/plain").open()
        counting = asyncio.create_task(others())
        texts = [str(number) for number in range(MANY)]
        await peer.send(
            b"".join(frame(TEXT, text.encode()) for text in texts) + frame(PING) + frame(CLOSE, b"\x03\xe8")
        )
        await until(over.is_set, "the route has heard the end")
        await counting
        assert heard == texts
        assert turns >= MANY // PORTION
        assert await peer.frame() == (0x8A, b"")
        assert await peer.closed() == 1000
        await peer.drop()


async def test_no_more_is_inflated_than_the_application_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kilobytes of frames may be hundreds of megabytes of messages."""
    app = FastAPI()
    let_read, heard = asyncio.Event(), 0
    inflated = 0
    inflate = Inflate.__call__

    def counted(self: Inflate, data: bytes | bytearray, limit: int) -> bytes:
        nonlocal inflated
        inflated += 1
        return inflate(self, data, limit)

    monkeypatch.setattr(Inflate, "__call__", counted)

    @app.websocket("/plain")
    async def plain(websocket: WebSocket) -> None:
        nonlocal heard
        await websocket.accept()
        await let_read.wait()
        for _ in range(HALF):
            heard += len(await websocket.receive_text()) == MIB
        await websocket.close()

    async with serving(app, ws_per_message_deflate=True, **OURS) as server:
        peer = await Peer(server, "/plain").open(Sec_WebSocket_Extensions="permessage-deflate")
        assert b"permessage-deflate" in peer.head
        deflater = zlib.compressobj(wbits=-15)
        large = (deflater.compress(b"x" * MIB) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        assert len(large) < 2048
        await peer.send(frame(TEXT, large, rsv=4) * (2 * HALF))
        for _ in range(50):
            await asyncio.sleep(0.005)
        assert inflated <= 2
        let_read.set()
        await until(lambda: heard == HALF, "the half of it is read")
        await asyncio.sleep(0.1)
        # Nor is anything after the end: all that is looked for is the peer's own.
        await peer.send(frame(TEXT, large, rsv=4) * HALF)
        await asyncio.sleep(0.1)
        assert inflated <= HALF + 3
        await peer.send(frame(CLOSE, b"\x03\xe8"))
        assert await peer.closed() == 1000
        await peer.drop()
