"""RESP2, what is spoken with the server: commands to bytes, bytes to replies.

hiredis reads where it is installed. `PlainReader` is its twin in Python, for where it is not; redis-py's own parser is
no alternative, because it awaits for every reply.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from redis.exceptions import InvalidResponse, NoScriptError, ResponseError

Argument: TypeAlias = bytes | int


class Reader(Protocol):
    def feed(self, data: bytes, /) -> None: ...

    def gets(self) -> Any:
        """The next reply: bytes, int, None, a list of these, or a ResponseError. False where it is not complete.

        Raises InvalidResponse.
        """


def packed(command: Sequence[Argument]) -> bytes:
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        data = argument if isinstance(argument, bytes) else b"%d" % argument
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def refusal(text: str) -> ResponseError:
    return (NoScriptError if text.startswith("NOSCRIPT ") else ResponseError)(text.removeprefix("ERR "))


class _Incomplete(Exception):
    pass


class PlainReader:
    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    def feed(self, data: bytes, /) -> None:
        self._data = self._data[self._at :] + data
        self._at = 0

    def gets(self) -> Any:
        try:
            reply, self._at = self._reply(self._at)
        except _Incomplete:
            return False
        return reply

    def _reply(self, at: int) -> tuple[Any, int]:
        end = self._data.find(b"\r\n", at)
        if end < 0:
            raise _Incomplete
        kind, line, at = self._data[at : at + 1], self._data[at + 1 : end], end + 2
        match kind:
            case b"+":
                return line, at
            case b"-":
                return refusal(line.decode(errors="replace")), at
            case b":":
                return _number(line), at
            case b"$":
                return self._bulk(_number(line), at)
            case b"*":
                return self._array(_number(line), at)
        raise InvalidResponse(f"a reply cannot begin with {kind!r}")

    def _bulk(self, length: int, at: int) -> tuple[bytes | None, int]:
        if length < 0:
            return None, at
        if len(self._data) < at + length + 2:
            raise _Incomplete
        return self._data[at : at + length], at + length + 2

    def _array(self, length: int, at: int) -> tuple[list[Any] | None, int]:
        if length < 0:
            return None, at
        replies = []
        for _ in range(length):
            reply, at = self._reply(at)
            replies.append(reply)
        return replies, at


def _number(line: bytes) -> int:
    try:
        return int(line)
    except ValueError:
        raise InvalidResponse("a reply has no number where one belongs") from None


try:
    import hiredis
except ImportError:
    new_reader: Callable[[], Reader] = PlainReader
else:

    def new_reader() -> Reader:
        return hiredis.Reader(protocolError=InvalidResponse, replyError=refusal)
