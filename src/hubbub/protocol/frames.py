"""RFC 6455 frames: bytes in, whole messages out, and a server's frames to bytes. No input or output.

A peer that breaks the framing or a bound gets one `Broken`, and nothing it sends afterwards is looked at. What it
announces is judged by the header, before any of it is kept; what is kept is bounded by the limit of one message.

Whole masked text frames, nearly all there is, are read in `fast_path.py`, in one call for all that follow one another:
a chain of calls or a generator, as websockets has, costs several times as much for each frame.

What came in one piece may be forty thousand frames, or inflate to a thousand times its size. So it is read in portions;
the parser keeps the rest, as it came, until it is asked again.

It is longer than others: what a frame may be depends on the message that it is a part of, and is read with it; and
frames in and frames out are one section of the RFC.
"""

from codecs import utf_8_decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final, TypeAlias

from hubbub.closes import FLOODING, NOT_UTF8, PROTOCOL_ERROR, TOO_BIG, Close, short
from hubbub.protocol.deflate import Corrupt, Inflate, TooBig
from hubbub.protocol.fast_path import ACCELERATOR, texts
from hubbub.protocol.masking import unmask


class Opcode(IntEnum):
    CONT = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


PORTION = 64
"""Frames that are read in one go: 5 ms of work, where each is a message that somebody handles."""
INFLATED = 256 * 1024
"""Bytes that are inflated in one go."""
FRAME = 64
"""What reading a frame costs beside its bytes, in bytes."""
MAX_CONTROL_BYTES = 125
"""RFC 6455 section 5.5."""
NO_CODE = 1005
"""RFC 6455 section 7.4.1: what a close frame without a code means. Never in a frame."""

# Plain integers: a member of an enum is slow to reach and to reckon with.
_FIN, _RSV1, _MASKED = 0x80, 0x40, 0x80
_IS_TEXT = int(Opcode.TEXT)
_BEGINS_TEXT = frozenset((Opcode.TEXT, _FIN | Opcode.TEXT))
_WHOLE_TEXT = _FIN | Opcode.TEXT
_CLOSE, _PING, _PONG = _FIN | Opcode.CLOSE, _FIN | Opcode.PING, _FIN | Opcode.PONG
_CONTROLS = frozenset((_CLOSE, _PING, _PONG))
_STARTS = frozenset(fin | opcode for fin in (0, _FIN) for opcode in (Opcode.TEXT, Opcode.BINARY))
_COMPRESSED_STARTS = frozenset(first | _RSV1 for first in _STARTS)
_CONTINUES = frozenset((Opcode.CONT, _FIN | Opcode.CONT))

# RFC 6455 section 5.2: a length of 126 or 127 says that the length follows, in two or eight bytes.
_TWO_BYTES, _EIGHT_BYTES = 126, 127
_SHORT, _MEDIUM, _LONG = Struct("!BB"), Struct("!BBH"), Struct("!BBQ")
_CODE = Struct("!H")

_TOO_MANY_FRAGMENTS = FLOODING.because("too many fragments of one message")


def text_frame(data: bytes, *, compressed: bool = False) -> bytes:
    """A whole text message, unmasked; `compressed` says that `data` is deflated."""
    first = _WHOLE_TEXT | _RSV1 if compressed else _WHOLE_TEXT
    size = len(data)
    if size < _TWO_BYTES:
        return _SHORT.pack(first, size) + data
    if size < 1 << 16:
        return _MEDIUM.pack(first, _TWO_BYTES, size) + data
    return _LONG.pack(first, _EIGHT_BYTES, size) + data


def python_text_frames(datas: Sequence[bytes]) -> list[bytes]:
    """Each as a text frame of its own. Raises TypeError for what is not bytes."""
    if not all(isinstance(data, bytes) for data in datas):
        raise TypeError("data must be bytes")
    return [text_frame(data) for data in datas]


TextFrames: TypeAlias = Callable[[Sequence[bytes]], list[bytes]]
text_frames: Final[TextFrames] = python_text_frames if ACCELERATOR is None else ACCELERATOR.text_frames


def control_frame(opcode: Opcode, payload: bytes = b"") -> bytes:
    """A close, ping or pong, unmasked. Raises ValueError for another opcode and for more than 125 bytes."""
    if opcode < Opcode.CLOSE:
        raise ValueError(f"{opcode!r} is no control frame")
    if len(payload) > MAX_CONTROL_BYTES:
        raise ValueError(f"a control frame carries {MAX_CONTROL_BYTES} bytes, not {len(payload)}")
    return _SHORT.pack(_FIN | opcode, len(payload)) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close, its reason cut to 123 bytes at a character. 1005 gives an empty frame, the answer to an empty one.

    Raises ValueError for a code that no frame may carry.
    """
    if code == NO_CODE:
        return control_frame(Opcode.CLOSE)
    if not _may_be_sent(code):
        raise ValueError(f"a close frame cannot carry the code {code}")
    return control_frame(Opcode.CLOSE, _CODE.pack(code) + short(reason).encode())


def _may_be_sent(code: int) -> bool:
    """RFC 6455 section 7.4 and IANA's registry: 1004 to 1006 and 1015 are never sent, 1016 to 2999 mean nothing yet."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


