"""RFC 7692 without context takeover: what we write others can read, and what is read is whole and bounded."""

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.protocol.deflate import Corrupt, Inflate, TooBig, deflate

BITS = range(9, 16)
LIMIT = 65536


def flushed(data: bytes, mode: int = zlib.Z_SYNC_FLUSH, **settings: int) -> bytes:
    compressor = zlib.compressobj(wbits=-15, **settings)
    return compressor.compress(data) + compressor.flush(mode)


@given(st.binary(max_size=5000), st.sampled_from(BITS))
def test_what_is_deflated_is_inflated_to_the_same(data: bytes, bits: int) -> None:
    deflated = deflate(data, bits)
    assert Inflate(bits)(deflated, LIMIT) == data
    assert zlib.decompressobj(wbits=-bits).decompress(deflated + b"\x00\x00\xff\xff") == data


@given(st.binary(max_size=300), st.sampled_from(BITS), st.integers(0, 9), st.integers(1, 9))
def test_whatever_the_settings_of_the_peer_are(data: bytes, bits: int, level: int, memory: int) -> None:
    compressor = zlib.compressobj(level, wbits=-bits, memLevel=memory)
    deflated = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert Inflate(bits)(deflated[:-4], LIMIT) == data


def test_each_message_stands_alone() -> None:
    inflate = Inflate(12)
    assert deflate(b"hello " * 50, 12) == deflate(b"hello " * 50, 12)
    assert [inflate(deflate(b"hello " * 50, 12), LIMIT) for _ in range(3)] == [b"hello " * 50] * 3


def test_an_empty_message_is_one_byte() -> None:
    assert deflate(b"", 15) == b"\x00"  # RFC 7692 section 7.2.3.6
    assert Inflate(15)(b"\x00", 0) == b""


def test_no_byte_at_all_is_an_empty_message_too() -> None:
    assert Inflate(15)(b"", 0) == b""


# "Hello", as RFC 7692 section 7.2.3 has it.
@pytest.mark.parametrize(
    "deflated",
    [
        pytest.param("f248cdc9c90700", id="one block, 7.2.3.1"),
        pytest.param("000500faff48656c6c6f00", id="no compression, 7.2.3.3"),
        pytest.param("f348cdc9c9070000", id="a last block of its own, 7.2.3.4"),
        pytest.param("f24805000000ffffcac9c90700", id="two blocks, 7.2.3.5"),
    ],
)
def test_the_examples_of_the_rfc_are_read(deflated: str) -> None:
    assert Inflate(15)(bytes.fromhex(deflated), 5) == b"Hello"


def test_a_last_block_of_its_own_needs_no_byte_after_it() -> None:
    assert Inflate(15)(flushed(b"Hello", zlib.Z_FINISH), 5) == b"Hello"


def test_more_after_the_last_block_is_refused() -> None:
    with pytest.raises(Corrupt, match="after the last block"):
        Inflate(15)(flushed(b"Hello", zlib.Z_FINISH) + flushed(b"again")[:-4], LIMIT)


@pytest.mark.parametrize("data", [b"\xff", b"\x07\x07", b"plain text", b"\x01\x05\x00\x00\x00hello"])
def test_what_is_not_deflate_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        Inflate(15)(data, LIMIT)


def test_a_message_cut_short_is_refused() -> None:
    whole = flushed(bytes(range(256)) * 4)[:-4]
    assert Inflate(15)(whole, LIMIT)
    for end in range(1, len(whole) - 2):
        with pytest.raises(Corrupt):
            Inflate(15)(whole[:end], LIMIT)


@pytest.mark.parametrize("limit", [0, 1, 1000, 65536])
def test_a_message_may_have_its_limit_and_no_byte_more(limit: int) -> None:
    assert Inflate(15)(deflate(b"a" * limit, 15), limit) == b"a" * limit
    with pytest.raises(TooBig):
        Inflate(15)(deflate(b"a" * (limit + 1), 15), limit)


@given(st.binary(max_size=300))
def test_anything_is_a_message_or_refused(data: bytes) -> None:
    try:
        assert len(Inflate(15)(data, 1000)) <= 1000
    except (Corrupt, TooBig):
        pass


def test_a_bomb_is_not_inflated() -> None:
    compressor = zlib.compressobj(9, wbits=-15)
    zeros = bytes(1 << 20)
    bomb = b"".join(compressor.compress(zeros) for _ in range(256)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 300_000
    tracemalloc.start()
    try:
        with pytest.raises(TooBig):
            Inflate(15)(bomb[:-4], LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(bomb)  # what came, with its tail, and what is not inflated yet


@pytest.mark.parametrize("bits", [8, 16])
def test_a_window_that_zlib_cannot_write_is_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="Invalid initialization option"):
        deflate(b"a", bits)
