"""A taken-over socket, with a real socket on either side and a connection that remembers what it was told."""

import asyncio
import contextlib
import gc
import json
import os
import socket
import weakref
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hubbub import closes
from hubbub.closes import Close
from hubbub.transports import patience
from hubbub.transports.direct import DirectTransport
from hubbub.transports.writing import Writing
from hubbub.wire.codec import Prepared
from hubbub.wire.frames import Parser
from tests.hub.serving import until
from tests.transports.pairs import over_tcp
from tests.transports.raw import CLOSE, CONT, PING, TEXT, frame


class Driven:
    """A connection as far as a transport can tell, with a queue for an outbox."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.waiting: deque[Prepared] = deque()
        self.frames: list[str | bytes] = []
        self.calls: list[str] = []
        self.clear = False
        self.closes: list[Close] = []

    def frame(self, data: str | bytes) -> None:
        self.frames.append(data)

    def heard(self) -> None:
        self.calls.append("heard")

    def take(self, size: int) -> list[Prepared]:
        taken: list[Prepared] = []
        while self.waiting and size > 0:
            taken.append(self.waiting.popleft())
            size -= len(taken[-1])
        return taken

    def sent(self, size: int) -> None: ...

    def drained(self) -> None:
        self.clear = True

    def blocked(self) -> None:
        self.clear = False
        self.calls.append("blocked")

    def close(self, close: Close) -> None:
        self.closes.append(close)
        self.clear = False
        self.transport.close(close)

    def lost(self) -> None:
        self.clear = False
        self.calls.append("lost")

    def send(self, *messages: Prepared) -> None:
        """As a burst does it: the short way while it is clear."""
        if not self.clear:
            self.waiting.extend(messages)
            self.transport.flush()
            return
        taken = self.transport.write(messages)
        if taken is not None:
            self.put_back(messages[taken:])

    def put_back(self, messages: Any) -> None:
        self.clear = False
        self.waiting.extendleft(reversed(messages))
        self.transport.flush()


class Ends:
    """`here` is the server's socket number; `there` the client's."""

    def __init__(self, driven: Driven, transport: DirectTransport, there: socket.socket, gone: list[Any]) -> None:
        self.driven, self.transport, self.there, self.gone = driven, transport, there, gone
        self.texts: list[str] = []
        self.parser = Parser(limit=10_000_000)

    async def read(self, size: int) -> bytes:
        data = b""
        async with asyncio.timeout(10):
            while len(data) < size:
                part = await asyncio.get_running_loop().sock_recv(self.there, size - len(data))
                if not part:
                    break
                data += part
        return data

    async def rest(self) -> bytes:
        """Everything until the server lets it go."""
        data = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                while part := await asyncio.get_running_loop().sock_recv(self.there, 1 << 20):
                    data += part
        return data


async def taken_over(**options: Any) -> Ends:
    here, there = over_tcp()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
    there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
    here.setblocking(False)
    there.setblocking(False)
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, here)
    driven = Driven()
    gone: list[Any] = []
    taken = driven.transport = DirectTransport(
        driven,
        transport,
        gone=lambda _: gone.append("gone"),
        **{"limit": 65536, "closing": 1.0, "bits": 0, "inflate": None, **options},
    )
    transport.set_protocol(taken)
    taken.flush()
    assert driven.clear
    return Ends(driven, taken, there, gone)


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    here = await taken_over()
    yield here
    here.transport.abort()
    here.there.close()
    await until(lambda: here.gone, "gone")


def transports() -> list[DirectTransport]:
    return [each for each in gc.get_objects() if type(each) is DirectTransport]


def numbered(number: int, size: int = 0) -> Prepared:
    return Prepared(json.dumps({"n": number, "x": "x" * size}).encode())


def block(ends: Ends) -> int:
    """Send until nothing more is taken; how many messages."""
    number = 0
    while ends.driven.clear:
        ends.driven.send(numbered(number, 3000))
        number += 1
    return number


def numbers(data: bytes) -> list[int]:
    """Of the messages in frames a server sent; what is cut at the end is left out."""
    found, at = [], 0
    while at + 2 <= len(data):
        size, start = data[at + 1], at + 2
        if size == 126:
            size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        if start + size > len(data):
            break
        if data[at] == 0x81:
            found.append(json.loads(data[start : start + size])["n"])
        at = start + size
    return found


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
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(ends.transport.fd, bytes(65536))
    messages = [numbered(number, 3000) for number in range(5)]
    assert ends.transport.write(messages) == 1
    assert ends.transport._socket.get_write_buffer_size() == len(messages[0].frame)


async def test_closing_while_blocked_and_no_answer(ends: Ends) -> None:
    """It reads everything, and then says nothing."""
    block(ends)
    ends.driven.close(closes.DISCONNECTED)
    read = asyncio.create_task(ends.rest())
    await until(lambda: ends.gone, "aborted", within=4)
    assert b"\x0f\xa3" in (await read)[-40:]


async def test_many_at_once_and_one_of_them_is_full() -> None:
    crowd = [await taken_over() for _ in range(5)]
    full = crowd[2]
    before = block(full)
    await until(lambda: not full.driven.clear, "blocked")
    rest = [each for each in crowd if each is not full]
    for number in range(1000, 1100):
        short = Writing.write_all([each.transport for each in rest], [numbered(number), numbered(-number)])
        assert short == []
        full.driven.send(numbered(number), numbered(-number))
    expected = [sign * number for number in range(1000, 1100) for sign in (1, -1)]
    for each in rest:
        assert numbers(await each.read(sum(len(numbered(n).frame) for n in expected))) == expected
    size = sum(len(numbered(n, 3000).frame) for n in range(before)) + sum(len(numbered(n).frame) for n in expected)
    assert numbers(await full.read(size)) == [*range(before), *expected]
    for each in crowd:
        each.transport.abort()
        each.there.close()
    await until(lambda: all(each.gone for each in crowd), "gone")


async def test_what_many_at_once_do_not_take_comes_back() -> None:
    crowd = [await taken_over() for _ in range(3)]
    sent = 0
    while all(each.driven.clear for each in crowd):
        messages = [numbered(sent, 5000), numbered(sent + 1, 10), numbered(sent + 2, 4000)]
        sent += 3
        for index, taken in Writing.write_all([each.transport for each in crowd], messages):
            crowd[index].driven.put_back(messages[taken:])
    size = sum(len(numbered(n, (5000, 10, 4000)[n % 3]).frame) for n in range(sent))
    for each in crowd:
        assert numbers(await each.read(size)) == list(range(sent))
        each.transport.abort()
        each.there.close()
    await until(lambda: all(each.gone for each in crowd), "gone")


async def test_one_message_for_each_and_one_of_them_is_full() -> None:
    crowd = [await taken_over() for _ in range(4)]
    full = crowd[1]
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(full.transport.fd, bytes(4096))
    gone = crowd[2]
    gone.transport.abort()
    short = Writing.write_each([each.transport for each in crowd], [numbered(number, 100) for number in range(4)])
    assert short == [1, 2]
    assert full.transport._socket.get_write_buffer_size() == len(numbered(1, 100).frame)
    for number in (0, 3):
        assert numbers(await crowd[number].read(len(numbered(number, 100).frame))) == [number]
    for each in crowd:
        each.transport.abort()
        each.there.close()
    await until(lambda: all(each.gone for each in crowd), "gone")


async def test_a_number_used_again_gets_nothing_of_the_one_before() -> None:
    """The peer resets while messages wait for it, and the next socket is given its number."""
    old = await taken_over()
    number = old.transport.fd
    block(old)
    for each in range(50):
        old.driven.send(numbered(each, 3000))
    old.there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    old.there.close()
    await until(lambda: old.gone, "gone")
    assert old.transport.fd == -1
    held = []
    while True:
        here, there = socket.socketpair()
        held += [here, there]
        if number in (here.fileno(), there.fileno()):
            break
        assert len(held) < 500
    # Whoever still has the old one writes to it in every way there is.
    old.driven.clear = True
    old.driven.send(numbered(1))
    Writing.write_all([old.transport, old.transport], [numbered(2)])
    Writing.write_each([old.transport, old.transport], [numbered(2), numbered(3)])
    old.driven.waiting.append(numbered(3))
    old.transport.flush()
    old.transport.ping()
    old.transport.resume_writing()
    old.transport.close(closes.FINISHED)
    old.transport.abort()
    for each in held:
        each.setblocking(False)
        with pytest.raises(BlockingIOError):
            each.recv(1)
    for each in held:
        each.close()


async def test_a_closed_descriptor_ends_only_its_own(ends: Ends) -> None:
    other = await taken_over()
    other.there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    other.there.close()
    crowd = [other.transport, ends.transport]
    taken = Writing.write_all(crowd, [numbered(1), numbered(2)]) or Writing.write_all(crowd, [numbered(3)])
    assert taken in ([(0, 2)], [(0, 1)])  # nothing to put back
    assert other.transport.fd == -1
    await until(lambda: other.gone, "gone")
    assert numbers(await ends.read(2 * len(numbered(1).frame))) == [1, 2]
    assert other.driven.calls.count("lost") == 1


async def test_closing_while_blocked_says_everything_first(ends: Ends) -> None:
    sent = block(ends)
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


async def test_closing_one_that_takes_nothing(ends: Ends) -> None:
    ends.transport._closing = 0.2
    block(ends)
    ends.driven.close(closes.DISCONNECTED)
    await until(lambda: ends.gone, "aborted", within=2)
    assert ends.driven.calls.count("lost") == 1


async def test_one_that_does_not_answer_a_close(ends: Ends) -> None:
    ends.transport._closing = 0.2
    ends.driven.close(closes.DISCONNECTED)
    await until(lambda: ends.gone, "aborted", within=2)


async def test_the_peers_close_while_blocked(ends: Ends) -> None:
    """It is told goodbye after what was under way, and nothing that waited."""
    sent = block(ends)
    for number in range(sent, sent + 20):
        ends.driven.send(numbered(number, 3000))
    await asyncio.get_running_loop().sock_sendall(ends.there, frame(CLOSE, b"\x03\xe8"))
    await until(lambda: "lost" in ends.driven.calls, "seen")
    data = await ends.rest()
    assert data.endswith(b"\x88\x02\x03\xe8")
    assert numbers(data) == list(range(len(numbers(data))))
    await until(lambda: ends.gone, "gone")
    assert ends.driven.calls.count("lost") == 1


async def test_a_peer_that_hangs_up_without_a_word(ends: Ends) -> None:
    block(ends)
    ends.transport._closing = 0.2
    ends.there.shutdown(socket.SHUT_WR)
    await until(lambda: "lost" in ends.driven.calls, "seen")
    await until(lambda: ends.gone, "let go, though it reads nothing", within=2)
    assert ends.driven.calls.count("lost") == 1


async def test_a_peer_that_breaks_the_protocol_while_blocked(ends: Ends) -> None:
    """It is told so, and hung up on: it need not wait for the end of anybody's patience."""
    ends.transport._closing = 60
    sent = block(ends)
    await asyncio.get_running_loop().sock_sendall(ends.there, frame(TEXT, b"x", rsv=1) * 100)
    await until(lambda: ends.driven.closes, "seen")
    data = await ends.rest()
    assert numbers(data) == list(range(sent))
    assert int.from_bytes(data[data.rindex(b"\x88") + 2 :][:2], "big") == 1002
    ends.there.shutdown(socket.SHUT_WR)
    await until(lambda: ends.gone, "gone")


