"""What a client sends, frame by frame: the messages in it, and how much of it is ever kept."""

import sys

import pytest

from hubbub.protocol.frames import Broken, Closing, Item, Parser, Ping, Pong
from tests.protocol.masked import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    MASK,
    PING,
    PONG,
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

CHUNKS = [None, 1, 2, 3, 7, 100]


@pytest.mark.parametrize("size", CHUNKS)
@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 125, 126, 127, 255, 256, 65535, 65536])
def test_a_message_of_any_length_arrives_whole(length: int, size: int | None) -> None:
    payload = ("hub" * length)[:length]
    assert parse(frame(FIN | TEXT, payload.encode()), size=size) == [payload]
    assert parse(frame(FIN | BINARY, payload.encode()), size=size) == [payload.encode()]


@pytest.mark.parametrize("size", CHUNKS)
def test_what_comes_together_is_told_apart_in_order(size: int | None) -> None:
    data = (
        text("one")
        + text("é" * 100)
        + frame(FIN | PING, b"a")
        + frame(FIN | BINARY, b"\xff\x00")
        + text("")
        + fragments([b"t", b"wo"])
        + frame(FIN | PONG, b"b" * 125)
        + text("three" * 20000)
        + frame(FIN | CLOSE, b"\x03\xe8bye")
    )
    expected: list[Item] = ["one", "é" * 100, Ping(b"a"), b"\xff\x00", "", "two", Pong(b"b" * 125), "three" * 20000]
    assert parse(data, parser(100_000), size=size) == [*expected, Closing(1000, "bye")]


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x00\x00\x00", b"\x00\x00\x00\x01"])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 11, 1000])
def test_any_mask_is_taken_off(mask: bytes, length: int) -> None:
    payload = bytes(at % 251 for at in range(length))
    assert parse(frame(FIN | BINARY, payload, mask=mask)) == [payload]


@pytest.mark.parametrize("size", CHUNKS)
def test_control_frames_come_between_the_fragments_of_a_message(size: int | None) -> None:
    data = frame(TEXT, b"a") + frame(FIN | PING, b"x") + frame(CONT, b"") + frame(FIN | PONG) + frame(FIN | CONT, b"b")
    assert parse(data, size=size) == [Ping(b"x"), Pong(b""), "ab"]


def test_a_character_may_lie_across_fragments() -> None:
    whole = "a😀é"
    assert parse(fragments([bytes([byte]) for byte in whole.encode()])) == [whole]


def test_fragments_of_binary_are_one_binary_message() -> None:
    assert parse(fragments([b"\xff", b"", b"\xfe"], BINARY)) == [b"\xff\xfe"]
    assert type(parse(fragments([b"\xff", b"\xfe"], BINARY))[0]) is bytes


@pytest.mark.parametrize("size", CHUNKS)
@pytest.mark.parametrize(
    ("payload", "closing"),
    [
        (b"", Closing(1005, "")),
        (b"\x03\xe8", Closing(1000, "")),
        (b"\x03\xe9" + "é".encode() * 61, Closing(1001, "é" * 61)),
        *((code.to_bytes(2, "big"), Closing(code, "")) for code in (1003, 1007, 1011, 1014, 3000, 4999)),
    ],
)
def test_the_peers_close_is_the_last_item(payload: bytes, closing: Closing, size: int | None) -> None:
    client = parser()
    assert parse(text("a") + frame(FIN | CLOSE, payload) + text("b"), client, size=size) == ["a", closing]
    assert client.feed(text("c")) == []


def test_a_close_in_the_middle_of_a_message_ends_it() -> None:
    client = parser()
    assert parse(frame(TEXT, b"a") + frame(FIN | CLOSE), client) == [Closing(1005, "")]
    assert not client.assembling


def test_nothing_is_nothing() -> None:
    client = parser()
    assert client.feed(b"") == []
    client.feed(text("ab")[:7])
    assert client.feed(b"") == []
    assert client.feed(text("ab")[7:]) == ["ab"]


def test_it_tells_whether_something_has_begun_and_is_not_whole() -> None:
    client = parser()
    assert not client.assembling
    whole = text("hello")
    for at in range(len(whole) - 1):
        assert client.feed(whole[at : at + 1]) == []
        assert client.assembling
    assert client.feed(whole[-1:]) == ["hello"]
    assert not client.assembling
    client.feed(frame(TEXT, b"a"))
    assert client.assembling
    assert client.feed(frame(FIN | PING)) == [Ping(b"")]
    assert client.assembling
    assert client.feed(frame(FIN | CONT) + text("b")) == ["a", "b"]
    assert not client.assembling
    client.feed(text("c")[:1])
    assert [type(item) for item in client.feed(b"\x00")] == [Broken]
    assert not client.assembling


def buffer(client: Parser) -> bytearray | None:
    """What was begun and is gathered."""
    return client._buffer  # noqa: SLF001 - what is kept is seen there alone


def body(client: Parser) -> bytearray | None:
    """The fragments so far."""
    return client._body  # noqa: SLF001 - as above


def test_an_idle_parser_is_small() -> None:
    client = parser()
    assert parse(text("a" * 60000) + fragments([b"b"] * 500) + frame(FIN | PING), client, size=99)[-1] == Ping(b"")
    assert (buffer(client), body(client)) == (None, None)
    assert not hasattr(client, "__dict__")
    assert sys.getsizeof(client) <= 144


def test_what_is_announced_costs_nothing_until_it_comes() -> None:
    client = parser()
    client.feed(header(FIN | TEXT, 65536) + MASK + b"a")
    assert buffer(client) is not None
    assert sys.getsizeof(buffer(client)) < 128


def chunks_go_to_one_buffer(client: Parser, data: bytes, chunks: int) -> None:
    """Joined anew for each chunk, the bytes of one message would be copied thousands of times over."""
    first = buffer(client)
    assert first is not None
    for at in range(chunks):
        client.feed(data[at : at + 1])
        assert buffer(client) is first


def test_a_message_in_single_bytes_is_gathered_in_one_buffer() -> None:
    client = parser()
    whole = frame(FIN | TEXT, b"a" * 5000)
    begun = len(whole) - 5000 + 1
    client.feed(whole[:begun])
    chunks_go_to_one_buffer(client, whole[begun:], 4998)
    assert client.feed(whole[-1:]) == ["a" * 5000]


def test_fragments_are_gathered_in_one_buffer() -> None:
    client = parser(fragments=2000)
    client.feed(frame(TEXT, b"a"))
    gathered = body(client)
    for _ in range(1500):
        client.feed(frame(CONT, b"a"))
        assert body(client) is gathered
    assert client.feed(frame(FIN | CONT, b"b")) == ["a" * 1501 + "b"]
