"""What looks like a handshake and is none, in floods: answered, counted, told in bounds, and no way past a proxy."""

import logging
from collections.abc import AsyncIterator

import pytest
from fastapi import Request

from hubbub.ports.metrics import Count, Tally
from hubbub.transports import lingering
from tests.kit.raw_peers import Both, Peer, both
from tests.transports.resources import gone

HOST = b"Host: x\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
GOOD = b"GET /ws HTTP/1.1\r\n" + HOST + UPGRADE + KEY

#: What is sent, and the status of its answer.
NONSENSE = {
    "no HTTP": (b"\x16\x03\x01\x00\xa5\x01\r\n\r\n", 400),
    "a header without a colon": (GOOD + b"nonsense\r\n\r\n", 400),
    "a control character": (GOOD + b"X: \x00\r\n\r\n", 400),
    "two lengths": (GOOD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "a length and chunks": (GOOD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "a tunnel": (b"CONNECT x:1 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no key": (b"GET /ws HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n", 400),
    "a key that is none": (GOOD.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short") + b"\r\n", 400),
    "a body": (GOOD + b"Content-Length: 5\r\n\r\nhello", 400),
    "another method": (GOOD.replace(b"GET", b"POST") + b"\r\n", 405),
}


@pytest.fixture(params=["HubbubHTTP", "HubbubH11"])
async def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    monkeypatch.setattr(lingering, "QUIET", 0.1)
    async with both(http=f"hubbub.transports.http:{request.param}") as here:
        yield here
        await gone(here)


async def test_a_flood_of_handshakes_that_are_none(server: Both, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rounds = 10
    for data, status in NONSENSE.values():
        for _ in range(rounds):
            peer = await Peer(server.address).open(head=False)
            await peer.send(data)
            await peer.answer()
            assert peer.status == status, data
            await peer.drop()
    async with server.peer("/ws") as ann:
        assert b'"welcome"' in (await ann.frame())[1]
    assert isinstance(server.hub.metrics, Tally)
    counts = server.hub.metrics.counts
    counted = counts[Count.INVALID_REQUESTS] + counts[Count.INVALID_HANDSHAKES]
    assert counted == rounds * len(NONSENSE)
    lines = [each for each in caplog.records if "refused" in each.getMessage() or each.levelno >= logging.WARNING]
    # Five lines of a kind within ten seconds, and those that say how many more there were.
    assert len(lines) <= 60
    assert not [each for each in lines if each.levelno >= logging.WARNING]


async def test_a_post_that_offers_h2c_hides_no_request(server: Both) -> None:
    """A proxy takes the body for a body, and so must the server: else anybody speaks for the proxy's next client."""
    asked: list[str] = []

    @server.app.post("/post")
    async def post(request: Request) -> int:
        asked.append(request.url.path)
        return len(await request.body())

    @server.app.get("/secret")
    async def secret() -> None:
        asked.append("/secret")

    hidden = b"GET /secret HTTP/1.1\r\n" + HOST + b"\r\n"
    h2c = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    framings = {
        b"Content-Length: %d\r\n\r\n" % len(hidden): hidden,
        b"Transfer-Encoding: chunked\r\n\r\n": b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden),
    }
    for framing, body in framings.items():
        for parts in ([framing + body], [framing, body]):
            peer = await Peer(server.address).open(head=False)
            await peer.send(b"POST /post HTTP/1.1\r\n" + HOST + h2c + parts[0])
            for part in parts[1:]:
                await peer.send(part)
            await peer.answer()
            assert peer.status == 200
            await peer.drop()
    assert asked == ["/post"] * 4
