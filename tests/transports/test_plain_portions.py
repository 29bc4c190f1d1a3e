"""What came in one piece is read in portions on plain routes too: in order, all of it, and others have their turns."""

import asyncio

from fastapi import FastAPI, WebSocket

from hubbub.protocol.frames import PORTION
from tests.kit.raw_peers import CLOSE, OURS, PING, TEXT, Peer, frame
from tests.kit.serving import serving
from tests.kit.waiting import until

MANY = 3000


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
