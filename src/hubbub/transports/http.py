"""The HTTP protocol class for uvicorn: `--http hubbub.transports.http:HubbubHTTP`.

uvicorn's own, httptools where that is installed and else h11, with what it leaves open:

- A request's head is there 10 s after it could first come, or the socket is dropped, and has 64 KiB at most. uvicorn
  waits for ever for the first one and, once a byte of it has come, for each of the following. A head is where every
  WebSocket begins, so without this bound a client that opens sockets and says nothing holds their descriptors; the
  WebSocket class never sees those.
- Where a request ends is for its length to say, and not for an `Upgrade` (RFC 9110 section 7.8: a server may ignore
  it). By httptools a request that would change to anything but a WebSocket, as the JDK's client and curl offer h2c, has
  no body, and its body is the next request: behind a proxy that means well, anybody's.
- An upgrade that comes behind a request waits for that one's answer. What comes behind an upgrade is the WebSocket's.
- A socket that is closed with something of the peer's unread lingers, so that the answer arrives (`lingering.py`).
- No request, nor the WebSocket that comes after it on the same socket, finds the context variables of the one before.
  asyncio reads on with those of whoever has it read on, which in uvicorn is the request that was answered: behind a
  proxy that keeps its sockets, one user's tenant and trace would be the next one's.

A TLS handshake that does not proceed is not seen here: asyncio gives it 60 s.
"""

import asyncio
import contextlib
import contextvars
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from hubbub.transports.lingering import End, Lingering
from hubbub.transports.telling import telling_of
from hubbub.transports.timeouts import or_abort

try:
    import httptools
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:
    httptools = None  # type: ignore[assignment]

HEAD = 10.0
"""Seconds for the head of a request to be there."""
HEAD_SIZE = 64 * 1024
"""Bytes of a head: h11's own limit, and more than a proxy lets pass (nginx: 32 KiB)."""
LINGERING = 5.0
"""Seconds for a peer to end after its last answer."""
_INVALID = "Invalid HTTP request received."
_NO_PROXY = "This is no proxy."

if TYPE_CHECKING:
    _Base = H11Protocol
else:
    _Base = object


class _Punctual(_Base):
    """What both of uvicorn's classes have is all that is used of them."""

    _deadline: asyncio.TimerHandle | None = None
    _deaf = False
    """What comes from now on is not looked at: nobody knows any more where a request begins."""
    _idle = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._context = contextvars.copy_context()
        self.transport = cast("asyncio.Transport", Lingering(transport, LINGERING, self._end, self.server_state))
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        if self._deaf or self.transport.is_closing():
            cast("Lingering", self.transport).heard()
            return
        # A copy, because a task that is begun eagerly may come back here while this one is in use.
        self._context.copy().run(self._read, data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self in self.connections and self.timeout_keep_alive_task is None:
            self._wait_for_head()

    def _read(self, data: bytes) -> None:
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        cast("Lingering", self.transport).lost()
        super().connection_lost(exc)

    # Where a request ends, and a WebSocket begins.

    def _should_upgrade(self) -> bool:
        """RFC 9110 section 7.8, RFC 6455 section 4.2.1."""
        options = b",".join(value for name, value in self.headers if name == b"connection")
        upgrades = [value.strip().lower() for name, value in self.headers if name == b"upgrade"]
        return (
            upgrades == [b"websocket"]
            and b"upgrade" in (option.strip().lower() for option in options.split(b","))
            and self.scope["http_version"] == "1.1"
            and self.ws_protocol_class is not None
        )

    def _upgrade(self, behind: bytes, *event: Any) -> None:
        """The request before is answered. `behind`: what came behind the head, which is the WebSocket's."""
        self._stop_waiting()
        self._unset_keepalive_if_required()
        # The WebSocket class has a way to end of its own.
        self.transport = cast("Lingering", self.transport).transport
        self._context.copy().run(self._begin_websocket, behind, *event)

    def _begin_websocket(self, behind: bytes, *event: Any) -> None:
        super().handle_websocket_upgrade(*event)
        if behind:
            cast("asyncio.Protocol", self.transport.get_protocol()).data_received(behind)

    def on_response_complete(self) -> None:
        self._context.copy().run(super().on_response_complete)
        # A request that came behind this one may be answered by now, and the next begun.
        self._stop_waiting()

    # The end.

    def send_400_response(self, msg: str) -> None:
        """`msg` is uvicorn's, for all that is no request. Nothing is said in the middle of another's answer."""
        self._deaf = True
        self._stop_waiting()
        status = HTTPStatus(self._complaint())
        if status is not HTTPStatus.BAD_REQUEST:
            msg = f"The head of a request has {HEAD_SIZE} bytes at most."
        telling_of(self.server_state).refused(self.transport, status, msg)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False  # it is answered before this, and last
            return
        if cycle is not None and cycle.more_body:
            cycle.disconnected = True
            cycle.message_event.set()
        if cycle is None or not (cycle.more_body and cycle.response_started):
            self._answer(status, msg)
        self.transport.close()

    def _answer(self, status: HTTPStatus, text: str) -> None:
        head = [
            f"HTTP/1.1 {status.value} {status.phrase}".encode(),
            *(b"%s: %s" % header for header in self.server_state.default_headers),
            b"content-type: text/plain; charset=utf-8",
            b"content-length: %d" % len(text),
            b"connection: close",
        ]
        self.transport.write(b"\r\n".join([*head, b"", text.encode()]))

    def _complaint(self) -> int:
        """The status for what is no request. h11 has left it with its exception."""
        return 431 if getattr(sys.exception(), "error_status_hint", 400) == 431 else 400

    def shutdown(self) -> None:
        self._idle = True
        with or_abort(self.transport):
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        self._idle = True
        with or_abort(self.transport):
            super().timeout_keep_alive_handler()

    def _end(self) -> End:
        """Whether anything of the peer's may be unread when the socket is closed."""
        cycle = self.cycle
        if self._deaf or (cycle is not None and cycle.more_body):
            return End.ANSWERED
        # By TLS the peer would not see an end before it was quiet, and it may wait for one.
        return End.AGREED if cycle is None or self._idle or not self.transport.can_write_eof() else End.ANSWERED

    def _wait_for_head(self) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(HEAD, self._too_late)

    def _too_late(self) -> None:
        telling_of(self.server_state).dropped(self.transport, f"no whole head of a request within {HEAD:g} s")
        self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class HubbubH11(_Punctual, H11Protocol):
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

    class HubbubHTTP(_Punctual, HttpToolsProtocol):  # type: ignore[no-redef, misc]
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
            if self.cycle is None or self.cycle.response_complete:
                self._behind = None
                self._upgrade(behind)
            else:
                self._behind = behind
                self.flow.pause_reading()
