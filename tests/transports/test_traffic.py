"""Bytes are counted as they are handed over, once: what does not fit comes back, and counts where it goes out."""

import asyncio
import json
import os

from hubbub.ports.metrics import Traffic
from hubbub.transports.socket_writer import SocketWriter
from tests.kit.raw_peers import TEXT, frame
from tests.kit.waiting import until
from tests.transports.driven import Ends, ends_of, numbered
from tests.transports.pairs import fill


async def test_what_a_slow_reader_is_sent_is_counted_once(ends: Ends) -> None:
    sent, size = 0, 0
    while sent < 500 or ends.driven.clear:
        message = numbered(sent, 700)
        size += len(message.frame)
        ends.driven.send(message)
        sent += 1
    assert len(await ends.read(size)) == size
    await until(lambda: ends.driven.clear, "all is out")
    assert ends.driven.traffic.bytes_out == size


async def test_to_many_of_whom_one_takes_nothing_and_one_is_gone() -> None:
    async with ends_of() as well, ends_of() as full, ends_of() as broken:
        traffic = Traffic()
        writers = [each.transport.writer for each in (well, full, broken)]
        for writer in writers:
            writer.traffic = traffic
        fill(writers[1].fd)
        nothing = broken.transport.writer.fd = os.open(os.devnull, os.O_RDONLY)
        messages = [numbered(number, 3000) for number in range(3)]
        cut = SocketWriter.write_all(writers, messages)
        os.close(nothing)
        assert [index for index, _ in cut] == [1, 2]
        whole = sum(len(message.frame) for message in messages)
        # Of the second, one message is given away, so that asyncio says when there is room.
        assert traffic.bytes_out == whole + len(messages[0].frame)


async def test_one_to_each(ends: Ends) -> None:
    async with ends_of() as other:
        traffic = other.driven.traffic
        writers = [ends.transport.writer, other.transport.writer]
        ends.transport.writer.traffic = traffic
        messages = [numbered(1, 10), numbered(2, 200)]
        assert SocketWriter.write_each(writers, messages) == []
        assert traffic.bytes_out == sum(len(message.frame) for message in messages)


async def test_what_comes_is_counted_with_heads_and_masks(ends: Ends) -> None:
    said = frame(TEXT, json.dumps({"type": "x"}).encode())
    for part in (said[:3], said[3:]):
        await asyncio.get_running_loop().sock_sendall(ends.there, part)
    await until(lambda: ends.driven.frames, "it has come")
    assert ends.driven.traffic.bytes_in == len(said)
