"""Requests whose body hardly comes or is far too long, and answers that nobody takes: none holds a socket or memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from hubbub.integrations.publishing import publishing
from hubbub.ports.metrics import Count, Tally
from hubbub.transports import body_pace, http_socket, lingering, timeouts
from tests.kit.raw_peers import Both, Peer, both
from tests.kit.waiting import until
from tests.transports.resources import MIB, gone, memory

BIG = 4_000_000


@pytest.fixture(params=["HubbubHTTP", "HubbubH11"])
async def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    monkeypatch.setattr(lingering, "QUIET", 0.1)
    async with both(http=f"hubbub.transports.http:{request.param}") as here:
        _routes(here.app)
        here.app.state.gate = asyncio.Event()
        yield here
        await gone(here)


def _routes(app: FastAPI) -> None:
    app.include_router(publishing(keys=["key"]))

    @app.post("/upload")
    async def upload(request: Request) -> int:
        """Reads nothing before the gate is open."""
        await app.state.gate.wait()
        return len(await request.body())

    @app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.get("/big")
    async def big() -> Response:
        return Response(bytes(BIG), media_type="application/octet-stream")

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield bytes(65536)
                await asyncio.sleep(0)  # where it is gone, sending waits for nothing

        return StreamingResponse(parts())

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"data: first\n\n"
            await app.state.gate.wait()
            yield b"data: last\n\n"

        return StreamingResponse(parts())


def counted(server: Both, what: Count) -> int:
    assert isinstance(server.hub.metrics, Tally)
    return server.hub.metrics.counts[what]


async def said(server: Both, head: str, body: bytes = b"", *, buffer: int | None = None) -> Peer:
    peer = await Peer(server.address, buffer=buffer).open(head=False)
    await peer.send(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    return peer


@pytest.mark.complains("ClientDisconnect")
@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
async def test_a_body_that_hardly_comes(server: Both, framing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps no socket."""
    monkeypatch.setattr(body_pace, "BODY", 0.3)
    begin, piece = (b"5\r\nhello\r\n", b"1\r\nx\r\n") if "chunked" in framing else (b"hello", b"x")
    peers = [await said(server, f"POST /read HTTP/1.1\nHost: x\n{framing}", begin) for _ in range(3)]

    async def drip() -> None:
        while True:
            for peer in peers:
                await peer.send(piece)
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    for peer in peers:
        await peer.answer()
        assert peer.status == 408
        assert b"body of the request did not come" in await peer.ended()
    dripping.cancel()
    assert counted(server, Count.LATE_BODIES) == len(peers)


async def test_an_application_that_takes_its_time_is_no_slow_client(
    server: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where more has come than the server reads ahead, nor where the client was not told to go on."""
    monkeypatch.setattr(body_pace, "BODY", 0.1)
    head = f"POST /upload HTTP/1.1\nHost: x\nContent-Length: {BIG}"
    sending = asyncio.create_task(said(server, head, bytes(BIG)))
    patient = await said(server, f"{head}\nExpect: 100-continue")
    await asyncio.sleep(0.5)  # several looks at what has come
    server.app.state.gate.set()
    await patient.answer()
    assert patient.status == 100
    await patient.send(bytes(BIG))
    for peer in (patient, await sending):
        await peer.answer()
        assert peer.status == 200
        await peer.drop()


async def test_an_answer_that_nobody_takes(server: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "STALLED", 0.3)
    for _ in range(3):
        peer = await said(server, "GET /endless HTTP/1.1\nHost: x", buffer=4096)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await until(lambda: counted(server, Count.DROPPED_SOCKETS) == 3, "dropped", within=10)
    await gone(server)


async def test_a_stream_on_which_nothing_happens_is_kept(server: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "STALLED", 0.1)
    monkeypatch.setattr(body_pace, "BODY", 0.1)
    peer = await said(server, "GET /events HTTP/1.1\nHost: x")
    await peer.answer()
    await asyncio.sleep(0.5)
    server.app.state.gate.set()
    assert b"data: last" in await peer.reader.readuntil(b"0\r\n\r\n")
    await peer.drop()


async def test_a_reader_that_is_slow_gets_all_of_the_last_answer(server: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Connection: close` is no reason to cut it: five seconds are for a peer that takes nothing."""
    monkeypatch.setattr(http_socket, "LINGERING", 0.4)
    peer = await said(server, "GET /big HTTP/1.1\nHost: x\nConnection: close", buffer=65536)
    await peer.answer()
    taken = 0
    while part := await peer.reader.read(32768):
        taken += len(part)
        await asyncio.sleep(0.01)
    assert taken == BIG


PUBLISH = "POST /api/{to} HTTP/1.1\nHost: x\nAuthorization: Bearer key\nContent-Type: application/json\n"


@pytest.mark.parametrize("to", ["rooms/open:a/messages", "users/ann/messages", "broadcast", "messages"])
async def test_a_body_of_three_hundred_megabytes(server: Both, to: str) -> None:
    """Refused by what it says of itself, and elsewhere as soon as it is too much."""
    peer = await said(server, f"{PUBLISH.format(to=to)}Content-Length: 300000000")
    await peer.answer()
    assert peer.status == 413
    assert b"connection: close" in peer.head.lower()
    assert b"more than the" in await peer.ended()
    before = memory()
    peer = await said(server, f"{PUBLISH.format(to=to)}Transfer-Encoding: chunked")
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    for _ in range(4):
        await peer.send(chunk)
    await peer.answer()
    assert peer.status == 413
    assert b"connection: close" in peer.head.lower()
    await peer.ended()
    assert memory() - before < 24 * MIB


async def test_a_little_too_much_is_read_to_its_end(server: Both) -> None:
    limit = server.hub.limits.payload
    peer = await said(server, f"{PUBLISH.format(to='broadcast')}Content-Length: {limit + 1}", bytes(limit + 1))
    await peer.answer()
    assert peer.status == 413
    assert b"connection: close" not in peer.head.lower()
    await peer.drop()
