import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from hubbub.loadtest.frames import CLOSE, PING, TEXT, ProtocolFault, Reading, close_of, frame

SIZES = [0, 1, 125, 126, 65_535, 65_536, 100_000]


def served(payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    """As a server sends it, by another implementation."""
    return Frame(opcode, payload, fin).serialize(mask=False)


@pytest.mark.parametrize("size", SIZES)
def test_another_implementation_reads_our_frames(size: int) -> None:
    payload = b"x" * size
    data = frame(payload)
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=True)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    assert done.value.value == Frame(Opcode.TEXT, payload)


@pytest.mark.parametrize("size", SIZES)
def test_we_read_its_frames(size: int) -> None:
    reading = Reading()
    assert reading.feed(served(b"x" * size)) == [(TEXT, b"x" * size)]
    assert (reading.rest, reading.partial) == (b"", None)


DATA = b"".join(
    [
        served(b"one"),
        served(b"two, in ", fin=False),
        served(b"tick", Opcode.PING),
        served(b"three", Opcode.CONT, fin=False),
        served(b"", Opcode.CONT, fin=False),
        served(b" pieces", Opcode.CONT),
        served(b"l" * 200),
        served(b"\x03\xe8bye", Opcode.CLOSE),
    ]
)
MEANT = [(TEXT, b"one"), (PING, b"tick"), (TEXT, b"two, in three pieces"), (TEXT, b"l" * 200), (CLOSE, b"\x03\xe8bye")]


def test_frames_may_be_cut_anywhere() -> None:
    for cut in range(len(DATA) + 1):
        reading = Reading()
        first = reading.feed(DATA[:cut])
        # As the stream does it: what is left is all that the next read knows.
        again = Reading(reading.rest, reading.partial)
        assert first + again.feed(DATA[cut:]) == MEANT
        assert (again.rest, again.partial) == (b"", None)


def test_one_byte_at_a_time() -> None:
    reading = Reading()
    assert [heard for byte in DATA for heard in reading.feed(bytes([byte]))] == MEANT


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\xc1\x01x", "a reserved bit"),
        (b"\x81\x81\0\0\0\0x", "a masked frame"),
        (b"\x82\x01x", "a binary message"),
        (b"\x83\x01x", "the unknown kind 3"),
        (b"\x80\x01x", "a continuation without a beginning"),
        (b"\x01\x01x\x81\x01x", "a message within another"),
    ],
)
def test_what_no_server_may_send_is_named(data: bytes, fault: str) -> None:
    with pytest.raises(ProtocolFault, match=fault):
        Reading().feed(data)


def test_a_close_in_words() -> None:
    assert close_of(b"\x03\xf5too slow") == "1013 too slow"
    assert close_of(b"\x03\xe8") == "1000"
    assert close_of(b"") == "without a code"
