"""The HTTP protocol class for uvicorn: `--http hubbub.transports.http:HubbubHTTP`.

uvicorn's own, httptools where that is installed and else h11, with the deadlines and the end that `http_socket.py` has,
and with what it leaves open about where a request ends:

- A head has 64 KiB and 100 headers at most, however it is cut into packets; trailers, and what else comes between the
  parts of a body, have as many bytes. Trailers are read and forgotten: uvicorn's class on httptools adds them to the
  headers of a request that is being answered.
- A hundred requests may wait for the answer to the one before them. uvicorn's has one object more for every 18 bytes.
- Where a request ends is for its length to say, and not for an `Upgrade` (RFC 9110 section 7.8: a server may ignore
  it). By httptools a request that would change to anything but a WebSocket, as the JDK's client and curl offer h2c, has
  no body, and its body is the next request: behind a proxy that means well, anybody's.
- An upgrade that comes behind a request waits for that one's answer. What comes behind an upgrade is the WebSocket's.
- Of requests that came behind each other all know when their client has gone. uvicorn tells the last one alone, and
  those before it go on to write, each with a traceback: a line of log for a few bytes.
"""

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from hubbub.transports.http_bounds import (
    HEAD_SIZE,
    HEADERS,
    NO_PROXY,
    TOO_LARGE,
    TOO_MANY,
    WAITING,
    Refusal,
    Refused,
    refusal_of,
)
from hubbub.transports.http_socket import HttpSocket

try:
    import httptools
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:
    httptools = None  # type: ignore[assignment]


class _Bounded(h11.Connection):
    """What has come in one read may be no more than what has come in several.

    `refuse` is called for what is no request. uvicorn's class logs a line for each, without bound.
    """

    def __init__(self, refuse: Callable[[Refusal], None], size: int) -> None:
        super().__init__(h11.SERVER, size)
        self._refuse = refuse

    def next_event(self) -> Any:
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self._refuse(refusal_of(error))
            return h11.NEED_DATA
        if isinstance(event, h11.Request | h11.EndOfMessage):
            size = sum(len(name) + len(value) + 4 for name, value in event.headers)
            size += len(getattr(event, "target", b""))
            if size > HEAD_SIZE or len(event.headers) > HEADERS:
                self._refuse(TOO_LARGE)
                return h11.NEED_DATA
        return event


class HubbubH11(HttpSocket, H11Protocol):
    """In Python alone."""

    _behind = 0
    """Bytes that have come behind a request that is being answered."""

    def __init__(self, config: Config, *rest: Any, **named: Any) -> None:
        super().__init__(config, *rest, **named)
        size = config.h11_max_incomplete_event_size
        self.conn = _Bounded(self._refuse, HEAD_SIZE if size is None else size)

    def _read(self, data: bytes) -> None:
        if self.conn.their_state is not h11.DONE:
            self._behind = 0
        elif (behind := self._behind + len(data)) > HEAD_SIZE:
            self._refuse(TOO_MANY)
            return
        else:
            self._behind = behind
        super()._read(data)

    def _should_upgrade(self) -> bool:
        return self.scope["method"] == "CONNECT" or super()._should_upgrade()

    def handle_websocket_upgrade(self, event: Any) -> None:
        if event.method == b"CONNECT":
            self._refuse(NO_PROXY)
        else:
            behind, _ = self.conn.trailing_data
            self._upgrade(behind, event)


if httptools is None:

    class HubbubHTTP(HubbubH11):
        """What uvicorn itself would choose."""

