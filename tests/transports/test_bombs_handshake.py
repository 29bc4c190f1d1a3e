"""What a client can do to a server before its socket is a WebSocket: heads that do not come, and no handshakes."""

import asyncio
import gc

import pytest

from hubbub.transports import http, http_socket, uvicorn
from tests.kit.raw_peers import PING, PONG, TEXT, Both, Peer, both, frame
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until
from tests.transports.resources import gone

pytestmark = pytest.mark.usefixtures("no_traceback")


# Row 13: slow handshakes.


@pytest.mark.parametrize("protocol", ["HubbubHTTP", "HubbubH11"])
@pytest.mark.parametrize(
    "said",
    [b"", b"GET /ws HTTP/1.1\r\nHost: x", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /ws HTTP/1.1\r\nHost: x"],
    ids=["silent", "partial", "partial after one"],
)
async def test_a_head_that_does_not_come(monkeypatch: pytest.MonkeyPatch, protocol: str, said: bytes) -> None:
    *whole, partial = said.rpartition(b"\r\n\r\n")
    # A busy machine is not to be late with the first.
    monkeypatch.setattr(http_socket, "HEAD", 30.0 if any(whole) else 0.3)
    async with both(http=f"hubbub.transports.http:{protocol}", timeout_keep_alive=60) as server:
        peers = [await Peer(server.address).open(head=False) for _ in range(30)]
        for peer in peers:
            await peer.send(b"".join(whole))
        if any(whole):
            for peer in peers:
                await peer.answer()
        monkeypatch.setattr(http_socket, "HEAD", 0.3)
        for peer in peers:
            await peer.send(partial)
        watch = Stopwatch()
        for peer in peers:
            while partial and watch.wall < 0.2:  # every byte counts for uvicorn, and not here
                await peer.send(b"x")
                await asyncio.sleep(0.02)
            await peer.ended(within=3)
        await until(lambda: not server.connections, "all are gone")
        assert watch.own < 3


@pytest.mark.slow
async def test_a_head_that_does_not_come_in_ten_seconds() -> None:
    async with both() as server:
        watch = Stopwatch()
        peers = [await Peer(server.address).open(head=False) for _ in range(30)]
        for peer in peers[:15]:
            await peer.send(b"GET /ws HTTP/1.1\r\nHost: x\r\n")
        for peer in peers:
            assert await peer.ended(within=12) == b""
        assert watch.wall > 9
        assert watch.own < 11
        assert not server.connections


@pytest.mark.parametrize("protocol", ["HubbubHTTP", "HubbubH11"])
async def test_a_head_that_came_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    """Neither an open WebSocket nor a connection kept alive ends by it, and no timer is left."""
    monkeypatch.setattr(http_socket, "HEAD", 0.3)
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
        late = [each for each in gc.get_objects() if issubclass(type(each), (http.HubbubH11, http.HubbubHTTP))]
        assert not [each for each in late if each._deadline]  # noqa: SLF001 - a timer nobody else can see


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