@dataclass(slots=True)
class Ping:
    payload: bytes


@dataclass(slots=True)
class Pong:
    payload: bytes


@dataclass(slots=True)
class Closing:
    """The peer's close frame, the last item there is. `code` is 1005 where the frame was empty."""

    code: int
    reason: str


@dataclass(slots=True)
class Broken:
    """The peer broke the protocol or a bound: close 1002, 1007, 1008 or 1009. The last item there is.

    `ended`: by a close frame, so that nothing more will come of it.
    """

    close: Close
    ended: bool = False


Item: TypeAlias = str | bytes | Ping | Pong | Closing | Broken


class _Refused(Exception):
    """What the peer sent ends the connection."""

    def __init__(self, close: Close, *, ended: bool = False) -> None:
        super().__init__(close.reason)
        self.broken = Broken(close, ended)


#: Stands for the buffer of a parser that has given its last item.
_OVER = bytearray()
_NO_REST = (b"", 0)


class Parser:
    """One client's frames. `limit` is in bytes of a message, inflated; `inflate` is there where RFC 7692 was agreed."""

    __slots__ = (
        "_body",
        "_buffer",
        "_count",
        "_first",
        "_need",
        "_payload_at",
        "_rest",
        "_valid",
        "assembling",
        "cost",
        "fragments",
        "inflate",
        "limit",
        "more",
    )

    def __init__(self, *, limit: int, inflate: Inflate | None = None, fragments: int = 1024) -> None:
        self.limit: int = limit
        self.inflate: Inflate | None = inflate
        self.fragments: int = fragments
        # A frame that is not whole: its bytes so far, and how many of them can be judged next.
        self._buffer: bytearray | None = None
        self._need = 0
        # Where its payload begins, if it is text and known to be; else 0.
        self._payload_at = 0
        # A message that is not whole: its first byte, payload and number of fragments so far.
        self._first = 0
        self._body: bytearray | None = None
        self._count = 0
        # Of a text that is not whole, the bytes from its start on that are characters.
        self._valid = 0
        # What was not looked at yet, and where that begins.
        self._rest = _NO_REST
        self.more: bool = False
        """There is something that was not looked at yet."""
        self.assembling: bool = False
        """A frame or a message has begun and is not whole."""
        self.cost: int = 0
        """What was read has cost so much more than its bytes: what was inflated, and frames that are no whole texts."""

    def feed(self, data: bytes, most: int = PORTION) -> list[Item]:
        """What ends in `data`, in order: nothing ever after Closing or Broken.

        About `most` frames of it. While there is `more`, the rest is read by another call, with what has come since.
        """
        items: list[Item] = []
        at, frames, cost = 0, 0, self.cost
        if self.more:
            rest, at = self._rest
            self.more, self._rest = False, _NO_REST
            if data:
                at, rest = 0, rest[at:] + data
            data = rest
        try:
            if self._buffer is not None:
                at = self._resume(data, at, items)
            end = len(data)
            while at < end:
                if len(items) + frames >= most or self.cost - cost >= INFLATED:
                    self.more, self._rest = True, (data, at)
                    break
                if self._body is None:
                    at = texts(data, at, self.limit, items, most - frames)
                    if at == end or len(items) + frames >= most:
                        continue
                at = self._frame(data, at, items)
                frames += 1
            if self._payload_at:
                self._check_begun()
        except _Refused as refused:
            self._end(items, refused.broken)
        except UnicodeDecodeError:
            self._end(items, Broken(NOT_UTF8))
        self.assembling = self._body is not None or (self._buffer is not None and self._buffer is not _OVER)
        return items

    def _end(self, items: list[Item], item: Closing | Broken) -> None:
        items.append(item)
        self._buffer = _OVER
        self._body = None
        self._payload_at = 0

    def _resume(self, data: bytes, at: int, items: list[Item]) -> int:
        """Completes the frame that waits. Returns where the next one begins, the end of `data` where none does."""
        while (buffer := self._buffer) is not None:
            if buffer is _OVER:
                return len(data)
            missing = self._need - len(buffer)
            piece = data[at : at + missing]
            buffer += piece
            at += len(piece)
            if len(piece) < missing:
                break
            self._buffer = None
            self._payload_at = 0
            self._frame(bytes(buffer), 0, items)
        return at

    def _wait(self, data: bytes, at: int, need: int) -> int:
        self._buffer = bytearray(data[at:])
        self._need = need
        return len(data)

    def _frame(self, data: bytes, at: int, items: list[Item]) -> int:
        """A frame of any kind that begins at `at`. Returns where the next one begins, or the end of `data`.

        Raises _Refused and UnicodeDecodeError.
        """
        end = len(data)
        if end < at + 2:
            return self._wait(data, at, 2)
        first, second = data[at], data[at + 1]
        self._check(first, second)
        self.cost += FRAME
        size = second - _MASKED
        extended = 0 if size < _TWO_BYTES else 2 if size == _TWO_BYTES else 8
        start = at + 6 + extended
        if end < start:
            return self._wait(data, at, start - at)
        if extended:
            size = int.from_bytes(data[at + 2 : at + 2 + extended], "big")
            # RFC 6455 section 5.2: "the minimal number of bytes MUST be used", and the topmost bit is 0.
            if size < (_TWO_BYTES if extended == 2 else 1 << 16) or size >= 1 << 63:
                raise _Refused(PROTOCOL_ERROR)
        if first not in _CONTROLS:
            self._bound(first, size)
        stop = start + size
        if end < stop:
            begun = first if self._body is None or first in _CONTROLS else self._first
            self._payload_at = start - at if begun in _BEGINS_TEXT else 0
            return self._wait(data, at, stop - at)
        payload = unmask(data[start:stop], data[start - 4 : start])
        if first in _CONTROLS:
            self._control(first, payload, items)
        else:
            self._data(first, payload, items)
        return stop if self._buffer is None else end

    def _check(self, first: int, second: int) -> None:
        """The two bytes of a header. Raises _Refused."""
        if first in _CONTROLS:
            allowed = second <= _MASKED + MAX_CONTROL_BYTES
        elif self._body is not None:
            allowed = first in _CONTINUES
        else:
            allowed = first in _STARTS or (first in _COMPRESSED_STARTS and self.inflate is not None)
        if not allowed or second < _MASKED:
            raise _Refused(PROTOCOL_ERROR, ended=first == _CLOSE)

    def _bound(self, first: int, size: int) -> None:
        """A data frame that is announced. Raises _Refused."""
        if self._body is not None:
            first = self._first
            size += len(self._body)
            if self._count >= self.fragments:
                raise _Refused(_TOO_MANY_FRAGMENTS)
        # What cannot be compressed grows, by a seventh at worst (zlib's deflateBound). Inflating has the real bound.
        if size > (self.limit + self.limit // 4 + 64 if first & _RSV1 else self.limit):
            raise _Refused(TOO_BIG)

    def _data(self, first: int, payload: bytes, items: list[Item]) -> None:
        body = self._body
        if body is None:
            if first & _FIN:
                items.append(self._message(first, payload))
                return
            self._first = first
            self._body = body = bytearray(payload)
            self._count = 1
        else:
            body += payload
            self._count += 1
        if not first & _FIN:
            if self._first in _BEGINS_TEXT:
                self._check_text(body[self._valid :])
        else:
            self._body = None
            items.append(self._message(self._first, body))

    def _check_begun(self) -> None:
        """The text that has begun and is not whole. Raises UnicodeDecodeError.

        It is decoded when it is whole. But a peer may take its time until then, and hears now that it is in vain.
        """
        body, frame, at = self._body or b"", self._buffer or b"", self._payload_at
        seen = max(self._valid - len(body), 0)
        mask = bytes(frame[at - 4 : at]) * 2
        turn = seen % 4
        self._check_text(body[self._valid :] + unmask(bytes(frame[at + seen :]), mask[turn : turn + 4]))

    def _check_text(self, more: bytes | bytearray) -> None:
        """What follows the bytes that are known to be characters. Raises UnicodeDecodeError."""
        self._valid += utf_8_decode(more, "strict", False)[1]

    def _message(self, first: int, payload: bytes | bytearray) -> str | bytes:
        self._valid = 0
        if first & _RSV1 and self.inflate is not None:
            self.cost -= len(payload)
            try:
                payload = self.inflate(payload, self.limit)
            except TooBig:
                raise _Refused(TOO_BIG) from None
            except Corrupt:
                raise _Refused(PROTOCOL_ERROR) from None
            self.cost += len(payload)
        return payload.decode() if first & _IS_TEXT else bytes(payload)

    def _control(self, first: int, payload: bytes, items: list[Item]) -> None:
        if first == _PING:
            items.append(Ping(payload))
        elif first == _PONG:
            items.append(Pong(payload))
        elif payload:
            code = int.from_bytes(payload[:2], "big")
            try:
                reason = payload[2:].decode()
            except UnicodeDecodeError:
                self._end(items, Broken(NOT_UTF8, ended=True))
                return
            # Nor may one byte be sent, which is at most 255.
            self._end(items, Closing(code, reason) if _may_be_sent(code) else Broken(PROTOCOL_ERROR, ended=True))
        else:
            self._end(items, Closing(NO_CODE, ""))
