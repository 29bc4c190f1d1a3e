"""The protocol class under an application: what a hub's route and any other see of it, on every way to reach it."""

import asyncio
import contextlib
import gc
import logging
import socket
import ssl
import time
import weakref
from pathlib import Path
from typing import Annotated, Any

import pytest
import websockets
from fastapi import Depends, WebSocket
from websockets.asyncio.client import connect

from hubbub import Connection, Hub, Limits
from hubbub.transports import patience, uvicorn
from hubbub.transports.direct import DirectTransport
from hubbub.transports.uvicorn import HubbubProtocol
from tests.client import Tab
from tests.hub.serving import connection_of, until
from tests.transports.raw import CLOSE, PING, PONG, TEXT, both, frame, hub_of

HTTP = pytest.mark.parametrize("protocol", ["HubbubHTTP", "HubbubH11"])


def fast(hub: Hub, tab: Tab) -> DirectTransport:
    transport = connection_of(hub, tab).transport
    assert isinstance(transport, DirectTransport)
    return transport


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
            assert fast(server.hub, tab).fd >= 0
        for number in range(300):
            excluded = ("ann", "bob", None)[number % 3]
            await server.hub.room("open:a").send(
                {"type": "n", "number": number}, exclude=[excluded] if excluded else []
            )
        await server.hub.room("open:a").send({"type": "n", "number": 300})
        for tab, without in ((ann, 0), (bob, 1), (cid, None)):
            await tab.expect("n", number=300)
            expected = [number for number in range(301) if number == 300 or number % 3 != without]
            assert [each["number"] for each in tab.received("n")] == expected


@HTTP
async def test_with_tls(
    protocol: str, certificate: tuple[Path, Path], trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "STALLED", 0.4)
    where, key = certificate
    hub = hub_of(limits=Limits(closing=0.5))
    tls = {"ssl_certfile": str(where), "ssl_keyfile": str(key), "http": f"hubbub.transports.http:{protocol}"}
    async with both(hub, **tls) as server:
        address = server.address.ws.replace("ws://", "wss://")
        async with Tab(address, token="ann", ssl=trusting) as ann, Tab(address, token="bob", ssl=trusting) as bob:
            for tab in (ann, bob):
                await tab.join("open:a")
                assert fast(hub, tab).fd == -1
            for number in range(100):
                await hub.room("open:a").send({"type": "n", "number": number, "big": "x" * number * 50})
            for tab in (ann, bob):
                await tab.expect("n", number=99)
                assert [each["number"] for each in tab.received("n")] == list(range(100))
            await ann.leave()
            await until(lambda: len(server.hub._running.registry.everyone()) == 1, "ann has left")  # type: ignore[union-attr]
            bob.socket.transport.pause_reading()
            while server.connections:
                await hub.room("open:a").send({"type": "n", "number": 0, "big": "x" * 60_000})
                await asyncio.sleep(0.001)
            await bob.drop()
        async with connect(address + "/plain", ssl=trusting) as plain:
            await plain.send("four")
            assert await plain.recv() == "4"


async def test_a_slow_reader_by_tls_is_no_stalled_one(
    certificate: tuple[Path, Path], trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it takes at a time is less than what asyncio hides below TLS."""
    monkeypatch.setattr(patience, "STALLED", 0.9)
    where, key = certificate

    def read_a_little(port: int) -> int:
        """Record by record, and none ahead."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))
        with trusting.wrap_socket(sock, server_hostname="127.0.0.1") as wrapped:
            wrapped.sendall(server.peer("/pour").request())
            size = 0
            for _ in range(25):
                size += len(wrapped.recv(4000))
                time.sleep(0.1)
        return size

    async with both(ssl_certfile=str(where), ssl_keyfile=str(key)) as server:
        size = await asyncio.to_thread(read_a_little, int(server.address.url.rpartition(":")[2]))
        assert 70_000 < size <= 100_000
        await until(lambda: not server.connections, "gone", within=5)


@pytest.mark.parametrize("path", ["/ws", "/plain"])
async def test_compression_both_ways(path: str) -> None:
    """As browsers and `websockets` offer it: no context takeover, one compressed frame for all, small ones plain."""
    async with both(ws_per_message_deflate=True) as server:
        for offer in (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate",
            "permessage-deflate; server_max_window_bits=9",
        ):
            peer = await server.peer(path).open(Sec_WebSocket_Extensions=offer)
            assert b"server_no_context_takeover" in peer.head
            assert b"client_no_context_takeover" in peer.head
            assert (b"client_max_window_bits" in peer.head) == ("client_max_window_bits" in offer)
            await peer.drop()
        peer = await server.peer(path).open(Sec_WebSocket_Extensions="permessage-deflate; server_max_window_bits=8")
        assert b"Extensions" not in peer.head  # zlib cannot write in so small a window
        await peer.drop()


async def test_compressed_frames_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    from hubbub.wire import codec

    made: list[int] = []
    original = codec.deflate

    def counting(data: bytes, bits: int) -> bytes:
        made.append(len(data))
        return original(data, bits)

    monkeypatch.setattr(codec, "deflate", counting)
    async with both(ws_per_message_deflate=True) as server:
        tabs = [await Tab(server.address.ws, token=f"u{n}", compression="deflate").__aenter__() for n in range(5)]
        plain = await Tab(server.address.ws, token="plain").__aenter__()
        for tab in (*tabs, plain):
            await tab.join("open:a")
        made.clear()
        for number in range(10):
            await server.hub.room("open:a").send({"type": "n", "number": number, "big": "x" * 5000})
            await server.hub.room("open:a").send({"type": "small", "number": number})
        for tab in (*tabs, plain):
            await tab.expect("small", number=9)
            assert [each["number"] for each in tab.received("n")] == list(range(10))
        assert len(made) == 10
        assert all(size > 5000 for size in made)
        await tabs[0].ask("ping", padding="y" * 3000)  # the other way
        for tab in (*tabs, plain):
            await tab.leave()


async def test_data_that_comes_before_the_answer() -> None:
    """RFC 6455 has a client wait. One that does not loses nothing, in order."""
    hub = hub_of()
    gate = asyncio.Event()
    hub._auth = None  # type: ignore[attr-defined]
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


async def test_too_much_before_the_answer() -> None:
    async with both() as server:

        @server.app.websocket("/never")
        async def never(websocket: WebSocket) -> None:
            await websocket.receive()
            await websocket.receive()

        peer = await server.peer("/never").open(head=False)
        peer.writer.write(peer.request())
        await asyncio.sleep(0.05)
        await peer.send(bytes(200_000))
        assert await peer.ended() == b""
        await until(lambda: not server.connections, "dropped")


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
            await tab.expect("said")
            assert await tab.closed() == 4321
        assert seen == ["this socket is a hub's connection: send with connection.send"]


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
            assert not isinstance(connection_of(hub, tab).transport, DirectTransport)
            await hub.room("open:a").send({"type": "n"})
            await tab.expect("n")
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
