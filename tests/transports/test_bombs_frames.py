"""Floods of control frames, and frames that are none: bounded on the hub's route and on a plain one beside it."""

import zlib

import pytest

from tests.kit.raw_peers import CLOSE, CONT, PING, PONG, TEXT, Both, both, frame
from tests.kit.waiting import until
from tests.transports.resources import MIB, gone, memory
from tests.transports.ways import ROUTES

pytestmark = pytest.mark.usefixtures("no_traceback")


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
    ids=lambda value: value[:2].hex() if isinstance(value, bytes) else None,  # what follows is masked by chance
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
