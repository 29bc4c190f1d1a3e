"""Bytes as a client sends them, made once: the mask is all zeros, so that a frame may be sent again and again."""

import json
import struct
from collections.abc import Iterator
from typing import Any

CONT, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    first, size = (0x80 if fin else 0) | opcode, len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return head + bytes(4) + payload


def text(**message: Any) -> bytes:
    return frame(TEXT, json.dumps(message, separators=(",", ":")).encode())


def handshake(path: str, **headers: str) -> bytes:
    lines = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()


def heard(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """The whole frames of a server that `buffer` begins with, opcode and payload; they are taken out of it."""
    while len(buffer) >= 2:
        size, at = buffer[1], 2
        if size > 125:
            at = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:at], "big") if len(buffer) >= at else len(buffer)
        if len(buffer) < at + size:
            return
        yield buffer[0] & 15, bytes(buffer[at : at + size])
        del buffer[: at + size]


def close_code(end: bytes) -> int | None:
    """The code of the close frame that is the last of what a server sent, where it is one."""
    at = end.rfind(b"\x88", -127)
    while at >= 0:
        if len(end) >= at + 2 and at + 2 + end[at + 1] == len(end):
            return int.from_bytes(end[at + 2 : at + 4], "big") if end[at + 1] else 1005
        at = end.rfind(b"\x88", max(0, len(end) - 127), at)
    return None
