"""What a client can do to a server below ASGI: bounded on the hub's route and on a plain one beside it."""

import asyncio
import gc
import logging
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubbub import Limits
from hubbub.transports import http, patience, uvicorn
from tests.client import Tab
from tests.hub.serving import until
from tests.transports.raw import CLOSE, CONT, PING, PONG, TEXT, Both, Peer, both, frame, hub_of

MIB = 1024 * 1024
ROUTES = pytest.mark.parametrize("path", ["/ws", "/plain"])


@pytest.fixture
async def server() -> AsyncIterator[Both]:
    async with both(hub_of(limits=Limits(closing=1.0))) as here:
        yield here


@pytest.fixture(autouse=True)
def _no_traceback(caplog: pytest.LogCaptureFixture) -> object:
    """Whatever a client does, the server has nothing to complain about."""
    caplog.set_level(logging.WARNING)
    yield
    records = caplog.get_records("call")
    bad = [record.getMessage() for record in records if record.levelno >= logging.ERROR or record.exc_info]
    assert not bad


def memory() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def gone(server: Both) -> None:
    await until(lambda: not server.connections, "all sockets are gone")
    await until(lambda: not server.address.server.server_state.tasks, "all calls have ended")
    assert not server.endpoints


# Row 13: slow handshakes.


