"""From nothing to an open connection: TCP, TLS, the handshake of RFC 6455 section 4.1, and what the dialect says then.

An opening is a generator that says which readiness it waits for (READABLE or WRITABLE) and is resumed when it is there;
it returns the unparsed rest. Callbacks lost: the order of eight steps would be spread over as many functions.
"""

import base64
import errno
import hashlib
import json
import os
import re
import socket
import ssl
from collections import deque
from collections.abc import Generator
from http import HTTPStatus
from typing import NoReturn

from hubbub.loadtest.connection import Connection
from hubbub.loadtest.dialect import Dialect, Step
from hubbub.loadtest.frames import CLOSE, PING, PONG, TEXT, ProtocolFault, Reading, close_of, frame
from hubbub.loadtest.poller import READABLE, WRITABLE
from hubbub.loadtest.workloads import BenchError, Target

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LONGEST_ANSWER = 64 * 1024
_LONGEST_SAID = 200
_BLOCK = 64 * 1024
_SECRETIVE = re.compile(r"[^A-Za-z0-9_-]+")
_SHORTEST_SECRET = 16


def opening(
    connection: Connection, dialect: Dialect, target: Target, room: str | None, context: ssl.SSLContext | None
) -> Generator[int, None, Reading]:
    """Raises BenchError for a refusal, of TCP's to the dialect's."""
    yield from _connected(connection, target)
    if context is not None:
        yield from _encrypted(connection, target, context)
    i = connection.number
    path, headers = dialect.path(i), dialect.headers(i)
    key = base64.b64encode(os.urandom(16))
    connection.send(_request(path, headers, dialect, target, key))
    head = b""
    while b"\r\n\r\n" not in head:
        if len(head) > _LONGEST_ANSWER:
            raise BenchError(f"the answer to the handshake of connection {i} is no HTTP")
        more = yield from _read(connection)
        if not more:
            _refused(i, head, path, headers)
        head += more
    head, _, rest = head.partition(b"\r\n\r\n")
    if not re.match(rb"HTTP/1\.1 101\b", head):
        while not _whole(head, rest) and (more := (yield from _read(connection))):
            rest += more
        _refused(i, head + b"\r\n\r\n" + rest, path, headers)
    _check(i, head, key)
    return (yield from _introduced(connection, dialect, room, rest))


def _connected(connection: Connection, target: Target) -> Generator[int, None, None]:
    yield WRITABLE
    error = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        # os.strerror speaks of files where EADDRNOTAVAIL means that no port is left.
        told = "no port is left for it" if error == errno.EADDRNOTAVAIL else os.strerror(error).lower()
        raise BenchError(f"cannot reach {target.host} port {target.port}: {told} (connection {connection.number})")


def _encrypted(connection: Connection, target: Target, context: ssl.SSLContext) -> Generator[int, None, None]:
    wrapped = context.wrap_socket(connection.socket, server_hostname=target.host, do_handshake_on_connect=False)
    connection.socket = wrapped
    while True:
        try:
            wrapped.do_handshake()
            return
        except ssl.SSLWantReadError:
            yield READABLE
        except ssl.SSLWantWriteError:
            yield WRITABLE
        except OSError as error:
            raise BenchError(f"TLS with {target.host} failed: {error}") from None


def _request(path: str, headers: list[tuple[str, str]], dialect: Dialect, target: Target, key: bytes) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {target.authority}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key.decode()}",
        "Sec-WebSocket-Version: 13",
    ]
    own = {name.lower() for name, _ in headers}
    if dialect.subprotocols and "sec-websocket-protocol" not in own:
        lines.append(f"Sec-WebSocket-Protocol: {', '.join(dialect.subprotocols)}")
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _read(connection: Connection) -> Generator[int, None, bytes]:
    while True:
        try:
            return connection.socket.recv(_BLOCK)
        except (BlockingIOError, ssl.SSLWantReadError):
            yield READABLE
        except OSError as error:
            raise BenchError(f"connection {connection.number} was lost while it opened: {error.strerror}") from None


