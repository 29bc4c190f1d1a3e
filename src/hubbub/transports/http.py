"""The HTTP protocol class for uvicorn: `--http hubbub.transports.http:HubbubHTTP`.

uvicorn's own, httptools where that is installed and else h11, with the deadlines and the end that `http_socket.py` has,
and with what it leaves open about where a request ends:

- A head has 64 KiB at most.
- Where a request ends is for its length to say, and not for an `Upgrade` (RFC 9110 section 7.8: a server may ignore
  it). By httptools a request that would change to anything but a WebSocket, as the JDK's client and curl offer h2c, has
  no body, and its body is the next request: behind a proxy that means well, anybody's.
- An upgrade that comes behind a request waits for that one's answer. What comes behind an upgrade is the WebSocket's.
"""

import contextlib
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from hubbub.transports.http_socket import HEAD_SIZE, HttpSocket

try:
    import httptools
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:
    httptools = None  # type: ignore[assignment]

_INVALID = "Invalid HTTP request received."
_NO_PROXY = "This is no proxy."


class HubbubH11(HttpSocket, H11Protocol):
    """In Python alone."""

    def _should_upgrade(self) -> bool:
        return self.scope["method"] == "CONNECT" or super()._should_upgrade()

    def handle_websocket_upgrade(self, event: Any) -> None:
        if event.method == b"CONNECT":
            self.send_400_response(_NO_PROXY)
        else:
            behind, _ = self.conn.trailing_data
            self._upgrade(behind, event)


if httptools is None:

    class HubbubHTTP(HubbubH11):
        """What uvicorn itself would choose."""

else:

    class HubbubHTTP(HttpSocket, HttpToolsProtocol):  # type: ignore[no-redef, misc]
        """What uvicorn itself would choose."""

        _head = -1
        """Bytes that have come of a head without an end of it in sight, -1 where none has begun."""
        _begun = False
        _behind: bytes | None = None
        """What came behind an upgrade that waits for the answer to the request before it."""

        def _read(self, data: bytes) -> None:
            self._unset_keepalive_if_required()
            if self._behind is not None:
                self._change(self._behind + data)
                return
            self._begun = False
            while data:
                try:
                    self.parser.feed_data(data)
                except httptools.HttpParserUpgrade as upgrade:
                    data = self._turn(data[upgrade.args[0] :])
                except httptools.HttpParserError:
                    self.send_400_response(_INVALID)
                    return
                else:
                    self._count_head(len(data))
                    return

        def _count_head(self, size: int) -> None:
            if self._head >= 0 and not self._begun:
                self._head += size
                if self._head > HEAD_SIZE:
                    self.send_400_response(_INVALID)

        def _complaint(self) -> int:
            return 431 if self._head > HEAD_SIZE else 400

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._head = 0
            self._begun = True

        def on_headers_complete(self) -> None:
            self._head = -1
            self.scope["http_version"] = self.parser.get_http_version()
            if not self._is_foreign():
                super().on_headers_complete()

        def on_message_complete(self) -> None:
            if not self._is_foreign():
                super().on_message_complete()

        def on_response_complete(self) -> None:
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
                self.send_400_response(_NO_PROXY)
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
