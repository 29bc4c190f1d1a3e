"""What is said last arrives, whatever the peer is sending at that moment, by hubs' and by plain routes alike."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from fastapi import WebSocket

from hubbub import Limits
from hubbub.transports import lingering
from hubbub.transports.uvicorn import HubbubProtocol
from tests.kit.inside import inside
from tests.kit.raw_peers import CLOSE, PING, TEXT, Both, Peer, both, frame, hub_of
from tests.kit.waiting import until
from tests.transports.resources import gone
from tests.transports.ways import ROUTES

pytestmark = pytest.mark.usefixtures("no_traceback")

BIG = 20_000_000
CLOSED_BY_THE_SERVER = {
    "1009": frame(TEXT, bytes(BIG)),
    "1002": frame(TEXT, b"x", rsv=2) + bytes(BIG),
    "1007": frame(TEXT, b"\xff") + frame(TEXT, bytes(60_000)) * (BIG // 60_000),
    "1008": frame(PING) * 200 + frame(TEXT, bytes(60_000)) * (BIG // 60_000),
}


@pytest.fixture
async def patient() -> AsyncIterator[Both]:
    """Nothing ends by itself in the time of a test."""
    async with both(hub_of(limits=Limits(closing=60.0))) as server:

        @server.app.websocket("/leaves")
        async def leaves(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.receive()
            await websocket.close(4321)

        @server.app.websocket("/refuses")
        async def refuses(websocket: WebSocket) -> None:
            await websocket.close()

        yield server


@ROUTES
async def test_who_is_in_the_middle_of_sending_reads_the_code(
    patient: Both, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "QUIET", 0.2)
    for code, data in CLOSED_BY_THE_SERVER.items():
        async with patient.peer(path) as peer:
            await peer.send(data)
            assert await peer.closed() == int(code)
            assert await peer.ended() == b""
    await gone(patient)


@pytest.mark.parametrize("path", ["/ws", "/plain", "/leaves"])
async def test_nothing_comes_behind_a_close_frame(patient: Both, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the end of the stream either: a proxy that sees it may reset its client, who has not read the code yet."""
    monkeypatch.setattr(lingering, "QUIET", 60.0)
    for code, data in CLOSED_BY_THE_SERVER.items():
        async with patient.peer(path) as peer:
            await peer.send(frame(TEXT, b"go") if path == "/leaves" else data)
            assert await peer.closed() == (4321 if path == "/leaves" else int(code))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await peer.reader.read(1)
            assert patient.connections == 1
            peer.writer.write_eof()
            assert await peer.ended() == b""
        await gone(patient)


async def test_the_end_of_the_server(patient: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart is told to whoever is sending, and a peer that answers is not waited for."""
    monkeypatch.setattr(lingering, "QUIET", 60.0)
    peers = [await patient.peer(path).open() for path in ("/ws", "/plain")]
    await until(lambda: inside(patient.hub).registry.everyone(), "in")
    begun = frame(TEXT, bytes(60_000))
    for peer in peers:
        await peer.send(begun[:-9])
    patient.address.server.should_exit = True
    for peer in peers:
        assert await peer.closed() == 1012
        await peer.send(begun[-9:] + frame(TEXT, bytes(60_000)) * 20 + frame(CLOSE, b"\x03\xf4"))
        assert await peer.ended() == b""
    await until(lambda: not patient.connections, "gone")


@pytest.mark.parametrize("path", ["/ws?token=nobody", "/nowhere", "/refuses"])
async def test_a_refusal_arrives_where_the_peer_did_not_wait_for_it(
    server: Both, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "QUIET", 0.2)
    peer = await Peer(server.address, path).open(head=False)
    await peer.send(peer.request() + frame(TEXT, bytes(60_000)) * 100)
    await peer.answer()
    assert peer.status in (401, 403)
    assert b"HTTP" not in await peer.ended()
    await gone(server)


@ROUTES
async def test_one_that_does_not_stop(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read for the time a peer has to take its leave, and not longer; nothing of it is kept."""
    made = HubbubProtocol.connection_made

    def hasty(self: HubbubProtocol, transport: asyncio.BaseTransport) -> None:
        self.close_timeout = 0.5
        made(self, transport)

    monkeypatch.setattr(HubbubProtocol, "connection_made", hasty)
    async with both(hub_of(limits=Limits(closing=0.5))) as server, server.peer(path) as peer:
        await peer.send(frame(TEXT, b"x", rsv=2))

        async def goes_on() -> None:
            while True:
                await peer.send(bytes(65536))
                await asyncio.sleep(0)

        going = asyncio.create_task(goes_on())
        await until(lambda: not server.connections, "let go", within=5)
        going.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await going


async def test_who_goes_while_it_is_answered_is_nobodys_fault(patient: Both) -> None:
    """What answers a socket that is not there any more is a reset, before it can be ended: HAProxy's way to ask."""
    host, port = patient.address.url.removeprefix("http://").split(":")
    ends: list[socket.socket] = []

    @patient.app.get("/goes", status_code=204)
    async def goes() -> None:
        ends.pop().close()

    for _ in range(5):
        ends.append(socket.create_connection((host, int(port))))
        ends[0].sendall(b"GET /goes HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        await until(lambda: not ends, "it is asked")
    await gone(patient)