async def test_a_peer_that_takes_nothing(monkeypatch: pytest.MonkeyPatch, ends: Ends) -> None:
    monkeypatch.setattr(patience, "STALLED", 0.2)
    block(ends)
    await until(lambda: ends.gone, "aborted", within=2)


async def test_a_peer_that_takes_a_little(monkeypatch: pytest.MonkeyPatch, ends: Ends) -> None:
    monkeypatch.setattr(patience, "STALLED", 0.7)
    sent = block(ends)
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
        lambda: ends.transport.hold(0.01),
        lambda: ends.transport.write([numbered(1)]),
        lambda: ends.transport.end(closes.FINISHED),
    ):
        call()
    await asyncio.sleep(0.05)
    await ends.transport.wait()
    assert ends.driven.calls.count("lost") == 1
    assert len(ends.gone) == 1


async def test_nothing_is_read_while_held(ends: Ends) -> None:
    ends.transport.hold(0.3)
    await asyncio.get_running_loop().sock_sendall(ends.there, frame(TEXT, b"one"))
    await asyncio.sleep(0.1)
    assert ends.driven.frames == []
    await until(lambda: ends.driven.frames == ["one"], "read on")


async def test_no_ping_or_pong_into_a_full_buffer(ends: Ends) -> None:
    sent = block(ends)
    await asyncio.get_running_loop().sock_sendall(ends.there, frame(PING, b"p") * 5)
    await until(lambda: ends.driven.calls.count("heard") == 5, "heard")
    ends.transport.ping()
    data = await ends.read(sum(len(numbered(n, 3000).frame) for n in range(sent)))
    assert numbers(data) == list(range(sent))
    await until(lambda: ends.driven.clear, "clear")
    ends.driven.send(numbered(7))
    assert numbers(await ends.read(len(numbered(7).frame))) == [7]


@pytest.mark.parametrize("how", ["abort", "peer", "close", "stalled", "held", "begun", "answered"])
async def test_nothing_keeps_the_connection_alive(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No timer, no cycle: it goes without the garbage collector."""
    monkeypatch.setattr(patience, "STALLED", 0.1)
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
            block(ends)
        case "held":
            ends.transport.hold(0.05)
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


@pytest.mark.parametrize("reads", [True, False])
async def test_taken_over_with_something_buffered(monkeypatch: pytest.MonkeyPatch, reads: bool) -> None:
    """The handshake's answer is not out yet: nothing overtakes it, and patience has begun."""
    monkeypatch.setattr(patience, "STALLED", 0.3)
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