@pytest.mark.parametrize("protocol", ["HubbubHTTP", "HubbubH11"])
@pytest.mark.parametrize(
    "said",
    [b"", b"GET /ws HTTP/1.1\r\nHost: x", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /ws HTTP/1.1\r\nHost: x"],
    ids=["silent", "partial", "partial after one"],
)
async def test_a_head_that_does_not_come(monkeypatch: pytest.MonkeyPatch, protocol: str, said: bytes) -> None:
    monkeypatch.setattr(http, "HEAD", 0.3)
    async with both(http=f"hubbub.transports.http:{protocol}", timeout_keep_alive=60) as server:
        peers = [await Peer(server.address).open(head=False) for _ in range(30)]
        *whole, partial = said.rpartition(b"\r\n\r\n")
        for peer in peers:
            await peer.send(b"".join(whole))
        if any(whole):
            for peer in peers:
                await peer.answer()
        for peer in peers:
            await peer.send(partial)
        began = time.monotonic()
        for peer in peers:
            while partial and time.monotonic() - began < 0.2:  # every byte counts for uvicorn, and not here
                await peer.send(b"x")
                await asyncio.sleep(0.02)
            await peer.ended(within=3)
        await until(lambda: not server.connections, "all are gone")
        assert time.monotonic() - began < 3


@pytest.mark.slow
async def test_a_head_that_does_not_come_in_ten_seconds() -> None:
    async with both() as server:
        began = time.monotonic()
        peers = [await Peer(server.address).open(head=False) for _ in range(30)]
        for peer in peers[:15]:
            await peer.send(b"GET /ws HTTP/1.1\r\nHost: x\r\n")
        for peer in peers:
            assert await peer.ended(within=12) == b""
        assert 9 < time.monotonic() - began < 11
        assert not server.connections


@pytest.mark.parametrize("protocol", ["HubbubHTTP", "HubbubH11"])
async def test_a_head_that_came_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    """Neither an open WebSocket nor a connection kept alive ends by it, and no timer is left."""
    monkeypatch.setattr(http, "HEAD", 0.3)
    async with both(http=f"hubbub.transports.http:{protocol}") as server, server.peer("/ws") as peer:
        plain, third = await server.peer("/plain").open(), await server.peer("/nowhere").open()
        assert (peer.status, plain.status, third.status) == (101, 101, 403)
        kept = await Peer(server.address).open(head=False)
        await kept.send(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        await kept.answer()
        await asyncio.sleep(0.6)
        await plain.send(frame(TEXT, b"four"))
        assert await plain.frame() == (0x81, b"4")
        await peer.send(frame(PING, b"here"))
        while (await peer.frame())[0] != 0x80 | PONG:
            pass
        assert not [timer for timer in gc.get_objects() if issubclass(type(timer), http._Punctual) and timer._deadline]


@pytest.mark.parametrize("what", ["silence", "accept later"])
async def test_an_application_that_does_not_decide(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    from fastapi import WebSocket

    monkeypatch.setattr(uvicorn, "HANDSHAKE", 0.2)
    gate = asyncio.Event()
    async with both() as server:

        @server.app.websocket("/undecided")
        async def undecided(websocket: WebSocket) -> None:
            await gate.wait()
            if what == "accept later":
                await websocket.accept()
                await websocket.send_text("too late")

        async with server.peer("/undecided") as peer:
            assert peer.status == 503
            gate.set()
            await gone(server)


# Rows 15 and 16: fragments.


@ROUTES
async def test_a_message_of_very_many_fragments(server: Both, path: str) -> None:
    bomb = frame(TEXT, b"xx", fin=False) + frame(CONT, b"xx", fin=False) * 500_000
    before = 0
    for _ in range(2):  # what the first one made Python ask for, it keeps
        async with server.peer(path) as peer:
            await peer.send(bomb)
            assert await peer.closed() in (1008, 1006)
            await gone(server)
            before = before or memory()
    assert memory() - before < 8 * MIB


@ROUTES
async def test_a_million_empty_fragments(server: Both, path: str) -> None:
    bomb = frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 1_000_000
    before = 0
    for _ in range(2):
        async with server.peer(path) as peer:
            await peer.send(bomb)
            assert await peer.closed() in (1008, 1006)
            await gone(server)
            before = before or memory()
    assert memory() - before < 8 * MIB


@ROUTES
async def test_one_fragment_too_many(server: Both, path: str) -> None:
    async with server.peer(path) as peer:
        await peer.send(frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 1024)
        assert await peer.closed() == 1008
    async with server.peer(path) as peer:
        await peer.send(frame(TEXT, b'"', fin=False) + frame(CONT, b"", fin=False) * 1022 + frame(CONT, b'"'))
        while True:
            first, payload = await peer.frame()
            assert first == 0x81
            if path == "/plain" or b"invalid_message" in payload:
                break
    await gone(server)


@ROUTES
@pytest.mark.parametrize("pings", [False, True])
async def test_a_message_that_does_not_become_whole(monkeypatch: pytest.MonkeyPatch, path: str, pings: bool) -> None:
    monkeypatch.setattr(patience, "ASSEMBLED", 0.4)
    async with both() as server, server.peer(path) as peer:
        second = frame(CONT, b"and on", fin=False)
        await peer.send(frame(TEXT, b"begun", fin=False) + second[:4])
        began = time.monotonic()
        closing = asyncio.create_task(peer.closed())
        if pings:
            await peer.send(second[4:])
            for _ in range(20):  # they are heard, and are no part of the message
                await asyncio.sleep(0.07)
                await peer.send(frame(PING))
                if closing.done():
                    break
        assert await closing == 1008
        assert 0.3 < time.monotonic() - began < 1.3
        await gone(server)


@ROUTES
async def test_whole_messages_in_pieces_are_no_slow_one(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Each begins in the packet in which the one before ended; none takes long."""
    monkeypatch.setattr(patience, "ASSEMBLED", 0.3)
    async with both() as server, server.peer(path) as peer:
        stream = frame(TEXT, b'{"type":"ping"}') * 9
        size = len(stream) // 9
        for at in range(0, 8 * size, size):
            await peer.send(stream[at + (9 if at else 0) : at + size + 9])
            await asyncio.sleep(0.07)
        for _ in range(8):
            while (answer := await peer.frame())[1][:9] == b'{"type":"' and b"pong" not in answer[1]:
                pass
            assert answer[0] == 0x81


# Row 17: control frames.


@ROUTES
async def test_a_flood_of_pings_of_a_client_that_does_not_read(server: Both, path: str) -> None:
    one = frame(PING, bytes(100))
    before = 0
    for _ in range(2):
        async with server.peer(path, buffer=4096) as peer:
            for _ in range(60):
                await peer.send(one * 10_000)
            await gone(server)
            before = before or memory()
    assert memory() - before < 8 * MIB
    async with server.peer(path) as peer:
        await peer.send(one * 200)
        assert await peer.closed() in (1008, 1006)


@ROUTES
async def test_a_flood_of_pongs(server: Both, path: str) -> None:
    async with server.peer(path) as peer:
        await peer.send(frame(PONG) * 100)
        assert await peer.closed() in (1008, 1006)
        await gone(server)


@ROUTES
async def test_a_few_pings_are_answered_each(server: Both, path: str) -> None:
    async with server.peer(path) as peer:
        await peer.send(b"".join(frame(PING, bytes([number])) for number in range(20)))
        pongs = []
        while len(pongs) < 20:
            first, payload = await peer.frame()
            if first == 0x80 | PONG:
                pongs.append(payload)
        assert pongs == [bytes([number]) for number in range(20)]


# Rows 14, 18, 19: what no message may be.


@ROUTES
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, bytes(65537)), 1009),
        (frame(TEXT, bytes(40000), fin=False) + frame(CONT, bytes(40000)), 1009),
        (b"\x81\xff" + (1 << 62).to_bytes(8, "big") + bytes(4), 1009),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"("), 1007),
        (frame(TEXT, b"x", rsv=4), 1002),
        (frame(TEXT, b"x", rsv=1), 1002),
        (frame(3), 1002),
        (frame(11), 1002),
        (frame(PING, bytes(126)), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(CONT, b"x"), 1002),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"x"), 1002),
        (frame(TEXT, b"x", masked=False), 1002),
        (frame(CLOSE, (1005).to_bytes(2, "big")), 1002),
        (frame(CLOSE, (1006).to_bytes(2, "big")), 1002),
        (frame(CLOSE, (999).to_bytes(2, "big")), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007),
        (frame(CLOSE, (1000).to_bytes(2, "big") + b"bye"), 1000),
        (frame(CLOSE, (4321).to_bytes(2, "big")), 4321),
        (frame(CLOSE), 1005),
    ],
)
async def test_what_breaks_the_protocol(server: Both, path: str, data: bytes, code: int) -> None:
    async with server.peer(path) as peer:
        await peer.send(data)
        assert await peer.closed() in (code, 1000 if code == 1005 else code)
        assert await peer.ended() == b""  # and is not left waiting
        await gone(server)
    if path == "/plain":
        await until(lambda: server.ends, "the application has seen it end")


@ROUTES
async def test_nothing_after_the_end_is_looked_at(server: Both, path: str) -> None:
    async with server.peer(path) as peer:
        await peer.send(frame(TEXT, b"x", rsv=2) + frame(TEXT, b'{"type":"ping","id":7}') * 10)
        while (first := (await peer.frame()))[0] != 0x80 | CLOSE:
            assert b"pong" not in first[1]
        assert await peer.ended() == b""


@pytest.mark.parametrize("path", ["/ws", "/plain"])
async def test_a_message_that_grows_when_inflated(path: str) -> None:
    async with both(ws_per_message_deflate=True) as server, server.peer(path) as peer:
        pass
    async with both(ws_per_message_deflate=True) as server:
        peer = await server.peer(path).open(Sec_WebSocket_Extensions="permessage-deflate")
        assert b"server_no_context_takeover" in peer.head
        deflater = zlib.compressobj(wbits=-15)
        bomb = deflater.compress(bytes(32 * MIB)) + deflater.flush(zlib.Z_SYNC_FLUSH)
        assert len(bomb) < 65536
        before = memory()
        await peer.send(frame(TEXT, bomb[:-4], rsv=4))
        assert await peer.closed() == 1009
        assert memory() - before < 8 * MIB
        await gone(server)


# Row 20: no handshake at all.


@pytest.mark.parametrize("protocol", ["HubbubHTTP", "HubbubH11"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_WebSocket_Version": "8"}, 400),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Sec_WebSocket_Protocol": "hubbub.v1", "Origin": "http://evil.example"}, 403),
    ],
)
async def test_a_handshake_that_is_none(protocol: str, headers: dict[str, str], status: int) -> None:
    async with both(http=f"hubbub.transports.http:{protocol}") as server:
        peer = await server.peer("/ws" if status != 403 else "/nowhere").open(**headers)
        assert peer.status == status
        await peer.ended()
        await gone(server)


async def test_a_refusal_by_http_is_no_error(server: Both) -> None:
    """uvicorn's own class says "ASGI callable returned without completing handshake" at ERROR for each."""
    peer = await Peer(server.address, "/ws?token=nobody").open()
    assert peer.status == 401
    assert b"nobody's" in await peer.ended()
    await gone(server)


# Row 21: readers that take nothing.


async def test_stalled_readers_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten of a hundred take nothing: the others have everything at once, and no descriptor stays."""
    monkeypatch.setattr(patience, "STALLED", 0.5)
    async with both(hub_of(limits=Limits(closing=0.5, payload=40_000, outbox=200_000))) as server:
        tabs = [await Tab(server.address.ws, token=f"u{number}").__aenter__() for number in range(30)]
        for tab in tabs:
            await tab.join("open:a")
        fds = descriptors()
        before = memory()
        stalled = [await Peer(server.address, f"/ws?token=s{number}", buffer=4096).open() for number in range(10)]
        for peer in stalled:
            await peer.send(frame(TEXT, b'{"type":"join_room","room":"open:a"}'))
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: len(server.hub._running.registry.members("open:a")) == 40, "all are in")  # type: ignore[union-attr]
        big = "x" * 30_000
        for number in range(0, 250, 5):
            for each in range(5):
                await server.hub.room("open:a").send({"type": "n", "number": number + each, "big": big})
            for tab in tabs:
                await tab.expect("n", number=number + 4)
        await until(lambda: server.connections == 30, "the stalled are gone", within=5)
        # The other ends are this process's too.
        await until(lambda: descriptors() <= fds + 10, "their descriptors too")
        assert memory() - before < (10 + 31 * 10) * MIB  # the tabs remember all they read
        for tab in tabs:
            await tab.leave()
        await gone(server)


async def test_a_plain_route_that_pours_into_a_stalled_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "STALLED", 0.3)
    async with both() as server, server.peer("/pour", buffer=4096) as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await gone(server)


async def test_a_slow_reader_is_no_stalled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a little at a time, far less than a third of what its socket buffers."""
    monkeypatch.setattr(patience, "STALLED", 0.3)
    async with both() as server, server.peer("/pour", buffer=4096) as peer:
        for _ in range(20):
            await peer.reader.readexactly(8000)
            await asyncio.sleep(0.06)
        assert server.connections == 1


async def test_a_server_that_stops_does_not_wait_for_stalled_readers() -> None:
    async with both(hub_of(limits=Limits(closing=0.5)), timeout_graceful_shutdown=None) as server:
        await server.peer("/ws", buffer=4096).open()
        await until(lambda: server.hub._running.registry.everyone(), "in")  # type: ignore[union-attr]
        for _ in range(200):
            await server.hub.broadcast({"type": "n", "big": "x" * 4000})
        began = time.monotonic()
    assert time.monotonic() - began < 3
