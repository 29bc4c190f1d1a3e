"""From the request until a hub has the socket: what comes early, late or not at all, and what is freed."""

import asyncio
import gc
import logging
import weakref
from typing import Annotated, Any

import pytest
from fastapi import Depends, WebSocket

from hubbub import Connection
from hubbub.transports.direct import DirectTransport
from hubbub.transports.uvicorn import HubbubProtocol
from tests.kit.client import Tab
from tests.kit.raw_peers import TEXT, both, frame, hub_of
from tests.kit.serving import connection_of
from tests.kit.waiting import until


async def test_data_that_comes_before_the_answer() -> None:
    """RFC 6455 has a client wait. One that does not loses nothing, in order."""
    hub = hub_of()
    gate = asyncio.Event()
    async with both(hub) as server:

        @server.app.websocket("/gated")
        async def gated(websocket: WebSocket) -> None:
            await gate.wait()
            async with hub.connect(websocket, user="ann") as connection:
                async for message in connection:
                    await connection.send({"type": "got", "number": message["number"]})

        @server.app.websocket("/late")
        async def late(websocket: WebSocket) -> None:
            await gate.wait()
            await websocket.accept()
            for _ in range(20):
                await websocket.send_text(await websocket.receive_text())

        for path in ("/gated", "/late"):
            gate.clear()
            peer = await server.peer(path).open(head=False)
            peer.writer.write(peer.request())
            await asyncio.sleep(0.05)
            for number in range(10):
                await peer.send(frame(TEXT, b'{"type":"n","number":%d}' % number))
            await asyncio.sleep(0.05)
            gate.set()
            for number in range(10, 20):
                await peer.send(frame(TEXT, b'{"type":"n","number":%d}' % number))
            await peer.answer()
            assert peer.status == 101
            got = []
            while len(got) < 20:
                _, payload = await peer.frame()
                if b'"number"' in payload:
                    got.append(int(payload.split(b'"number":')[1].strip(b" }")))
            assert got == list(range(20))
            await peer.drop()


async def test_a_middleware_that_waits_after_accept(caplog: pytest.LogCaptureFixture) -> None:
    """Then it is too late to take the socket over, and the connection works as on any ASGI server."""
    hub = hub_of()
    async with both(hub) as server:
        inner = server.app.build_middleware_stack()

        async def waits(scope: Any, receive: Any, send: Any) -> None:
            async def later(message: Any) -> None:
                await send(message)
                await asyncio.sleep(0.01)

            await inner(scope, receive, later if scope["type"] == "websocket" else send)

        server.app.middleware_stack = waits
        async with Tab(server.address.ws, token="ann") as tab:
            await tab.join("open:a")
            assert not isinstance(connection_of(hub, tab).outbound.transport, DirectTransport)
            await hub.room("open:a").send({"type": "n"})
            await tab.receive("n")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_peer_goes_while_it_is_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    gate = asyncio.Event()
    hub = hub_of()
    async with both(hub) as server:

        @server.app.websocket("/gated")
        async def gated(websocket: WebSocket) -> None:
            await gate.wait()
            async with hub.connect(websocket, user="ann") as connection:
                async for _ in connection:
                    pass

        peer = await server.peer("/gated").open(head=False)
        peer.writer.write(peer.request())
        await until(lambda: server.address.server.server_state.tasks, "asked")
        await peer.drop()
        await until(lambda: not server.connections, "seen")
        gate.set()
        await until(lambda: not server.address.server.server_state.tasks, "ended")
        assert not server.endpoints
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("path", ["/ws", "/accepted"])
async def test_nothing_of_the_handshake_lives_on(path: str) -> None:
    """On the hub's own route not even the protocol object, while it is open; on no route anything once it is closed."""
    hub = hub_of()
    protocols = weakref.WeakSet[HubbubProtocol]()
    made = HubbubProtocol.__init__

    def remember(self: HubbubProtocol, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        protocols.add(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HubbubProtocol, "__init__", remember)
        async with both(hub) as server:

            @server.app.websocket("/accepted")
            async def accepted(connection: Annotated[Connection, Depends(hub.accept)]) -> None:
                async for _ in connection:
                    pass

            async with Tab(server.address.ws, path, token="ann") as tab:
                await tab.join("open:a")
                connection = weakref.ref(connection_of(hub, tab))
                if path == "/ws":
                    await until(lambda: not server.address.server.server_state.tasks, "the call has ended")
                    gc.collect()
                    assert not protocols
            await until(lambda: not server.connections, "gone")
            await until(lambda: not server.address.server.server_state.tasks, "ended")

            def freed() -> bool:
                gc.collect()
                return connection() is None and not protocols

            await until(freed, "freed")
