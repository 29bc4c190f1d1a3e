"""Many taken-over sockets written to at once: what one of them does not take is no other's loss."""

import select
import socket

import pytest

from hubbub import closes
from hubbub.transports.socket_writer import SocketWriter
from tests.kit.waiting import until
from tests.transports.driven import Ends, block, numbered, numbers, taken_over
from tests.transports.pairs import fill


async def test_many_at_once_and_one_of_them_is_full() -> None:
    crowd = [await taken_over() for _ in range(5)]
    full = crowd[2]
    before = await block(full)
    await until(lambda: not full.driven.clear, "blocked")
    rest = [each for each in crowd if each is not full]
    for number in range(1000, 1100):
        short = SocketWriter.write_all([each.transport.writer for each in rest], [numbered(number), numbered(-number)])
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
        for index, taken in SocketWriter.write_all([each.transport.writer for each in crowd], messages):
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
    fill(full.transport.writer.fd)
    gone = crowd[2]
    gone.transport.abort()
    writers = [each.transport.writer for each in crowd]
    short = SocketWriter.write_each(writers, [numbered(number, 100) for number in range(4)])
    assert short == [1, 2]
    assert full.transport.writer.socket.get_write_buffer_size() == len(numbered(1, 100).frame)
    for number in (0, 3):
        assert numbers(await crowd[number].read(len(numbered(number, 100).frame))) == [number]
    for each in crowd:
        each.transport.abort()
        each.there.close()
    await until(lambda: all(each.gone for each in crowd), "gone")


async def test_a_number_used_again_gets_nothing_of_the_one_before() -> None:
    """The peer resets while messages wait for it, and the next socket is given its number."""
    old = await taken_over()
    number = old.transport.writer.fd
    await block(old)
    for each in range(50):
        old.driven.send(numbered(each, 3000))
    old.there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    old.there.close()
    await until(lambda: old.gone, "gone")
    assert old.transport.writer.fd == -1
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
    SocketWriter.write_all([old.transport.writer, old.transport.writer], [numbered(2)])
    SocketWriter.write_each([old.transport.writer, old.transport.writer], [numbered(2), numbered(3)])
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
    kernel = select.poll()
    kernel.register(other.transport.writer.fd, 0)
    assert kernel.poll(30_000), "it has not heard of the reset"
    crowd = [other.transport.writer, ends.transport.writer]
    assert SocketWriter.write_all(crowd, [numbered(1), numbered(2)]) == [(0, 2)]  # nothing to put back
    assert other.transport.writer.fd == -1
    await until(lambda: other.gone, "gone")
    assert numbers(await ends.read(2 * len(numbered(1).frame))) == [1, 2]
    assert other.driven.calls.count("lost") == 1
