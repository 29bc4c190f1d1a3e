"""Requests on one socket, and the WebSocket that comes after them: none finds what another has set."""

from contextvars import ContextVar
from typing import Annotated

import pytest
from fastapi import Body, FastAPI, WebSocket

from tests.kit.raw_peers import OURS, Peer
from tests.kit.serving import serving

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody's")


def application() -> FastAPI:
    app = FastAPI()

    @app.post("/big")
    async def big(body: Annotated[bytes, Body()]) -> str:
        before = TENANT.get()
        TENANT.set("the request's")
        return f"{before} {len(body)}"

    @app.websocket("/who")
    async def who(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(TENANT.get())
        await websocket.close()

    return app


def post(size: int) -> bytes:
    return b"POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)


async def said(peer: Peer) -> bytes:
    await peer.answer()
    length = next(line for line in peer.head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return await peer.reader.readexactly(int(length.partition(b":")[2]))


@pytest.mark.parametrize("protocol", ["HubbubHTTP", "HubbubH11"])
async def test_a_request_leaves_nothing_to_what_comes_after_it(protocol: str) -> None:
    """It is read on for each of them, because the body is more than is read ahead, or the next has come already."""
    async with serving(application(), **{**OURS, "http": f"hubbub.transports.http:{protocol}"}) as server:
        peer = await Peer(server, "/who").open(head=False)
        try:
            await peer.send(post(300_000))
            assert await said(peer) == b'"nobody\'s 300000"'
            await peer.send(post(1) + post(2) + post(3))
            for size in (b"1", b"2", b"3"):
                assert await said(peer) == b'"nobody\'s %s"' % size
            await peer.send(peer.request())
            await peer.answer()
            assert (await peer.frame())[1] == b"nobody's"
        finally:
            await peer.drop()
