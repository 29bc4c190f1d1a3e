"""Messages in very many pieces, or that never end: bounded on the hub's route and on a plain one beside it."""

import asyncio

import pytest

from hubbub.transports import timeouts
from tests.kit.raw_peers import CONT, PING, TEXT, Both, both, frame
from tests.kit.stopwatch import Stopwatch
from tests.transports.resources import MIB, gone, memory
from tests.transports.ways import ROUTES

pytestmark = pytest.mark.usefixtures("no_traceback")


# Rows 15 and 16: fragments.


async def bombarded(server: Both, path: str, bomb: bytes) -> None:
    before = 0
    for _ in range(2):  # what the first one made Python ask for, it keeps
        async with server.peer(path) as peer:
            await peer.send(bomb)
            assert await peer.closed() in (1008, 1006)
            await gone(server)
            before = before or memory()
    assert memory() - before < 8 * MIB


@ROUTES
async def test_a_message_of_very_many_fragments(server: Both, path: str) -> None:
    bomb = frame(TEXT, b"xx", fin=False) + frame(CONT, b"xx", fin=False) * 500_000
    await bombarded(server, path, bomb)


@ROUTES
async def test_a_million_empty_fragments(server: Both, path: str) -> None:
    bomb = frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 1_000_000
    await bombarded(server, path, bomb)


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
    monkeypatch.setattr(timeouts, "ASSEMBLED", 0.4)
    async with both() as server, server.peer(path) as peer:
        second = frame(CONT, b"and on", fin=False)
        await peer.send(frame(TEXT, b"begun", fin=False) + second[:4])
        watch = Stopwatch()
        closing = asyncio.create_task(peer.closed())
        if pings:
            await peer.send(second[4:])
            for _ in range(20):  # they are heard, and are no part of the message
                await asyncio.sleep(0.07)
                await peer.send(frame(PING))
                if closing.done():
                    break
        assert await closing == 1008
        assert watch.wall > 0.3
        assert watch.own < 1.3
        await gone(server)


@ROUTES
async def test_whole_messages_in_pieces_are_no_slow_one(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Each begins in the packet in which the one before ended; none takes long."""
    monkeypatch.setattr(timeouts, "ASSEMBLED", 1.0)
    async with both() as server, server.peer(path) as peer:
        stream = frame(TEXT, b'{"type":"ping"}') * 9
        size = len(stream) // 9
        for at in range(0, 8 * size, size):
            await peer.send(stream[at + (9 if at else 0) : at + size + 9])
            await asyncio.sleep(0.2)
        for _ in range(8):
            while (answer := await peer.frame())[1][:9] == b'{"type":"' and b"pong" not in answer[1]:
                pass
            assert answer[0] == 0x81
