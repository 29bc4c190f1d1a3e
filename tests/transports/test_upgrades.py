"""Requests that offer to change the protocol: where each ends is never in doubt, and nothing is lost or taken twice."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import Request
from fastapi.responses import StreamingResponse

from hubbub.transports import http_socket, lingering
from tests.kit.raw_peers import TEXT, Both, Peer, both, frame
from tests.kit.waiting import until
from tests.transports.resources import gone

HOST = b"Host: x\r\n"
HANDSHAKE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SECRET = b"GET /secret HTTP/1.1\r\nHost: x\r\n\r\n"
H2C = b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


class Application:
    def __init__(self, server: Both) -> None:
        self.server = server
        self.asked: list[str] = []
        self.gate = asyncio.Event()

        @server.app.api_route("/echo", methods=["GET", "POST"])
        async def echo(request: Request) -> dict[str, str]:
            body = await request.body()
            self.asked.append(f"{request.method} {body.decode()}")
            return {"body": body.decode(), "tag": request.headers.get("x-tag", "")}

        @server.app.get("/secret")
        async def secret() -> None:
            self.asked.append("secret")

        @server.app.get("/slow")
        async def slow() -> StreamingResponse:
            async def parts() -> AsyncIterator[bytes]:
                yield b"begun"
                await self.gate.wait()
                yield b"whole"

            return StreamingResponse(parts())

    async def said(self, *parts: bytes) -> Peer:
        peer = await Peer(self.server.address).open(head=False)
        for part in parts:
            await peer.send(part)
            await asyncio.sleep(0.01)
        return peer


@pytest.fixture(params=["HubbubHTTP", "HubbubH11"])
async def application(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Application]:
    monkeypatch.setattr(lingering, "QUIET", 0.1)
    async with both(http=f"hubbub.transports.http:{request.param}", timeout_keep_alive=0.3) as server:
        yield Application(server)
        await gone(server)


async def body_of(peer: Peer) -> bytes:
    await peer.answer()
    head = peer.head.lower()
    if b"chunked" not in head:
        return await peer.reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
    body = b""
    while size := int(await peer.reader.readline(), 16):
        body += (await peer.reader.readexactly(size + 2))[:-2]
    await peer.reader.readexactly(2)
    return body


# What would change to something else is a request like any other (RFC 9110 section 7.8).


OFFERS = (
    H2C,
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: TLS/1.0, HTTP/2.0\r\n",
    b"Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n",
    b"Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    b"Upgrade: websocket\r\n",
)


@pytest.mark.usefixtures("no_traceback")
@pytest.mark.parametrize("chunked", [False, True])
async def test_the_body_of_a_request_that_offers_another_protocol(application: Application, chunked: bool) -> None:
    """In one read or in several, and where another is behind it."""
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SECRET), SECRET) if chunked else SECRET
    framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % len(SECRET)
    behind = b"POST /echo HTTP/1.1\r\n" + HOST + H2C + b"Content-Length: 4\r\n\r\nnext"
    for offer in OFFERS:
        head = b"POST /echo HTTP/1.1\r\n" + HOST + b"X-Tag: here\r\n" + offer + framing
        for parts in ([head + body + behind], [head, body[:9], body[9:] + behind[:7], behind[7:]]):
            application.asked.clear()
            peer = await application.said(*parts)
            first = await body_of(peer)
            assert SECRET.splitlines()[0] in first
            assert b'"tag":"here"' in first
            assert b'"next"' in await body_of(peer)
            assert application.asked == [f"POST {SECRET.decode()}", "POST next"]
            await peer.drop()


@pytest.mark.usefixtures("no_traceback")
async def test_what_offers_and_has_no_body(application: Application) -> None:
    """As curl --http2 asks, and many behind one another."""
    one = b"GET /echo HTTP/1.1\r\n" + HOST + H2C + b"\r\n"
    peer = await application.said(one * 50)
    for _ in range(50):
        assert b'"body":""' in await body_of(peer)
    await peer.drop()


@pytest.mark.usefixtures("no_traceback")
async def test_http_1_0_changes_to_nothing(application: Application) -> None:
    """RFC 9110 section 7.8: "MUST ignore"."""
    peer = await application.said(b"GET /plain HTTP/1.0\r\n" + HOST + HANDSHAKE)
    await peer.answer()
    assert peer.status in (404, 426)
    await peer.ended()


async def test_there_is_no_tunnel(application: Application) -> None:
    peer = await application.said(b"CONNECT /secret HTTP/1.1\r\n" + HOST + b"\r\n" + SECRET * 3)
    await peer.answer()
    assert peer.status in (400, 405)
    await peer.drop()
    assert "secret" not in application.asked


# A WebSocket begins when all before it is answered, and what comes behind its head is its own.


@pytest.mark.usefixtures("no_traceback")
async def test_what_comes_behind_the_head(application: Application) -> None:
    for upgrade in (
        HANDSHAKE,
        HANDSHAKE.replace(b"websocket", b"WebSocket"),
        HANDSHAKE.replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade"),
        HANDSHAKE.replace(b"Connection: Upgrade", b"Connection: Upgrade\r\nConnection: keep-alive"),
    ):
        for path, expected in ((b"/plain", b"4"), (b"/ws?token=ann", b'"pong"')):
            said = frame(TEXT, b'{"type":"ping"}' if expected != b"4" else b"four")
            peer = await application.said(b"GET " + path + b" HTTP/1.1\r\n" + HOST + upgrade + said[:3], said[3:])
            await peer.answer()
            assert peer.status == 101
            while expected not in (answer := await peer.frame())[1]:
                assert b'"welcome"' in answer[1]
            await peer.drop()


@pytest.mark.usefixtures("no_traceback")
async def test_an_upgrade_behind_a_request(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for the answer, and the clock that ends idle connections is not its."""
    slow = b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n"
    echo = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nab"
    upgrade = b"GET /plain HTTP/1.1\r\n" + HOST + HANDSHAKE
    peer = await application.said(slow + echo + upgrade, frame(TEXT, b"four"), frame(TEXT, b"fives"))
    await until(lambda: application.server.address.server.server_state.tasks, "asked")
    assert application.server.address.server.server_state.connections
    application.gate.set()
    assert await body_of(peer) == b"begunwhole"
    assert b'"ab"' in await body_of(peer)
    await peer.answer()
    assert peer.status == 101
    assert [await peer.frame(), await peer.frame()] == [(0x81, b"4"), (0x81, b"5")]
    await asyncio.sleep(0.5)
    await peer.send(frame(TEXT, b"later"))
    assert await peer.frame() == (0x81, b"5")
    await peer.drop()


