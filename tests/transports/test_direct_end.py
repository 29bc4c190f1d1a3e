"""How a taken-over socket ends: by either side, by nobody's answer, and with nothing left of it."""

import asyncio
import gc
import socket
import weakref

import pytest

from hubbub import closes
from hubbub.transports import timeouts
from tests.kit.raw_peers import CLOSE, CONT, PING, TEXT, frame
from tests.kit.waiting import until
from tests.transports.driven import Ends, block, ends_of, numbered, numbers, taken_over, transports


async def test_closing_while_blocked_says_everything_first(ends: Ends) -> None:
    sent = await block(ends)
    for number in range(sent, sent + 100):
        ends.driven.send(numbered(number, 3000))
    ends.driven.close(closes.DISCONNECTED)
    await asyncio.sleep(0)
    data = await ends.read(sum(len(numbered(n, 3000).frame) for n in range(sent + 100)))
    assert numbers(data) == list(range(sent + 100))
    first, size = await ends.read(2)
    assert first == 0x80 | CLOSE
    assert int.from_bytes((await ends.read(size))[:2], "big") == 4003
    assert not ends.gone  # the peer has not answered
    await asyncio.get_running_loop().sock_sendall(ends.there, frame(CLOSE, b"\x0f\xa3"))
    assert await ends.read(1) == b""
    await until(lambda: ends.gone, "gone")


async def test_closing_while_blocked_and_no_answer(ends: Ends) -> None:
    """It reads everything, and then says nothing."""
    await block(ends)
    ends.driven.close(closes.DISCONNECTED)
    read = asyncio.create_task(ends.rest())
    await until(lambda: ends.gone, "aborted", within=4)
    assert b"\x0f\xa3" in (await read)[-40:]


async def test_closing_one_that_takes_nothing() -> None:
    async with ends_of(closing=0.2) as ends:
        await block(ends)
        ends.driven.close(closes.DISCONNECTED)
        await until(lambda: ends.gone, "aborted", within=2)
        assert ends.driven.calls.count("lost") == 1


async def test_one_that_does_not_answer_a_close() -> None:
    async with ends_of(closing=0.2) as ends:
        ends.driven.close(closes.DISCONNECTED)
        await until(lambda: ends.gone, "aborted", within=2)


async def test_the_peers_close_while_blocked(ends: Ends) -> None:
    """It is told goodbye after what was under way, and nothing that waited."""
    sent = await block(ends)
    for number in range(sent, sent + 20):
        ends.driven.send(numbered(number, 3000))
    await asyncio.get_running_loop().sock_sendall(ends.there, frame(CLOSE, b"\x03\xe8"))
    await until(lambda: "lost" in ends.driven.calls, "seen")
    data = await ends.rest()
    assert data.endswith(b"\x88\x02\x03\xe8")
    assert numbers(data) == list(range(len(numbers(data))))
    await until(lambda: ends.gone, "gone")
    assert ends.driven.calls.count("lost") == 1


async def test_a_peer_that_hangs_up_without_a_word() -> None:
    async with ends_of(closing=0.2) as ends:
        await block(ends)
        ends.there.shutdown(socket.SHUT_WR)
        await until(lambda: "lost" in ends.driven.calls, "seen")
        await until(lambda: ends.gone, "let go, though it reads nothing", within=2)
        assert ends.driven.calls.count("lost") == 1


async def test_a_peer_that_breaks_the_protocol_while_blocked() -> None:
    """It is told so, and hung up on: it need not wait for the end of anybody's patience."""
    async with ends_of(closing=60) as ends:
        sent = await block(ends)
        await asyncio.get_running_loop().sock_sendall(ends.there, frame(TEXT, b"x", rsv=1) * 100)
        await until(lambda: ends.driven.closes, "seen")
        data = await ends.rest()
        assert numbers(data) == list(range(sent))
        assert int.from_bytes(data[data.rindex(b"\x88") + 2 :][:2], "big") == 1002
        ends.there.shutdown(socket.SHUT_WR)
        await until(lambda: ends.gone, "gone")


async def test_a_peer_that_takes_nothing(monkeypatch: pytest.MonkeyPatch, ends: Ends) -> None:
    monkeypatch.setattr(timeouts, "STALLED", 0.2)
    await block(ends)
    await until(lambda: ends.gone, "aborted", within=2)


@pytest.mark.alone
async def test_a_peer_that_takes_a_little(monkeypatch: pytest.MonkeyPatch, ends: Ends) -> None:
    monkeypatch.setattr(timeouts, "STALLED", 0.7)
    sent = await block(ends)
    for number in range(sent, sent + 100):
        ends.driven.send(numbered(number, 3000))
    for _ in range(25):
        await ends.read(8000)
        await asyncio.sleep(0.06)
    assert not ends.gone


async def test_after_the_end_nothing_happens(ends: Ends) -> None:
    ends.transport.abort()
    ends.transport.abort()
    await until(lambda: ends.gone, "gone")
    for call in (
        ends.transport.abort,
        ends.transport.flush,
        ends.transport.ping,
        ends.transport.resume_writing,
        ends.transport.shutdown,
        lambda: ends.transport.close(closes.FINISHED),
        lambda: ends.transport.pause_reading(0.01),
        lambda: ends.transport.writer.write([numbered(1)]),
        lambda: ends.transport.end(closes.FINISHED),
    ):
        call()
    await asyncio.sleep(0.05)
    await ends.transport.wait()
    assert ends.driven.calls.count("lost") == 1
    assert len(ends.gone) == 1


@pytest.mark.parametrize("how", ["abort", "peer", "close", "stalled", "held", "begun", "answered"])
async def test_nothing_keeps_the_connection_alive(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No timer, no cycle: it goes without the garbage collector."""
    monkeypatch.setattr(timeouts, "STALLED", 0.1)
    before = len(transports())
    ends = await taken_over(closing=0.1)
    driven = weakref.ref(ends.driven)
    loop = asyncio.get_running_loop()
    match how:
        case "abort":
            ends.transport.abort()
        case "peer":
            ends.there.close()
        case "close":
            ends.driven.close(closes.FINISHED)
        case "stalled":
            await block(ends)
        case "held":
            ends.transport.pause_reading(0.05)
            ends.transport.abort()
        case "begun":
            await loop.sock_sendall(ends.there, frame(TEXT, b"x", fin=False) + frame(CONT, b"y", fin=False)[:3])
            await asyncio.sleep(0.05)
            ends.there.close()
        case "answered":
            await loop.sock_sendall(ends.there, frame(PING) + frame(CLOSE))
    await until(lambda: ends.gone, "gone", within=2)
    there = ends.there
    gc.disable()
    try:
        ends.driven = ends.transport = ends.gone = None  # type: ignore[assignment]
        await until(lambda: driven() is None and len(transports()) <= before, "freed", within=1)
    finally:
        gc.enable()
        there.close()
