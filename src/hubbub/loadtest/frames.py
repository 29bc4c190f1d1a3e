"""WebSocket frames (RFC 6455 section 5) as a client that is all haste needs them.

Guarantees: a frame may come in any number of pieces; what a server must not send is refused by name. Compression is
never offered, so a reserved bit is a fault. Text is not checked for UTF-8: the tool compares bytes.

The masking key is zero. Section 10.3 wants it unpredictable to protect proxies from scripts in browsers; here it
would only slow the tool, and a server unmasks by it like by any other.
"""

import struct

from hubbub.errors import HubbubError

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_CONTINUATION = 0x0
_FIN = 0x80


class ProtocolFault(HubbubError):
    """The server sent what no server may."""


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A masked frame, whole."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", _FIN | opcode, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", _FIN | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", _FIN | opcode, 0x80 | 127, size)
    return head + b"\0\0\0\0" + payload


class Reading:
    """Where a stream of frames stands between two reads: what of a frame, and of a message, is there already.

    `feed` gives whole messages and control frames as (opcode, payload); afterwards `rest` and `partial` are what
    to go on with: bytes of an unfinished frame, and of an unfinished message (None between messages).
    """

    __slots__ = ("partial", "rest")

    def __init__(self, rest: bytes = b"", partial: bytes | None = None) -> None:
        self.rest = rest
        self.partial = partial

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Raises ProtocolFault."""
        if self.rest:
            data = self.rest + data
        whole = []
        at = 0
        while (found := _next(data, at)) is not None:
            first, start, end = found
            payload, at = data[start:end], end
            opcode = first & 0x0F
            if opcode >= CLOSE:
                whole.append((opcode, payload))
                continue
            if (opcode == _CONTINUATION) is (self.partial is None):
                raise ProtocolFault("a continuation without a beginning, or a message within another")
            message = payload if self.partial is None else self.partial + payload
            if first & _FIN:
                self.partial = None
                whole.append((TEXT, message))
            else:
                self.partial = message
        self.rest = data[at:]
        return whole


def _next(data: bytes, at: int) -> tuple[int, int, int] | None:
    """First byte, and where the payload starts and ends; None while the frame is not whole."""
    if len(data) < at + 2:
        return None
    first, size = data[at], data[at + 1]
    if first & 0x70:
        raise ProtocolFault("a frame with a reserved bit, though no extension was offered")
    if size & 0x80:
        raise ProtocolFault("a masked frame")
    if first & 0x0F == BINARY:
        raise ProtocolFault("a binary message, where only text is measured")
    if first & 0x0F not in {_CONTINUATION, TEXT, CLOSE, PING, PONG}:
        raise ProtocolFault(f"a frame of the unknown kind {first & 0x0F}")
    start = at + 2
    if size >= 126:
        start += 2 if size == 126 else 8
        if len(data) < start:
            return None
        size = int.from_bytes(data[at + 2 : start], "big")
    end = start + size
    return (first, start, end) if len(data) >= end else None


def close_of(payload: bytes) -> str:
    """Code and reason of a close frame, in words."""
    if len(payload) < 2:
        return "without a code"
    reason = payload[2:].decode("utf-8", "replace")
    return f"{int.from_bytes(payload[:2], 'big')} {reason}".rstrip()