def _whole(head: bytes, body: bytes) -> bool:
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return length is not None and len(body) >= min(int(length[1]), _LONGEST_ANSWER)


def _check(i: int, head: bytes, key: bytes) -> None:
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    said = re.search(rb"(?im)^sec-websocket-accept:[ \t]*(\S+)", head)
    if said is None or said[1] != accept:
        raise BenchError(f"the server accepted connection {i} with a wrong Sec-WebSocket-Accept")
    if re.search(rb"(?im)^sec-websocket-extensions:[ \t]*\S", head):
        raise BenchError(f"the server gave connection {i} an extension that was not offered")


def _refused(i: int, answer: bytes, path: str, headers: list[tuple[str, str]]) -> NoReturn:
    status = re.match(rb"HTTP/1\.[01] (\d{3})\b", answer)
    if status is None:
        raise BenchError(f"the server closed connection {i} before it answered the handshake")
    code = int(status[1])
    phrase = HTTPStatus(code).phrase if code in HTTPStatus._value2member_map_ else ""
    said = _said(answer.partition(b"\r\n\r\n")[2])
    # A server may quote what it refuses, and that may be a credential.
    for piece in {p for text in (path, *(value for _, value in headers)) for p in _SECRETIVE.split(text)}:
        if len(piece) >= _SHORTEST_SECRET:
            said = said.replace(piece, "…")
    raise BenchError(f"the server refused connection {i}: {code} {phrase}".rstrip() + (f": {said}" if said else ""))


def _said(body: bytes) -> str:
    """The answer's own words in one line, without markup: FastAPI's `detail`, an `error` of the protocol's, or text."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace")
        return "" if text.lstrip().startswith("<") else " ".join(text.split())[:_LONGEST_SAID]
    if isinstance(parsed, dict):
        parsed = parsed.get("detail") or parsed.get("message") or parsed.get("error") or ""
    return " ".join(parsed.split())[:_LONGEST_SAID] if isinstance(parsed, str) else ""


def _introduced(
    connection: Connection, dialect: Dialect, room: str | None, rest: bytes
) -> Generator[int, None, Reading]:
    reading = Reading()
    waiting = deque(_texts(connection, reading, rest))
    for step in dialect.opening(connection.number, room):
        if step.send is not None:
            connection.send(frame(step.send.encode()))
        ready = step.ready is None
        while not ready:
            while not waiting:
                more = yield from _read(connection)
                if not more:
                    raise BenchError(f"the server closed connection {connection.number} while it opened")
                waiting.extend(_texts(connection, reading, more))
            ready = _ready(connection, dialect, step, waiting.popleft())
    for payload in waiting:
        _answer(connection, dialect, payload)
    return reading


def _ready(connection: Connection, dialect: Dialect, step: Step, payload: bytes) -> bool:
    _answer(connection, dialect, payload)
    return step.ready is None or step.ready(payload)


def _answer(connection: Connection, dialect: Dialect, payload: bytes) -> None:
    said = dialect.refusal(payload)
    if said is not None:
        raise BenchError(f"the server refused connection {connection.number}: {said}")
    answer = dialect.answer(payload)
    if answer is not None:
        connection.send(frame(answer.encode()))


def _texts(connection: Connection, reading: Reading, data: bytes) -> list[bytes]:
    texts = []
    try:
        heard = reading.feed(data)
    except ProtocolFault as fault:
        raise BenchError(f"the server sent connection {connection.number} {fault}") from None
    for opcode, payload in heard:
        if opcode == TEXT:
            texts.append(payload)
        elif opcode == PING:
            connection.send(frame(payload, PONG))
        elif opcode == CLOSE:
            raise BenchError(f"the server closed connection {connection.number} while it opened: {close_of(payload)}")
    return texts
