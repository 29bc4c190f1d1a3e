"""A client's frames, written byte by byte from RFC 6455 section 5.2, and a parser that reads in every way."""

from collections.abc import Iterable, Iterator

import pytest

from hubbub.protocol import fast_path, frames
from hubbub.protocol.frames import Item, Parser
from hubbub.protocol.masking import xor
from tests.protocol.implementations import c

FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"


@pytest.fixture(scope="module", autouse=True, params=["C", "compiled", "arithmetic"])
def unmasking(request: pytest.FixtureRequest) -> Iterator[str]:
    """The same tests with our C, with the C function of websockets, and without either."""
    function = xor if request.param == "arithmetic" else pytest.importorskip("websockets.speedups").apply_mask
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "texts", c().texts if request.param == "C" else fast_path.python_texts)
        patch.setattr(frames, "unmask", function)
        patch.setattr(fast_path, "unmask", function)
        yield request.param


def header(first: int, size: int, *, form: int | None = None, masked: bool = True) -> bytes:
    """The bytes before the mask. `form` is 7, 16 or 64 bits for the length, the least that hold it by default."""
    if form is None:
        form = 7 if size <= 125 else 16 if size <= 0xFFFF else 64
    bit = 0x80 if masked else 0
    if form == 7:
        return bytes([first, bit | size])
    if form == 16:
        return bytes([first, bit | 126]) + size.to_bytes(2, "big")
    return bytes([first, bit | 127]) + size.to_bytes(8, "big")


def frame(first: int, payload: bytes = b"", *, form: int | None = None, mask: bytes = MASK) -> bytes:
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return header(first, len(payload), form=form) + mask + masked


def text(payload: str) -> bytes:
    return frame(FIN | TEXT, payload.encode())


def fragments(parts: Iterable[bytes], first: int = TEXT) -> bytes:
    """One message; the parts of the second and later frames are continuations."""
    parts = list(parts)
    whole = b""
    for at, part in enumerate(parts):
        opcode = CONT if at else first
        whole += frame(opcode | FIN if at == len(parts) - 1 else opcode, part)
    return whole


def parser(limit: int = 65536, **options: object) -> Parser:
    return Parser(limit=limit, **options)  # type: ignore[arg-type]


def parse(data: bytes, by: Parser | None = None, *, size: int | None = None) -> list[Item]:
    """What a parser finds in `data` that arrives in chunks of `size` bytes, at once by default."""
    by = by or parser()
    items: list[Item] = []
    for at in range(0, len(data), size or max(1, len(data))):
        items += all_of(by, data[at : at + (size or len(data))])
    return items


def all_of(by: Parser, data: bytes) -> list[Item]:
    """Portion by portion, to the end."""
    items = by.feed(data)
    while by.more:
        items += by.feed(b"")
    return items
