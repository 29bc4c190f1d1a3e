"""A taken-over socket: in which order things leave and arrive, whatever its peer takes and when."""

import asyncio
import contextlib
import os
import socket

import pytest

from hubbub.transports import timeouts
from hubbub.transports.direct import DirectTransport
from tests.kit.raw_peers import PING, TEXT, frame
from tests.kit.waiting import until
from tests.transports.driven import Driven, Ends, block, numbered, numbers
from tests.transports.pairs import fill, over_tcp


async def test_order_is_kept_through_partial_writes_and_a_full_buffer(ends: Ends) -> None:
    sent = 0
    while sent < 3000 or ends.driven.clear:
        ends.driven.send(numbered(sent, sent * 7 % 900), numbered(sent + 1, sent * 13 % 900))
        sent += 2
    assert ends.driven.calls.count("blocked") == 1
    expected = sum(len(numbered(n, n // 2 * 2 * (13 if n % 2 else 7) % 900).frame) for n in range(sent))
    data = await ends.read(expected)
    assert numbers(data) == list(range(sent))
    await until(lambda: ends.driven.clear, "clear again")
    ends.driven.send(numbered(sent))
    assert numbers(await ends.read(len(numbered(sent).frame))) == [sent]


async def test_nothing_overtakes_what_is_buffered(ends: Ends) -> None:
    """Also where the kernel has room again before asyncio has used it."""
    sent = 0
    expected = 0
    data = b""
    while sent < 400:
        for _ in range(20):
            message = numbered(sent, 700)
            expected += len(message.frame)
            ends.driven.send(message)
            sent += 1
        with contextlib.suppress(BlockingIOError):
            data += ends.there.recv(9000)
    data += await ends.read(expected - len(data))
    assert numbers(data) == list(range(400))


async def test_what_does_not_fit_stays_where_it_can_be_dropped(ends: Ends) -> None:
    """Of what was not begun, one message is given away: so that asyncio says when there is room."""
    fill(ends.transport.writer.fd)
    messages = [numbered(number, 3000) for number in range(5)]
    assert ends.transport.writer.write(messages) == 1
    assert ends.transport.writer.socket.get_write_buffer_size() == len(messages[0].frame)


@pytest.mark.parametrize("reads", [True, False])
async def test_taken_over_with_something_buffered(monkeypatch: pytest.MonkeyPatch, reads: bool) -> None:
    """The handshake's answer is not out yet: nothing overtakes it, and patience has begun."""
    monkeypatch.setattr(timeouts, "STALLED", 0.3)
    here, there = over_tcp()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
    here.setblocking(False)
    there.setblocking(False)
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, here)
    transport.set_write_buffer_limits(high=0)
    answer = b"HTTP/1.1 101 \r\n\r\n" + bytes(2_000_000)
    transport.write(answer)
    assert transport.get_write_buffer_size()
    driven, gone = Driven(), []
    driven.transport = DirectTransport(
        driven, transport, limit=100, closing=1.0, bits=0, inflate=None, gone=lambda _: gone.append("gone")
    )
    transport.set_protocol(driven.transport)
    driven.transport.flush()
    assert not driven.clear
    driven.send(numbered(1))
    ends = Ends(driven, driven.transport, there, gone)
    if not reads:
        await until(lambda: gone, "aborted", within=2)
        there.close()
        return
    assert await ends.read(len(answer)) == answer
    assert numbers(await ends.read(len(numbered(1).frame))) == [1]
    await until(lambda: driven.clear, "clear")
    os.set_blocking(there.fileno(), False)
    driven.transport.abort()
    await until(lambda: gone, "gone")
    there.close()


async def test_nothing_is_read_while_held(ends: Ends) -> None:
    ends.transport.pause_reading(0.3)
    await asyncio.get_running_loop().sock_sendall(ends.there, frame(TEXT, b"one"))
    await asyncio.sleep(0.1)
    assert ends.driven.frames == []
    await until(lambda: ends.driven.frames == ["one"], "read on")


async def test_no_ping_or_pong_into_a_full_buffer(ends: Ends) -> None:
    sent = await block(ends)
    await asyncio.get_running_loop().sock_sendall(ends.there, frame(PING, b"p") * 5)
    await until(lambda: ends.driven.calls.count("heard") == 5, "heard")
    ends.transport.ping()
    data = await ends.read(sum(len(numbered(n, 3000).frame) for n in range(sent)))
    assert numbers(data) == list(range(sent))
    await until(lambda: ends.driven.clear, "clear")
    ends.driven.send(numbered(7))
    assert numbers(await ends.read(len(numbered(7).frame))) == [7]
