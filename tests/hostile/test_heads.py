"""Requests that have no end, in the ways they can be cut: refused with a word, counted, and nothing is kept of them."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from fastapi import Request
from fastapi.responses import StreamingResponse

from hubbub.ports.metrics import Count, Tally
from hubbub.transports import lingering
from hubbub.transports.http_bounds import HEAD_SIZE, HEADERS, WAITING
from tests.kit.raw_peers import Both, Peer, both
from tests.kit.waiting import until
from tests.transports.resources import MIB, gone, memory

BEGIN = b"GET /ws HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
LINES = b"".join(b"X-%d: aaaaaaaaaaaaaaaa\r\n" % number for number in range(2000))
SIZE = 38_000_000


@pytest.fixture(params=["HubbubHTTP", "HubbubH11"])
async def server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Both]:
    monkeypatch.setattr(lingering, "QUIET", 0.1)
    async with both(http=f"hubbub.transports.http:{request.param}") as here:

        @here.app.post("/echo")
        async def echo(request: Request) -> dict[str, list[str]]:
            await request.body()
            return {"headers": list(request.headers)}

        yield here
        await gone(here)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def counted(server: Both, what: Count) -> int:
    assert isinstance(server.hub.metrics, Tally)
    return server.hub.metrics.counts[what]


async def pour(server: Both, begin: bytes, more: bytes) -> Peer:
    """Send `more` after `begin` again and again, 38 MB of it, or until the server has had enough; its answer."""
    peer = await Peer(server.address).open(head=False)
    await peer.send(begin)
    for _ in range(SIZE // len(more)):
        if peer.writer.transport.is_closing():
            break
        await peer.send(more)
    await peer.answer()
    return peer


@pytest.mark.complains("ClientDisconnect")
@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (BEGIN, LINES),
        (BEGIN + b"Cookie: ", bytes(65536).replace(b"\0", b"x")),
        (b"GET /ws?token=", bytes(65536).replace(b"\0", b"x")),
        (CHUNKED + b"0\r\n", LINES),
        (CHUNKED + b"5;x=", bytes(65536).replace(b"\0", b"x")),
    ],
    ids=["lines", "a line", "a path", "trailers", "a chunk's extension"],
)
async def test_what_has_no_end(server: Both, begin: bytes, more: bytes) -> None:
    before = memory()
    peers = [await pour(server, begin, more) for _ in range(2)]
    for peer in peers:
        assert peer.status == 431
        assert b"connection: close" in peer.head.lower()
        assert b"at most 65536 bytes and 100 headers" in await peer.ended()
    assert memory() - before < 24 * MIB
    assert counted(server, Count.LARGE_HEADS) == 2


async def asked(server: Both, *packets: bytes) -> int:
    peer = await Peer(server.address).open(head=False)
    for packet in packets:
        await peer.send(packet)
        await asyncio.sleep(0)
    await peer.answer()
    await peer.drop()
    return peer.status


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


async def test_as_much_as_is_allowed_and_one_more(server: Both) -> None:
    """In one packet, and in packets of seven bytes."""
    upgrade = server.peer("/ws").request().removesuffix(b"\r\n")
    for begin, good in ((b"GET /echo HTTP/1.1\r\nHost: x\r\n", 405), (upgrade, 101)):
        left = HEADERS - begin.count(b"\r\n") + 1
        lines = [b"X-%d: a\r\n" % number for number in range(left + 1)]
        long = HEAD_SIZE - len(begin) - len(b"X: \r\n")
        for rest, status in (
            (b"".join(lines[:left]), good),
            (b"".join(lines), 431),
            (b"X: " + b"x" * (long - 2) + b"\r\n", good),
            (b"X: " + b"x" * (long + 100) + b"\r\n", 431),
        ):
            whole = begin + rest + b"\r\n"
            assert await asked(server, whole) == status
            if len(whole) < 10_000:
                assert await asked(server, *cut(whole, 7)) == status


async def test_trailers_are_no_headers(server: Both) -> None:
    """What a proxy in front has looked at is all there is, and not what comes behind the body."""
    peer = await Peer(server.address).open(head=False)
    await peer.send(CHUNKED)
    await until(lambda: server.address.server.server_state.tasks, "asked")
    await peer.send(b"0\r\nAuthorization: Bearer key\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n")
    await peer.answer()
    assert peer.status == 200
    length = int(peer.head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert await peer.reader.readexactly(length) == b'{"headers":["host","transfer-encoding"]}'
    await peer.drop()


async def test_requests_behind_one_that_takes_its_time(server: Both) -> None:
    """A hundred wait, whatever the application reads meanwhile, and are answered; then the socket ends."""
    gate = asyncio.Event()

    @server.app.get("/slow")
    async def slow(request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while not gate.is_set():
                assert not await request.is_disconnected()
                await asyncio.sleep(0.01)
            yield b"whole"

        return StreamingResponse(parts())

    before = memory()
    peer = await Peer(server.address).open(head=False)
    await peer.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: server.address.server.server_state.tasks, "asked")
    many = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000
    for _ in range(20):
        await peer.send(many)
    await until(lambda: counted(server, Count.INVALID_REQUESTS), "refused")
    assert memory() - before < 24 * MIB
    gate.set()
    said = await peer.ended()
    assert said.count(b"404 Not Found") <= WAITING
    assert said.lower().count(b"connection: close") <= 1
