"""Heads that are long, wrong or no handshake's: each is let in or answered in words, and no socket stays."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import WebSocket

from hubbub import Hub, Limits, User
from hubbub.ports.auth import Credential
from hubbub.transports import http_bounds, lingering, timeouts, uvicorn
from hubbub.types import UserId
from tests.kit.raw_peers import CLOSE, TEXT, Both, Peer, both, frame
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until
from tests.transports.resources import gone

LONGEST = "x" * Limits().credential


class AnyLength:
    """Whoever says the longest credential there may be is ann, if all of it arrives."""

    cookie = "session"
    bearer = True

    async def authenticate(self, credential: Credential) -> User:
        assert credential.value == LONGEST
        return User(UserId("ann"))


@pytest.fixture(params=["hubbub.transports.http:HubbubHTTP", "hubbub.transports.http:HubbubH11", "httptools"])
async def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    """Our WebSocket class behind each of the HTTP classes, uvicorn's own too."""
    monkeypatch.setattr(lingering, "QUIET", 0.1)
    async with both(Hub(auth=AnyLength(), limits=Limits(closing=0.5)), http=request.param) as here:
        yield here
        await gone(here)


async def said(server: Both, head: bytes) -> Peer:
    peer = await Peer(server.address).open(head=False)
    await peer.send(head)
    await peer.answer()
    return peer


def request(path: str = "/ws", method: str = "GET", body: bytes = b"", **headers: str) -> bytes:
    fields = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec_WebSocket_Version": "13",
        **headers,
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@pytest.mark.usefixtures("no_traceback")
async def test_the_longest_credential_by_every_carrier(server: Both) -> None:
    for head in (
        request(f"/ws?token={LONGEST}"),
        request(Sec_WebSocket_Protocol=f"hubbub.v1, hubbub.bearer.{LONGEST}"),
        request(Cookie=f"session={LONGEST}"),
        request(),
    ):
        peer = await said(server, head)
        assert peer.status == 101
        if head == request():
            await peer.send(frame(TEXT, b'{"token":"%s"}' % LONGEST.encode()))
        assert b'"welcome"' in (await peer.frame())[1]
        await peer.send(frame(CLOSE))
        await peer.drop()


@pytest.mark.usefixtures("no_traceback")
async def test_what_browsers_and_proxies_send_is_let_in(server: Both) -> None:
    """Of cookies three of 3.8 kB in one line, and headers by the dozen."""
    cookies = "; ".join(f"c{number}={'x' * 3800}" for number in range(3))
    many = {f"X_Trace_{number}": "x" for number in range(90)}
    for headers in ({"Cookie": cookies}, many, {"X_Name": "J\xfcrgen", "X_Empty": ""}):
        peer = await said(server, request("/plain", **headers))
        assert peer.status == 101
        await peer.send(frame(TEXT, b"four"))
        assert await peer.frame() == (0x81, b"4")
        await peer.drop()


NO_HANDSHAKES = (
    (request(Content_Length="5", body=b"hello"), 400, b"no body"),
    (request(Content_Length="5"), 400, b"no body"),
    (request(Transfer_Encoding="chunked", body=b"5\r\nhello\r\n0\r\n\r\n"), 400, b"no body"),
    (request(method="POST", Content_Length="0"), 405, b"GET"),
    (request(method="POST", Content_Length="5", body=b"hello"), 405, b"GET"),
    (request(Sec_WebSocket_Key="short"), 400, b"Sec-WebSocket-Key"),
)


@pytest.mark.usefixtures("no_traceback")
async def test_what_is_no_handshake_is_told_so_and_gone(server: Both) -> None:
    watch = Stopwatch()
    for head, status, text in NO_HANDSHAKES:
        peer = await said(server, head)
        assert peer.status == status
        assert text in await peer.ended()
    await gone(server)
    assert watch.own < 5  # and not when some patience ends


@pytest.mark.usefixtures("no_traceback")
async def test_a_path_that_is_not_ascii(server: Both) -> None:
    """h11 does not let it pass, httptools does."""
    peer = await said(server, request("/ws/J\xfcrgen"))
    assert peer.status == 400
    await peer.ended()


@pytest.mark.parametrize("protocol", ["HubbubHTTP", "HubbubH11"])
@pytest.mark.parametrize("before", [b"", b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["first", "later"])
async def test_a_head_without_an_end(protocol: str, before: bytes) -> None:
    async with both(http=f"hubbub.transports.http:{protocol}") as server:
        for piece in (b"Cookie: ", b"X-%d: x\r\n"):
            peer = await Peer(server.address).open(head=False)
            if before:
                await peer.send(before)
                await peer.answer()
                await peer.reader.readexactly(int(peer.head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            line = piece * 20_000 if b"%d" not in piece else b"".join(piece % number for number in range(40_000))
            sending = asyncio.create_task(peer.send(b"GET /ws HTTP/1.1\r\nHost: x\r\n" + line * 3))
            await peer.answer()
            assert peer.status == 431
            assert str(http_bounds.HEAD_SIZE).encode() in await peer.ended()
            await sending
            await peer.drop()
        await gone(server)


@pytest.mark.usefixtures("no_traceback")
async def test_too_much_before_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not read, and holds up neither the answer nor the end."""
    monkeypatch.setattr(uvicorn, "HANDSHAKE", 0.3)
    monkeypatch.setattr(lingering, "QUIET", 0.1)
    async with both() as server:

        @server.app.websocket("/never")
        async def never(websocket: WebSocket) -> None:
            await websocket.receive()
            await websocket.receive()

        peer = await said(server, request("/never", body=bytes(5_000_000)))
        assert peer.status == 503
        await peer.ended()
        await gone(server)


# Sockets with which something is not in order: each ends, and the server with them.


@pytest.mark.complains("CancelledError", "timeout graceful shutdown exceeded")
@pytest.mark.parametrize("state", ["undecided", "hung up on", "broken", "half a message", "refused"])
async def test_a_server_ends_whatever_its_sockets_are_in(
    state: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(timeouts, "STALLED", 60.0)
    async with both(timeout_graceful_shutdown=0.3) as server:

        @server.app.websocket("/undecided")
        async def undecided(websocket: WebSocket) -> None:
            await websocket.receive()
            await websocket.receive()

        path = {"undecided": "/undecided", "hung up on": "/pour", "broken": "/pour"}.get(state, "/plain")
        peer = await Peer(server.address).open(head=False)
        await peer.send(request(path, Content_Length="9") if state == "refused" else request(path))
        uvicorns = server.address.server
        if state != "undecided":
            await peer.answer()
        if state in ("hung up on", "broken"):
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: _full(server), "full")
            await peer.send(frame(CLOSE) if state == "hung up on" else frame(TEXT, b"x", rsv=1))
            await until(lambda: _closing(server), "seen")
        elif state == "half a message":
            await peer.send(frame(TEXT, b"half")[:-2])
        await until(lambda: uvicorns.server_state.connections, "there")
        watch = Stopwatch()
        uvicorns.should_exit = True
        await until(uvicorns.lifespan.shutdown_event.is_set, "the application has cleaned up")  # type: ignore[attr-defined]
        assert watch.own < 9
    wrong = [record.exc_info for record in caplog.records if record.exc_info]
    assert not [each for each in wrong if each[0] is not asyncio.CancelledError]  # which is how uvicorn ends a call


def _full(server: Both) -> bool:
    return any(each.transport.get_write_buffer_size() for each in server.address.server.server_state.connections)


def _closing(server: Both) -> bool:
    return any(each.transport.is_closing() for each in server.address.server.server_state.connections)
