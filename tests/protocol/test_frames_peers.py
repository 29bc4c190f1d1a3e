"""Against websockets, which shares only the C function that unmasks with ours: what is said, heard and refused."""

import logging
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame
from websockets.frames import Opcode as Theirs
from websockets.protocol import CLIENT, SERVER, Protocol

from hubbub.protocol.deflate import Inflate, deflate
from hubbub.protocol.frames import (
    Broken,
    Closing,
    Item,
    Opcode,
    Parser,
    Ping,
    Pong,
    close_frame,
    control_frame,
    text_frame,
)
from tests.protocol.masked import CONT, FIN, all_of, frame, parser, text, unmasking

__all__ = ["unmasking"]

quiet = logging.getLogger("websockets.quiet")
quiet.disabled = True

# Around the three forms of a length.
lengths = st.sampled_from([0, 1, 124, 125, 126, 127, 300, 65535, 65536])
texts = st.text(max_size=40) | lengths.map(lambda length: "x" * length)
data = st.binary(max_size=40) | lengths.map(bytes)
small = st.binary(max_size=125)
reasons = st.text(max_size=30)
codes = st.sampled_from([1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4000, 4999])
items = texts | data | small.map(Ping) | small.map(Pong)
cuts = st.integers(0, 2**32).map(random.Random)


def pieces(whole: bytes, cut: random.Random, *, empty: bool = True) -> list[bytes]:
    """`whole` cut at random, in pieces of any length."""
    at, found = 0, []
    while at < len(whole):
        size = cut.choice([0 if empty else 3, 1, 2, 5, 14, 100, 5000, len(whole)])
        found.append(whole[at : at + size])
        at += size
    return found


def parse(chunks: Iterable[bytes], by: Parser) -> list[Item]:
    return [item for chunk in chunks for item in all_of(by, chunk)]


def say(peer: Protocol, item: Item, cut: random.Random, *, empty: bool = True, between: float = 0) -> None:
    """`item` from a websockets client, in fragments; so often, `between` 0 and 1, with a ping after one."""
    match item:
        case Ping(payload):
            peer.send_ping(payload)
        case Pong(payload):
            peer.send_pong(payload)
        case Closing(code, reason):
            peer.send_close(None if code == 1005 else code, reason)
        case str() | bytes():
            send = peer.send_text if isinstance(item, str) else peer.send_binary
            whole = item.encode() if isinstance(item, str) else item
            *parts, last = pieces(whole, cut, empty=empty) or [b""]
            for part in parts:
                send(part, fin=False)
                if cut.random() < between:
                    peer.send_ping(b"between")
                send = peer.send_continuation
            send(last, fin=True)


def outcome(found: list[Item]) -> list[Item | int]:
    """A Broken by its code, for theirs has another reason."""
    return [item.close.code if isinstance(item, Broken) else item for item in found]


@given(st.lists(items, max_size=8), st.none() | st.builds(Closing, codes, reasons) | st.just(Closing(1005, "")), cuts)
def test_what_a_client_says_is_heard(said: list[Item], last: Closing | None, cut: random.Random) -> None:
    client = Protocol(CLIENT, logger=quiet)
    said = [*said, last] if last else said
    for item in said:
        say(client, item, cut)
    sent = b"".join(client.data_to_send())
    ours = parser(65536)
    assert parse(pieces(sent, cut), ours) == said
    assert not ours.assembling
    assert all_of(parser(65536), sent) == said


@given(st.lists(texts | data, min_size=1, max_size=3), cuts)
def test_pings_between_fragments_are_heard_before_the_message(said: list[Item], cut: random.Random) -> None:
    client = Protocol(CLIENT, logger=quiet)
    for item in said:
        say(client, item, cut, between=0.5)
    sent = b"".join(client.data_to_send())
    found = parse(pieces(sent, cut), parser(65536))
    assert [item for item in found if item != Ping(b"between")] == said
    assert found[-1] == said[-1]


@given(st.lists(items, max_size=8), st.sampled_from(range(9, 16)), cuts)
def test_what_a_client_says_compressed_is_heard(said: list[Item], bits: int, cut: random.Random) -> None:
    client = Protocol(CLIENT, logger=quiet)
    client.extensions = [PerMessageDeflate(True, True, 15, bits)]
    for item in said:
        say(client, item, cut, empty=False)  # which theirs cannot compress
    sent = b"".join(client.data_to_send())
    assert parse(pieces(sent, cut), parser(65536, inflate=Inflate(bits))) == said


