"""What the server sends, and masking."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.closes import CLOSES, PROTOCOL_ERROR, Close
from hubbub.protocol import masking
from hubbub.protocol.codec import Prepared
from hubbub.protocol.deflate import Inflate
from hubbub.protocol.frames import (
    Opcode,
    TextFrames,
    close_frame,
    control_frame,
    python_text_frames,
    text_frame,
)
from tests.protocol.implementations import c


@pytest.fixture(params=["C", "Python"])
def several(request: pytest.FixtureRequest) -> TextFrames:
    implementation: TextFrames = c().text_frames if request.param == "C" else python_text_frames
    return implementation


@pytest.mark.parametrize(
    ("length", "head"),
    [
        (0, b"\x81\x00"),
        (1, b"\x81\x01"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_text_frame_has_its_length_in_the_fewest_bytes(length: int, head: bytes, several: TextFrames) -> None:
    data = b"a" * length
    assert text_frame(data) == head + data
    assert text_frame(data, compressed=True) == b"\xc1" + head[1:] + data
    assert several([data]) == [head + data]


def test_several_texts_become_as_many_frames_and_are_let_go(several: TextFrames) -> None:
    datas = [b"x" * length for length in (1000, 0, 70_000)]
    counts = [sys.getrefcount(each) for each in (datas, *datas)]
    for kind in (list, tuple):
        assert several(kind(datas)) == [text_frame(data) for data in datas]
    assert several([]) == []
    for other in ("text", None, bytearray(b"x")):
        with pytest.raises(TypeError):
            several([datas[0], other])  # type: ignore[list-item]
    assert [sys.getrefcount(each) for each in (datas, *datas)] == counts


@pytest.mark.parametrize(("opcode", "first"), [(Opcode.CLOSE, 0x88), (Opcode.PING, 0x89), (Opcode.PONG, 0x8A)])
def test_a_control_frame_carries_125_bytes(opcode: Opcode, first: int) -> None:
    assert control_frame(opcode) == bytes([first, 0])
    assert control_frame(opcode, b"a" * 125) == bytes([first, 125]) + b"a" * 125
    with pytest.raises(ValueError, match="a control frame carries 125 bytes, not 126"):
        control_frame(opcode, b"a" * 126)


@pytest.mark.parametrize("opcode", [Opcode.CONT, Opcode.TEXT, Opcode.BINARY])
def test_data_is_no_control_frame(opcode: Opcode) -> None:
    with pytest.raises(ValueError, match="is no control frame"):
        control_frame(opcode)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("", b""),
        ("bye", b"bye"),
        ("x" * 124, b"x" * 123),
        ("é" * 62, "é".encode() * 61),  # no half character is left
        ("a\ud800", b"a?"),
    ],
)
def test_a_close_frame_has_a_code_and_as_much_of_the_reason_as_fits(reason: str, told: bytes) -> None:
    assert close_frame(1000, reason) == bytes([0x88, 2 + len(told)]) + b"\x03\xe8" + told


@pytest.mark.parametrize("close", [*CLOSES, PROTOCOL_ERROR], ids=lambda close: close.reason[:20])
def test_every_close_of_the_table_can_be_sent_whole(close: Close) -> None:
    assert close_frame(close.code, close.reason)[2:] == close.code.to_bytes(2, "big") + close.reason.encode()


def test_an_empty_close_is_answered_by_an_empty_one() -> None:
    assert close_frame(1005) == close_frame(1005, "unheard") == b"\x88\x00"


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65536])
def test_a_code_that_no_frame_may_carry_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match=f"cannot carry the code {code}"):
        close_frame(code)


def test_breaking_the_framing_is_outside_the_table_of_the_protocol() -> None:
    assert PROTOCOL_ERROR not in CLOSES
    assert PROTOCOL_ERROR.code not in {close.code for close in CLOSES}


@given(st.binary(max_size=600), st.binary(min_size=4, max_size=4))
def test_both_ways_of_masking_do_what_the_rfc_says(data: bytes, mask: bytes) -> None:
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
    assert masking.xor(data, mask) == masking.unmask(data, mask) == masked
    assert masking.xor(masked, mask) == data


def test_without_the_c_function_arithmetic_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    from websockets import speedups

    assert masking.unmask is speedups.apply_mask
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    monkeypatch.delattr("websockets.speedups")
    spec = importlib.util.spec_from_file_location("masking_without", Path(masking.__file__))
    assert spec is not None
    assert spec.loader is not None
    without = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(without)
    assert without.unmask is without.xor


def test_a_prepared_message_is_framed_once() -> None:
    message = Prepared(b'{"type":"a"}')
    assert message.frame == b"\x81\x0c" + message.data
    assert message.frame is message.frame


def test_a_prepared_message_is_deflated_once_for_each_window() -> None:
    message = Prepared(b'{"type":"a","content":"' + b"hello " * 100 + b'"}')
    frames = {bits: message.deflated(bits) for bits in (9, 12, 15)}
    for bits, frame in frames.items():
        assert message.deflated(bits) is frame
        assert frame[0] == 0xC1
        assert len(frame) < 126
        assert Inflate(bits)(frame[2:], 1000) == message.data
    assert message.frame[0] == 0x81


def test_a_small_message_stays_plain() -> None:
    small, larger = Prepared(b"a" * 127), Prepared(b"a" * 128)
    assert small.deflated(12) is small.frame
    assert larger.deflated(12) != larger.frame


def test_a_message_that_deflating_makes_no_smaller_stays_plain() -> None:
    message = Prepared(bytes((at * at * 7919 >> 3) % 256 for at in range(300)))
    assert message.deflated(12) is message.frame
    assert message.deflated(12) is message.frame
