"""A server that ends: what was on its way to it by then is answered, and who says nothing holds up nobody."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hubbub.transports import http_socket, lingering
from tests.kit.raw_peers import Both, Peer, both
from tests.kit.stopwatch import Stopwatch
from tests.kit.waiting import until

HEAD = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(params=["HubbubHTTP", "HubbubH11"])
async def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    monkeypatch.setattr(http_socket, "ON_ITS_WAY", 60.0)
    monkeypatch.setattr(lingering, "QUIET", 0.1)
    async with both(http=f"hubbub.transports.http:{request.param}", timeout_graceful_shutdown=30) as here:
        yield here
        await until(lambda: not here.connections, "all sockets are gone")


async def opened(server: Both, sent: bytes = b"") -> Peer:
    before = server.connections
    peer = await Peer(server.address).open(head=False)
    await peer.send(sent)
    await until(lambda: server.connections > before, "opened")
    return peer


async def ending(server: Both) -> None:
    uvicorns = server.address.server
    uvicorns.should_exit = True
    await until(lambda: not uvicorns.servers[0].is_serving(), "the server ends")
    # What it tells its sockets, and the time they take for what was sent already.
    await asyncio.sleep(3 * http_socket.UNREAD)


async def answered(peer: Peer) -> None:
    await peer.answer()
    assert peer.status == 404
    assert peer.head.lower().count(b"connection: close") == 1
    assert (await peer.ended()).endswith(b'{"detail":"Not Found"}')


@pytest.mark.parametrize("begun", [b"", b"G", HEAD])
async def test_a_request_that_is_on_its_way(server: Both, begun: bytes) -> None:
    peer = await opened(server, begun)
    await ending(server)
    await peer.send(HEAD[len(begun) :] + b"\r\n")
    await answered(peer)


@pytest.mark.parametrize("begun", [b"G", HEAD])
async def test_a_request_that_is_not_the_first(server: Both, begun: bytes) -> None:
    peer = await opened(server, HEAD + b"\r\n")
    await peer.answer()
    assert await peer.reader.readexactly(22) == b'{"detail":"Not Found"}'
    await peer.send(begun)
    await ending(server)
    await peer.send(HEAD[len(begun) :] + b"\r\n")
    await answered(peer)


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
async def test_a_request_that_is_there_and_not_read(server: Both, first: bool) -> None:
    peer = await opened(server)
    if not first:
        await peer.send(HEAD + b"\r\n")
        await peer.answer()
        await peer.reader.readexactly(22)
    peer.writer.write(HEAD + b"\r\n")
    for each in list(server.address.server.server_state.connections):
        each.shutdown()  # as uvicorn does, in the same turn of the loop
    await answered(peer)


async def test_a_handshake_that_is_on_its_way(server: Both) -> None:
    """The hub's own has left by then, and the server waits for no other."""
    for path in ("/ws", "/plain"):
        peer = await opened(server)
        for each in list(server.address.server.server_state.connections):
            each.shutdown()
        await peer.send(server.peer(path).request())
        await peer.answer()
        assert peer.status == 503 or await peer.closed() == 1012
        await peer.ended()


async def test_who_says_nothing(server: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent from the beginning, in the middle of a head, and after a request."""
    monkeypatch.setattr(http_socket, "ON_ITS_WAY", 0.5)
    silent = [await opened(server), await opened(server, b"GET"), await opened(server, HEAD + b"\r\n")]
    watch = Stopwatch()
    await ending(server)
    for peer in silent:
        await peer.ended()
    await until(server.address.server.lifespan.shutdown_event.is_set, "ended")  # type: ignore[attr-defined]
    assert watch.own < 10
