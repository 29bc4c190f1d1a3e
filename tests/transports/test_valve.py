"""What is read in a turn of the loop, and when nothing is: in order, however often it was interrupted."""

import asyncio

from hubbub import closes
from hubbub.protocol.frames import PORTION
from tests.kit.loop import called
from tests.kit.raw_peers import CLOSE, PING, TEXT, frame
from tests.kit.waiting import until
from tests.transports.driven import Ends, ends_of

TEXTS = [str(number) for number in range(1000)]
FRAMES = b"".join(frame(TEXT, text.encode()) for text in TEXTS)


def frames_read(ends: Ends) -> int:
    return len(ends.driven.frames)


async def test_what_came_in_one_piece_is_read_in_many_turns(ends: Ends) -> None:
    after = await called(lambda: (ends.transport.data_received(FRAMES), frames_read(ends))[1])
    assert after == PORTION
    seen = []
    while frames_read(ends) < 1000:
        seen.append(frames_read(ends))
        await asyncio.sleep(0)
    assert len(set(seen)) >= 10
    assert ends.driven.frames == TEXTS
    await asyncio.get_running_loop().sock_sendall(ends.there, frame(TEXT, b"more"))
    await until(lambda: ends.driven.frames[1000:] == ["more"], "it is read again")


async def test_what_is_stopped_in_the_middle_goes_on_there(ends: Ends) -> None:
    receive = ends.driven.receive

    def every_tenth(data: str | bytes) -> None:
        receive(data)
        if frames_read(ends) % 10 == 0:
            ends.transport.stop_reading()

    ends.driven.receive = every_tenth  # type: ignore[method-assign]
    await asyncio.get_running_loop().sock_sendall(ends.there, FRAMES)
    for number in range(1, 101):
        await until(lambda number=number: frames_read(ends) == 10 * number, "the next ten")  # type: ignore[misc]
        for _ in range(3):
            await asyncio.sleep(0)
        assert frames_read(ends) == 10 * number
        ends.transport.read_on()
    assert ends.driven.frames == TEXTS


async def test_several_reasons_not_to_read(ends: Ends) -> None:
    ends.transport.read_on()  # nothing had stopped it
    ends.transport.pause_reading(0.05)
    ends.transport.pause_reading(0.2)
    ends.transport.pause_reading(0.01)
    ends.transport.stop_reading()
    ends.transport.stop_reading()
    await asyncio.get_running_loop().sock_sendall(ends.there, frame(TEXT, b"one"))
    ends.transport.read_on()
    ends.transport.read_on()
    await asyncio.sleep(0.1)
    assert ends.driven.frames == []
    await until(lambda: ends.driven.frames == ["one"], "read on")
    ends.transport.stop_reading()
    ends.transport.pause_reading(0.01)
    await asyncio.get_running_loop().sock_sendall(ends.there, frame(TEXT, b"two"))
    await asyncio.sleep(0.1)
    assert ends.driven.frames == ["one"]
    ends.transport.read_on()
    await until(lambda: ends.driven.frames == ["one", "two"], "read on")


async def test_the_end_is_not_waited_for_by_a_peer_that_is_not_read(ends: Ends) -> None:
    ends.transport.stop_reading()
    ends.driven.close(closes.FINISHED)
    await asyncio.get_running_loop().sock_sendall(ends.there, b"\x88\x82\0\0\0\0\x03\xe8")
    assert (await ends.rest())[:4] == b"\x88\x0a\x03\xe8"


async def test_the_end_of_a_peer_that_sent_too_much_is_not_waited_for_either() -> None:
    async with ends_of(closing=60.0) as ends:
        ends.transport.pause_reading(60.0)
        ends.transport.close(closes.RESTARTING)
        await asyncio.get_running_loop().sock_sendall(ends.there, frame(CLOSE, b"\x03\xf4"))
        await until(lambda: ends.gone, "its end was heard", within=5.0)


async def test_bytes_are_told_of_in_large_pieces(ends: Ends) -> None:
    small = frame(TEXT, b"x" * 100)
    ends.transport.data_received(small * 10)
    assert ends.driven.weighed == 0
    ends.transport.data_received(small * 40)
    assert ends.driven.weighed == 50 * len(small)
    ends.transport.data_received(frame(PING) * 5)
    ends.transport.data_received(frame(TEXT, b"x" * 5000))
    assert ends.driven.weighed > 50 * len(small) + 5000 + 5 * 64
