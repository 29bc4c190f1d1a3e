"""A client that breaks the framing or a bound: it is told so once, and nothing it sends afterwards counts."""

import zlib

import pytest

from hubbub.protocol.deflate import Inflate
from hubbub.protocol.frames import Broken, Item, Ping
from tests.protocol.masked import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    MASK,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    fragments,
    frame,
    header,
    parse,
    parser,
    text,
    unmasking,
)

__all__ = ["unmasking"]


def close_code(items: list[Item]) -> int:
    """The code of the last item, which is the only Broken."""
    *before, last = items
    assert isinstance(last, Broken)
    assert not any(isinstance(item, Broken) for item in before)
    return last.close.code


WRONG = {
    "text without mask": header(FIN | TEXT, 1, masked=False) + b"a",
    "empty text without mask": header(FIN | TEXT, 0, masked=False) + b"1234",
    "ping without mask": header(FIN | PING, 0, masked=False),
    "long text without mask": header(FIN | TEXT, 200, masked=False) + b"a" * 200,
    **{f"RSV {bit:#x}": frame(FIN | TEXT | bit, b"a") for bit in (RSV1, RSV2, RSV3)},
    **{f"RSV {bit:#x} on ping": frame(FIN | PING | bit) for bit in (RSV1, RSV2, RSV3)},
    **{f"RSV {bit:#x} on a continuation": frame(TEXT) + frame(FIN | CONT | bit) for bit in (RSV1, RSV2, RSV3)},
    **{f"opcode {opcode}": frame(FIN | opcode, b"a") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a continuation of nothing": frame(FIN | CONT, b"a"),
    "an unfinished continuation of nothing": frame(CONT, b"a"),
    "a continuation after the end": fragments([b"a", b"b"]) + frame(FIN | CONT),
    "text inside a message": frame(TEXT, b"a") + frame(FIN | TEXT, b"b"),
    "binary inside a message": frame(TEXT, b"a") + frame(BINARY, b"b"),
    "ping of 126 bytes": frame(FIN | PING, b"a" * 126),
    "ping in the long form": frame(FIN | PING, b"a", form=16),
    "close of 126 bytes": frame(FIN | CLOSE, b"\x03\xe8" + b"a" * 124),
    **{f"fragmented control {opcode}": frame(opcode, b"") for opcode in (CLOSE, PING, PONG)},
    **{f"{size} bytes in 16 bits": frame(FIN | TEXT, b"a" * size, form=16) for size in (0, 1, 125)},
    **{f"{size} bytes in 64 bits": frame(FIN | TEXT, b"a" * size, form=64) for size in (0, 125, 126, 65535)},
    "the topmost bit of a length": header(FIN | BINARY, 1 << 63) + MASK,
    "close of one byte": frame(FIN | CLOSE, b"\x03"),
    **{
        f"close with {code}": frame(FIN | CLOSE, code.to_bytes(2, "big"))
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize("size", [None, 1, 3])
@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_a_wrong_frame_breaks_the_connection(data: bytes, size: int | None) -> None:
    client = parser()
    assert close_code(parse(data, client, size=size)) == 1002
    assert client.feed(text("more")) == []
    assert not client.assembling


@pytest.mark.parametrize("size", [None, 5])
@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_what_came_before_a_wrong_frame_counts_and_what_comes_after_does_not(data: bytes, size: int | None) -> None:
    items = parse(text("before") + data + text("after"), size=size)
    assert items[0] == "before"
    assert close_code(items) == 1002
    assert "after" not in items


@pytest.mark.parametrize(
    "header",
    [
        b"\x81\x01",  # no mask
        b"\x83\x80",  # no such opcode
        b"\x80\x80",  # nothing to continue
        b"\x89\xfe",  # too long for a ping
        b"\x09\x80",  # a ping in pieces
        b"\xc1\x80",  # compressed, which nobody agreed on
    ],
)
def test_two_bytes_are_enough_to_refuse_a_header(header: bytes) -> None:
    assert close_code(parser().feed(header)) == 1002


NOT_UTF8 = [b"\xff", b"a\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "é".encode()[:1], "😀".encode()[:3]]


@pytest.mark.parametrize("payload", NOT_UTF8)
def test_text_that_is_not_utf_8_breaks_the_connection(payload: bytes) -> None:
    for data in (frame(FIN | TEXT, payload), fragments([b"a", payload]), frame(FIN | TEXT, b"a" * 200 + payload)):
        for size in (None, 1):
            client = parser()
            items = parse(text("a") + data + text("b"), client, size=size)
            assert (items[0], len(items), close_code(items)) == ("a", 2, 1007)
            assert client.feed(text("c")) == []
    assert parse(frame(FIN | BINARY, payload)) == [payload]


@pytest.mark.parametrize("payload", NOT_UTF8)
def test_a_reason_that_is_not_utf_8_breaks_the_connection(payload: bytes) -> None:
    assert close_code(parse(frame(FIN | CLOSE, b"\x03\xe8" + payload))) == 1007


@pytest.mark.parametrize("limit", [0, 1, 100, 125, 126, 200, 65535, 65536, 100_000])
def test_a_message_may_have_its_limit_and_no_byte_more(limit: int) -> None:
    whole = "a" * limit
    assert parse(text(whole), parser(limit)) == [whole]
    assert close_code(parse(text(whole + "a"), parser(limit))) == 1009
    assert parse(fragments([b"a" * (limit // 2), b"a" * (limit - limit // 2)]), parser(limit)) == [whole]
    assert close_code(parse(fragments([b"a" * limit, b"a"]), parser(limit))) == 1009


def test_the_header_alone_decides_what_is_too_big() -> None:
    assert close_code(parser(1000).feed(header(FIN | TEXT, 1001) + MASK)) == 1009
    assert close_code(parser().feed(header(FIN | BINARY, (1 << 63) - 1) + MASK)) == 1009
    client = parser(1000)
    assert client.feed(frame(TEXT, b"a" * 600)) == []
    assert close_code(client.feed(header(CONT, 401) + MASK)) == 1009


def test_a_ping_of_125_bytes_passes_under_a_smaller_limit() -> None:
    assert parse(frame(FIN | PING, b"a" * 125), parser(10)) == [Ping(b"a" * 125)]


@pytest.mark.parametrize("bound", [1, 2, 1024])
def test_a_message_may_have_so_many_fragments_and_no_empty_one_more(bound: int) -> None:
    parts = [b"a"] + [b""] * (bound - 1)
    assert parse(fragments(parts), parser(fragments=bound)) == ["a"]
    one_more = fragments([*parts, b""])
    assert close_code(parse(one_more, parser(fragments=bound))) == 1008
    # And again for the next message: the count is each message's own.
    assert parse(fragments(parts) * 3, parser(fragments=bound)) == ["a"] * 3


def test_fragments_are_bounded_at_1024_by_default() -> None:
    assert parse(fragments([b""] * 1024)) == [""]
    items = parse(fragments([b""] * 1025))
    assert close_code(items) == 1008
    assert isinstance(items[0], Broken)
    assert items[0].close.reason == "too many fragments of one message"


def deflated(payload: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_the_limit_is_that_of_the_inflated_message() -> None:
    inflate = Inflate(15)
    whole = frame(FIN | RSV1 | TEXT, deflated(b"a" * 1000))
    assert parse(whole, parser(1000, inflate=inflate)) == ["a" * 1000]
    assert close_code(parse(whole, parser(999, inflate=inflate))) == 1009
    compressed = deflated(b"a" * 1000)
    assert (
        close_code(parse(fragments([compressed[:3], compressed[3:]], RSV1 | TEXT), parser(9, inflate=inflate))) == 1009
    )


def test_what_cannot_be_compressed_may_be_larger_on_the_way_than_its_limit() -> None:
    random = bytes((at * at * 7919 >> 3) % 256 for at in range(1000))
    stored = zlib.compressobj(0, wbits=-15)
    data = (stored.compress(random) + stored.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(data) > 1000
    for sent in (frame(FIN | RSV1 | BINARY, data), fragments([data[:500], data[500:]], RSV1 | BINARY)):
        assert parse(sent, parser(1000, inflate=Inflate(15))) == [random]


@pytest.mark.parametrize("limit", [100, 65536])
def test_a_compressed_message_too_is_judged_by_its_header(limit: int) -> None:
    announced = header(FIN | RSV1 | TEXT, 2 * limit) + MASK
    assert close_code(parser(limit, inflate=Inflate(15)).feed(announced)) == 1009
    client = parser(limit, inflate=Inflate(15))
    assert client.feed(frame(RSV1 | TEXT, b"a" * limit)) == []
    assert close_code(client.feed(header(CONT, limit) + MASK)) == 1009


def test_what_is_not_deflated_breaks_the_connection() -> None:
    assert close_code(parse(frame(FIN | RSV1 | TEXT, b"\xff\xff"), parser(inflate=Inflate(15)))) == 1002
    assert close_code(parse(frame(FIN | RSV1 | TEXT, deflated(b"\xff")), parser(inflate=Inflate(15)))) == 1007


@pytest.mark.parametrize(
    "data",
    [
        frame(FIN | RSV1 | PING),
        frame(FIN | RSV1 | CLOSE),
        frame(RSV1 | TEXT, deflated(b"a")) + frame(FIN | RSV1 | CONT, b"\x00"),
        frame(FIN | RSV1 | RSV2 | TEXT, deflated(b"a")),
    ],
)
def test_only_the_first_frame_of_a_message_says_that_it_is_compressed(data: bytes) -> None:
    assert close_code(parse(data, parser(inflate=Inflate(15)))) == 1002