@given(st.lists(texts | small.map(Ping) | small.map(Pong), max_size=8), codes, reasons, st.booleans(), cuts)
def test_what_we_say_is_heard_by_a_client(
    said: list[Item], code: int, reason: str, compressed: bool, cut: random.Random
) -> None:
    client = Protocol(CLIENT, logger=quiet, max_size=None)
    if compressed:
        client.extensions = [PerMessageDeflate(True, True, 12, 12)]
    sent, expected = b"", []
    for item in said:
        match item:
            case str():
                payload = item.encode()
                sent += text_frame(deflate(payload, 12), compressed=True) if compressed else text_frame(payload)
                expected.append((Theirs.TEXT, payload))
            case Ping(payload):
                sent += control_frame(Opcode.PING, payload)
                expected.append((Theirs.PING, payload))
            case Pong(payload):
                sent += control_frame(Opcode.PONG, payload)
                expected.append((Theirs.PONG, payload))
    for chunk in pieces(sent + close_frame(code, reason), cut):
        client.receive_data(chunk)
    heard = [event for event in client.events_received() if isinstance(event, Frame)]
    assert [(event.opcode, bytes(event.data)) for event in heard[:-1]] == expected
    assert client.close_rcvd is not None
    assert (client.close_rcvd.code, client.close_rcvd.reason) == (code, reason)
    assert client.parser_exc is None


headers = st.sampled_from([0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A]) | st.integers(0, 255)
payloads = (
    st.sampled_from([b"", b"a", b"hello", b"x" * 125, b"x" * 126, b"x" * 200])
    | st.integers(0, 6000).map(lambda code: code.to_bytes(2, "big"))
    | reasons.map(lambda reason: b"\x03\xe8" + reason.encode()).filter(lambda payload: len(payload) < 126)
    | st.just(b"\x03\xe8\xff")
)


def theirs(sent: bytes) -> list[Item | int]:
    """What a websockets server makes of it; its text is not checked there, so only ASCII is compared."""
    server = Protocol(SERVER, logger=quiet)
    server.receive_data(sent)
    found: list[Item | int] = []
    opcode, parts = Theirs.CONT, b""
    for event in server.events_received():
        assert isinstance(event, Frame)
        match event.opcode:
            case Theirs.PING:
                found.append(Ping(bytes(event.data)))
            case Theirs.PONG:
                found.append(Pong(bytes(event.data)))
            case Theirs.CLOSE:
                pass
            case _:
                if event.opcode is not Theirs.CONT:
                    opcode, parts = event.opcode, b""
                parts += event.data
                if event.fin:
                    found.append(parts.decode() if opcode is Theirs.TEXT else parts)
    # A close in the middle of a message is an error there, and an end here: RFC 6455 section 5.5 lets it come.
    if server.close_rcvd is not None:
        found.append(Closing(int(server.close_rcvd.code), server.close_rcvd.reason))
    elif server.close_sent is not None:
        found.append(int(server.close_sent.code))
    return found


@given(st.lists(st.tuples(headers, payloads, st.booleans() | st.just(True)), max_size=8))
def test_both_accept_and_refuse_the_same(sequence: list[tuple[int, bytes, bool]]) -> None:
    sent = b""
    for first, payload, masked in sequence:
        is_data = first & 0x0F < 8
        whole = frame(first, b"ascii" if is_data and not payload.isascii() else payload)
        sent += whole if masked else whole[:1] + bytes([whole[1] & 0x7F]) + whole[2:]
    assert outcome(all_of(parser(), sent)) == theirs(sent)


@given(st.lists(st.binary(max_size=50)))
def test_bytes_of_any_kind_never_raise(chunks: list[bytes]) -> None:
    never_raises(chunks, parser(100))
    never_raises(chunks, parser(100, inflate=Inflate(15)))


@given(st.lists(items, min_size=1, max_size=4), st.binary(min_size=1, max_size=3), cuts)
def test_frames_with_wrong_bytes_in_them_never_raise(said: list[Item], wrong: bytes, cut: random.Random) -> None:
    client = Protocol(CLIENT, logger=quiet)
    for item in said:
        say(client, item, cut)
    sent = b"".join(client.data_to_send())
    at = cut.randrange(min(200, len(sent)))
    spoilt = sent[:at] + wrong + sent[at + len(wrong) :]
    inflate = cut.choice([None, Inflate(15)])
    chunked = never_raises(pieces(spoilt, cut), parser(65536, inflate=inflate))
    assert chunked == all_of(parser(65536, inflate=inflate), spoilt)


def never_raises(chunks: list[bytes], by: Parser) -> list[Item]:
    """What was found, with at most one last item, after which nothing comes and nothing is kept."""
    found = parse(chunks, by)
    assert not any(isinstance(item, Closing | Broken) for item in found[:-1])
    for item in found:
        if isinstance(item, str | bytes):
            assert len(item) <= by.limit
    if found and isinstance(found[-1], Closing | Broken):
        assert by.feed(text("more")) == []
        assert not by.assembling
    return found


@pytest.mark.parametrize("parts", [1, 2, 1024])
def test_a_fragmented_message_of_many_sizes_is_one(parts: int) -> None:
    sent = b"".join(frame(CONT if at else 1, b"%d" % (at % 10)) for at in range(parts - 1))
    sent += frame(FIN | (CONT if parts > 1 else 1), b"end")
    assert all_of(parser(), sent) == ["".join(str(at % 10) for at in range(parts - 1)) + "end"]
