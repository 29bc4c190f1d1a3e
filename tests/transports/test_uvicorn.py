"""The protocol class under an application: what a hub's route and any other see of it."""

import contextlib
from typing import Annotated, Any

import pytest
import websockets
from fastapi import Depends, WebSocket
from websockets.asyncio.client import connect

from hubbub import Connection
from hubbub.transports import uvicorn
from hubbub.transports.uvicorn import HubbubProtocol
from tests.kit.client import Tab
from tests.kit.raw_peers import CLOSE, PING, PONG, both, frame, hub_of
from tests.kit.waiting import until
from tests.transports.ways import HTTP, fast


@HTTP
async def test_order_and_exclusion(protocol: str) -> None:
    async with (
        both(http=f"hubbub.transports.http:{protocol}") as server,
        Tab(server.address.ws, token="ann") as ann,
        Tab(server.address.ws, token="bob") as bob,
        Tab(server.address.ws, token="cid") as cid,
    ):
        tabs = (ann, bob, cid)
        for tab in tabs:
            await tab.join("open:a")
            assert fast(server.hub, tab).writer.fd >= 0
        for number in range(300):
            excluded = ("ann", "bob", None)[number % 3]
            await server.hub.room("open:a").send(
                {"type": "n", "number": number}, exclude=[excluded] if excluded else []
            )
        await server.hub.room("open:a").send({"type": "n", "number": 300})
        for tab, without in ((ann, 0), (bob, 1), (cid, None)):
            await tab.receive("n", number=300)
            expected = [number for number in range(301) if number == 300 or number % 3 != without]
            assert [each["number"] for each in tab.received("n")] == expected


async def test_what_is_taken_over_is_not_the_applications() -> None:
    seen: list[str] = []
    hub = hub_of()
    async with both(hub) as server:

        @server.app.websocket("/mixed")
        async def mixed(websocket: WebSocket, connection: Annotated[Connection, Depends(hub.accept)]) -> None:
            try:
                await websocket.send_text("raw")
            except RuntimeError as error:
                seen.append(str(error))
            await connection.send({"type": "said"})
            await websocket.close(4321, "enough")

        async with Tab(server.address.ws, "/mixed", token="ann") as tab:
            await tab.receive("said")
            assert await tab.closed() == 4321
        assert seen == ["this socket is a hub's connection: send with connection.send"]


async def test_a_plain_route_is_uvicorns_own() -> None:
    async with both() as server, connect(server.address.ws + "/plain") as plain:
        assert plain.response is not None
        await plain.send("four")
        assert await plain.recv() == "4"
        await plain.send([b"fi", b"v", b"e"])
        assert await plain.recv() == "4"
        await (await plain.ping())
        await plain.close(4000, "bye")
        await until(lambda: server.ends == [4000], "the application has seen it")


async def test_an_application_that_closes_and_a_peer_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    made = uvicorn.HubbubProtocol.__init__

    def hasty(self: HubbubProtocol, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        self.close_timeout = 0.2

    monkeypatch.setattr(HubbubProtocol, "__init__", hasty)
    async with both() as server:

        @server.app.websocket("/leaves")
        async def leaves(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.close(4001)

        @server.app.websocket("/returns")
        async def returns(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_bytes(bytes(8_000_000))

        for path in ("/leaves", "/returns"):
            peer = await server.peer(path, buffer=4096).open()
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: not server.connections, "let go", within=3)
            await peer.drop()


async def test_a_heartbeat_of_frames_is_answered() -> None:
    async with both() as server, server.peer("/ws") as peer:
        await peer.send(frame(PING, b"x"))
        while (item := await peer.frame())[0] != 0x80 | PONG:
            pass
        assert item[1] == b"x"
        await peer.send(frame(CLOSE, b"\x03\xe8"))
        assert await peer.closed() == 1000


async def test_websockets_agrees() -> None:
    """An implementation of the protocol by others has nothing to object to."""
    async with both() as server:
        for size in (0, 125, 126, 65535, 65536 - 40):
            async with connect(server.address.ws + "/ws?token=ann", max_size=None) as socket:
                await socket.recv()
                await socket.send('{"type":"ping","ts":"%s"}' % ("x" * min(size, 60_000)))
                assert "pong" in str(await socket.recv())
                await (await socket.ping(b"p"))
        async with connect(server.address.ws + "/ws?token=ann") as socket:
            await socket.recv()
            await socket.send("x" * 70_000)
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await socket.recv()
            assert socket.protocol.close_code == 1009