else:

    class HubbubHTTP(HttpSocket, HttpToolsProtocol):  # type: ignore[no-redef, misc]
        """What uvicorn itself would choose."""

        _unended = _lines = 0
        """Bytes that have come without an end of a head, or of what comes between the parts of a body, in sight; and
        those of the lines of it that were read."""
        _in_head = False
        _fresh = False
        """Within this read a head has begun, or a part of a body come."""
        _behind: bytes | None = None
        """What came behind an upgrade that waits for the answer to the request before it."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._unanswered: deque[Any] = deque()

        def connection_lost(self, exc: Exception | None) -> None:
            for cycle in self._unanswered:
                cycle.disconnected = True
                cycle.message_event.set()
            super().connection_lost(exc)

        def _read(self, data: bytes) -> None:
            self._unset_keepalive_if_required()
            if self._behind is not None:
                if len(self._behind) + len(data) > HEAD_SIZE:
                    self._refuse(TOO_MANY)
                else:
                    self._change(self._behind + data)
                return
            self._fresh = False
            while data:
                try:
                    self.parser.feed_data(data)
                except httptools.HttpParserUpgrade as upgrade:
                    data = self._turn(data[upgrade.args[0] :])
                except httptools.HttpParserError as error:
                    self._refuse(refusal_of(error.__context__))
                    return
                else:
                    self._count(data)
                    return

        def _count(self, data: bytes) -> None:
            if not self._fresh:
                self._unended += len(data)
            else:
                self._unended = self._lines + len(data) - 1 - data.rfind(b"\n") if self._in_head else 0
            if self._unended > HEAD_SIZE:
                self._refuse(TOO_LARGE)

        def _count_line(self, size: int) -> None:
            self._lines += size
            if self._lines > HEAD_SIZE:
                raise Refused(TOO_LARGE)

        def on_message_begin(self) -> None:
            if len(self.pipeline) >= WAITING:
                raise Refused(TOO_MANY)
            super().on_message_begin()
            self._lines = 0
            self._in_head = self._fresh = True

        def on_url(self, url: bytes) -> None:
            self._count_line(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count_line(len(name) + len(value) + 4)
            if self._in_head:
                if len(self.headers) >= HEADERS:
                    raise Refused(TOO_LARGE)
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._lines = 0
            self.scope["http_version"] = self.parser.get_http_version()
            if not self._is_foreign():
                before = self.cycle
                super().on_headers_complete()
                if self.cycle is not before and not self.cycle.response_complete:
                    self._unanswered.append(self.cycle)

        def on_body(self, body: bytes) -> None:
            self._fresh = True
            super().on_body(body)

        def on_message_complete(self) -> None:
            if not self._is_foreign():
                super().on_message_complete()

        def on_response_complete(self) -> None:
            # It is not there where a task that is begun eagerly has answered before it was noted.
            if self._unanswered and self._unanswered[0].response_complete:
                self._unanswered.popleft()
            super().on_response_complete()
            if self._behind is not None and not self.transport.is_closing():
                self._change(self._behind)

        def _is_foreign(self) -> bool:
            """Whether the parser takes what follows for another protocol, of which nothing is known here."""
            return bool(self.parser.should_upgrade()) and not self._should_upgrade()

        def _turn(self, behind: bytes) -> bytes:
            """The parser has stopped at the end of a head. What it is to read next."""
            method = self.parser.get_method()
            if self._should_upgrade():
                self._change(behind)
                return b""
            if method == b"CONNECT":
                self._refuse(NO_PROXY)
                return b""
            lines = [b"%s %s HTTP/%s" % (method, self.url, self.scope["http_version"].encode())]
            for name, value in self.headers:
                if name == b"connection":
                    kept = b",".join(each for each in value.split(b",") if each.strip().lower() != b"upgrade")
                    lines.append(b"connection: " + kept)
                elif name != b"upgrade":
                    lines.append(b"%s: %s" % (name, value))
            # The one that has stopped may be at the end of all, as it sees it: `Connection: close`, HTTP/1.0.
            self.parser = httptools.HttpRequestParser(self)
            with contextlib.suppress(AttributeError):  # before httptools 0.6.3
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
            return b"\r\n".join([*lines, b"", behind])

        def _change(self, behind: bytes) -> None:
            if self._answering():
                self._behind = behind
                self.flow.pause_reading()
            else:
                self._behind = None
                self._upgrade(behind)
