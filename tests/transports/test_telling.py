"""What an operator sees of sockets that no hub has: each end a line, within bounds, and nothing that the peer sent."""

import asyncio
import gc
import logging
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import WebSocket
from uvicorn.server import ServerState

from hubbub.ports.metrics import Count, Tally
from hubbub.transports import http_socket, lingering, timeouts, uvicorn
from hubbub.transports.telling import telling_of, watch
from hubbub.transports.uvicorn import HubbubProtocol
from tests.kit.raw_peers import PING, TEXT, Both, Peer, both, frame
from tests.kit.waiting import until
from tests.transports.resources import gone
from tests.transports.ways import HTTP

SECRET = "c2VjcmV0LXBheWxvYWQ"


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    gc.collect()  # a server of another test that goes tells how much more there was
    caplog.set_level(logging.INFO, "hubbub.sockets")
    return caplog


def lines(log: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [each.getMessage() for each in log.records if each.name == "hubbub.sockets" and each.levelno == level]


def whose(peer: Peer) -> str:
    address, port = peer.writer.get_extra_info("sockname")
    return f"{address} port {port}"


async def says(server: Both, head: bytes) -> Peer:
    peer = await Peer(server.address).open(head=False)
    await peer.send(head)
    return peer


async def test_a_websocket_that_breaks_the_rules(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "QUIET", 0.1)
    rules = {
        1002: (frame(TEXT, SECRET.encode(), rsv=1), "protocol error"),
        1007: (frame(TEXT, SECRET.encode() + b"\xff"), "text is not valid UTF-8"),
        1008: (frame(PING, SECRET.encode()) * 60, "too many pings"),
    }
    async with both() as server:
        for code, (data, reason) in rules.items():
            async with server.peer("/plain") as peer:
                await peer.send(data)
                assert await peer.closed() == code
                assert lines(log, logging.INFO)[-1] == f"closed {whose(peer)} with {code}: {reason}"
        await gone(server)
    assert len(lines(log, logging.INFO)) == len(rules)
    assert SECRET not in log.text


async def test_a_reader_that_takes_nothing(log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an application sets up no logging, too."""
    monkeypatch.setattr(timeouts, "STALLED", 0.2)
    async with both() as server, server.peer("/pour", buffer=4096) as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await gone(server)
        assert lines(log, logging.WARNING) == [f"dropped {whose(peer)}: this reader took nothing for 10 seconds"]


@pytest.mark.parametrize("takes", [True, False])
async def test_one_that_does_not_end(
    takes: bool, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lost what was said last, or did not, and is told accordingly."""
    monkeypatch.setattr(lingering, "QUIET", 60.0)
    made = HubbubProtocol.connection_made

    def hasty(self: HubbubProtocol, transport: asyncio.BaseTransport) -> None:
        self.close_timeout = 0.2
        made(self, transport)

    monkeypatch.setattr(HubbubProtocol, "connection_made", hasty)
    async with both() as server, server.peer("/plain" if takes else "/pour", buffer=4096) as peer:
        if not takes:
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            states = server.address.server.server_state.connections
            await until(lambda: any(each.transport.get_write_buffer_size() for each in states), "full")
        await peer.send(frame(TEXT, b"x", rsv=1))
        await gone(server)
        said = "did not end" if takes else "did not take what was said last"
        assert (
            lines(log, logging.INFO if takes else logging.WARNING)[-1]
            == f"dropped {whose(peer)}: it was closed, and {said}"
        )


async def test_a_ping_without_an_answer(log: pytest.LogCaptureFixture) -> None:
    async with both(ws_ping_interval=0.1, ws_ping_timeout=0.1) as server, server.peer("/plain") as peer:
        assert await peer.closed() == 1011
        assert lines(log, logging.INFO) == [f"dropped {whose(peer)}: it did not answer a ping"]


async def test_a_handshake_that_is_refused(log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn, "HANDSHAKE", 0.2)
    monkeypatch.setattr(lingering, "QUIET", 0.1)
    upgrade = f"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: sid={SECRET}\r\n"
    rest = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    good = f"{upgrade}{rest}dGhlIHNhbXBsZSBub25jZQ==\r\n"
    refusals = {
        f"GET /never {SECRET}": (good, "503: not let in within the time allowed"),
        "POST /plain": (good, "405: a WebSocket begins with GET"),
        "GET /plain": (f"{good}Content-Length: 5\r\n", "400: a request for a WebSocket has no body"),
        "GET /ws": (f"{upgrade}{rest}{SECRET}\r\n", "400: no handshake of a WebSocket"),
    }
    async with both() as server:

        @server.app.websocket("/never")
        async def never(websocket: WebSocket) -> None:
            await websocket.receive()
            await websocket.receive()

        for line, (fields, why) in refusals.items():
            peer = await says(server, f"{line.replace(' ' + SECRET, '?' + SECRET)} HTTP/1.1\r\n{fields}\r\n".encode())
            await peer.answer()
            assert lines(log, logging.INFO)[-1] == f"refused {whose(peer)} with {why}"
            await peer.drop()
        await gone(server)
    assert len(lines(log, logging.INFO)) == len(refusals)
    assert SECRET not in log.text


@HTTP
async def test_what_is_no_request(
    protocol: str, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_socket, "HEAD", 0.1)
    async with both(http=f"hubbub.transports.http:{protocol}") as server:
        for begun in (b"", b"GET / HTTP/1.1\r\nCookie: sid="):
            peer = await says(server, begun)
            assert await peer.ended() == b""
            assert lines(log, logging.INFO)[-1] == f"dropped {whose(peer)}: no whole head of a request within 0.1 s"
        monkeypatch.setattr(http_socket, "HEAD", 10.0)
        for head, why in (
            (b"\x16\x03\x01" + SECRET.encode() + b"\r\n\r\n", "400: Invalid HTTP request received."),
            (
                b"GET / HTTP/1.1\r\nX: " + b"x" * 600_000,
                "431: The head of a request has at most 65536 bytes and 100 headers.",
            ),
        ):
            peer = await says(server, head)
            await peer.answer()
            assert f"refused {whose(peer)} with {why}" in lines(log, logging.INFO)
            await peer.drop()
        await gone(server)
    assert SECRET not in log.text


@HTTP
async def test_a_hub_counts_them(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By reason, and a watcher is told from which address, until it ends that."""
    monkeypatch.setattr(lingering, "QUIET", 0.1)
    upgrade = b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n"
    told: list[tuple[Count, str | None]] = []
    async with both(http=f"hubbub.transports.http:{protocol}") as server:
        unwatch = watch(lambda *what: told.append(what))
        for head in (
            b"\x16\x03\x01\r\n\r\n",
            b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"x" * 600_000,
            b"POST /ws HTTP/1.1\r\n" + upgrade,
            b"GET /ws HTTP/1.1\r\n" + upgrade,
        ):
            peer = await says(server, head)
            await peer.answer()
            await peer.drop()
        await gone(server)
        unwatch()
        assert (await server.peer("/ws").open(Sec_WebSocket_Key="short")).status == 400
        assert isinstance(server.hub.metrics, Tally)
        counted = Counter(server.hub.metrics.counts)
        del counted[Count.LEASE_RENEWED]
        assert counted == {
            Count.INVALID_REQUESTS: 2,
            Count.LARGE_HEADS: 1,
            Count.INVALID_HANDSHAKES: 3,
        }
    expected = [Count.INVALID_REQUESTS] * 2 + [Count.LARGE_HEADS] + [Count.INVALID_HANDSHAKES] * 2
    assert told == [(what, "127.0.0.1") for what in expected]


async def test_a_flood_of_strangers_is_counted(log: pytest.LogCaptureFixture) -> None:
    """And what was counted is told when the server is no more, whether or not its loop still runs."""
    transport: Any = SimpleNamespace(get_extra_info=lambda name: "")
    state = ServerState()
    for _ in range(9):
        telling_of(state).refused(transport, Count.INVALID_REQUESTS, 400, "nonsense")
    telling_of(ServerState()).refused(transport, Count.INVALID_REQUESTS, 400, "nonsense")  # another's are its own

    def told() -> list[str]:
        # Servers of tests before this one end here as well.
        return [line for line in lines(log, logging.INFO) if "nonsense" in line]

    each = ["refused a peer without an address with 400: nonsense"] * 6
    assert told() == each
    del state
    gc.collect()
    assert told() == [*each, "refused with 400: nonsense: 4 more within 0 s"]