async def test_an_upgrade_behind_a_request_that_is_the_last(application: Application) -> None:
    last = b"GET /echo HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    peer = await application.said(last + b"GET /plain HTTP/1.1\r\n" + HOST + HANDSHAKE)
    assert b'"body":""' in await body_of(peer)
    assert await peer.ended() == b""


@pytest.mark.usefixtures("no_traceback")
async def test_what_is_no_request_is_answered_after_what_is_one(application: Application) -> None:
    """Or the client took the 400 for its answer."""
    slow = b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n"
    peer = await application.said(slow + b"GARBAGE\r\n\r\n" + SECRET)
    application.gate.set()
    assert await body_of(peer) == b"begunwhole"
    rest = await peer.ended()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")
    assert not application.asked


@pytest.mark.complains("ClientDisconnect")
async def test_a_body_that_is_broken(application: Application) -> None:
    peer = await application.said(
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n" + SECRET
    )
    await peer.answer()
    assert peer.status == 400
    await peer.ended()
    assert "secret" not in application.asked


# An answer arrives, whatever of the request is still on its way.


@pytest.mark.usefixtures("no_traceback")
async def test_a_refusal_of_what_was_not_read(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of the page asks for `Connection: close` with each request."""
    monkeypatch.setattr(http_socket, "LINGERING", 3.0)
    size = 20_000_000

    for path in (b"/nowhere", b"/secret"):
        peer = await Peer(application.server.address).open(head=False)
        head = b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % size
        sending = asyncio.create_task(peer.send(head + bytes(size)))
        await sending
        await peer.answer()
        assert peer.status in (404, 405)
        await peer.ended()
        await peer.drop()
