"""The WebSocket protocol class for uvicorn: `--ws hubbub.transports.uvicorn:HubbubProtocol`.

To an application it is uvicorn's own class, which does the handshake and serves every route that is no hub's. A hub
finds an extension in the scope by which it takes the accepted socket over (`direct.py`). From then on nothing of this
object is needed any more: on the hub's own route not even the ASGI call, unless somebody waits for its end.

What uvicorn leaves open is bounded for plain routes too: time until `websocket.accept`, fragments of a message and the
time they take, pings, and peers that take nothing, which are aborted. A socket that ends lingers (`lingering.py`).

Frames are read by the same parser on every route. websockets' object says what is sent, and sees of what comes the
close frame alone: its own parser looks at a text only when that is whole, and takes a close within a message for an
error.

The head has been read by uvicorn's HTTP class, and is not parsed once more: websockets' own parser would bound its
lines anew, by less than a credential may take, and refuses without a word.

It depends on uvicorn's insides; the tests run it on the oldest and the newest version that is supported. What
uvicorn has in one class, which calls itself everywhere, is overridden in one: that is why this file is long.
"""

import asyncio
from http import HTTPStatus
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.utils import is_ssl
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.version import version

from hubbub import closes
from hubbub.closes import Close
from hubbub.ports.metrics import Count
from hubbub.ports.transport import Driven
from hubbub.protocol.deflate import Inflate
from hubbub.protocol.frames import Broken, Closing, Item, Parser, Ping, Pong, close_frame
from hubbub.scheduling.token_bucket import TokenBucket
from hubbub.transports import direct, doors, timeouts
from hubbub.transports.asgi import EXTENSION
from hubbub.transports.compression import Compression
from hubbub.transports.direct import DirectTransport
from hubbub.transports.lingering import End, Lingering, ends_in_close
from hubbub.transports.null import NOWHERE
from hubbub.transports.telling import Telling, telling_of
from hubbub.transports.timeouts import Deadline, Stall, or_abort

HANDSHAKE = 10.0
"""Seconds for the application to accept or refuse."""
_EARLY = 4 * 1024
# RFC 6455 section 5.2: the bit of a length by which a client says that a mask follows.
_MASKED = 0x80
# All that websockets' parser sees of a handshake.
_ANY_HEAD = b"GET / HTTP/1.1\r\n\r\n"
# How it decodes the value of a header; uvicorn's class encodes it again.
_DECODING = ("latin-1", "strict") if int(version.split(".")[0]) >= 17 else ("ascii", "surrogateescape")


class HubbubProtocol(WebSocketsSansIOProtocol):
    """One per upgrade request. Its bounds are those of `hubbub.transports.direct`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        if config.ws_per_message_deflate:
            self.conn = ServerProtocol(extensions=[Compression()], max_size=config.ws_max_size, logger=self.logger)
        self._server = server_state
        self._taken: DirectTransport | None = None
        self._offer = _Offer(self)
        self._early: bytearray | None = bytearray()
        """What came before it was known whose socket this is; None from then on."""
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: Stall | None = None
        self._assembly: Deadline | None = None
        self._pings: TokenBucket | None = None
        self._parser: Parser | None = None
        self._reads_on = False
        self._answered = False
        """The peer has said the end as well, though nothing of it is read any more."""

    # The handshake.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # The answer must be out before anybody writes past asyncio.
        self.transport.set_write_buffer_limits(high=int(is_ssl(self.transport)))
        self.transport = cast(
            "asyncio.Transport", Lingering(self.transport, self.close_timeout, self._end, self._server)
        )
        self._deadline = self.loop.call_later(HANDSHAKE, self._too_late)

    async def run_asgi(self) -> None:
        if self.transport.get_protocol() is not self:
            # Begun eagerly, within the turn in which uvicorn gives the socket to this object.
            await asyncio.sleep(0)
        if not self.handshake_complete:
            cast("dict[str, Any]", self.scope["extensions"])[EXTENSION] = self._offer
        await super().run_asgi()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            self._discard(data)
        elif not self.handshake_initiated:
            self._begin(data)
        elif self._early is not None and not self.close_sent:
            # RFC 6455 section 4.1 has the client wait, but some do not; it is the accepted socket's.
            self._early += data
            if len(self._early) > _EARLY:
                self.transport.pause_reading()
        elif self._parser is not None:
            self._read(self._parser, data)

    def _begin(self, data: bytes) -> None:
        """The whole head, as uvicorn's HTTP class has written it anew."""
        head, _, behind = data.partition(b"\r\n\r\n")
        request, *lines = head.split(b"\r\n")
        method, target, _ = request.split(b" ")
        fields = [line.split(b": ", 1) for line in lines]
        headers = Headers([(name.decode("ascii"), value.decode(*_DECODING)) for name, value in fields])
        self.conn.receive_data(_ANY_HEAD)
        self.conn.events_received()
        if method != b"GET":
            self._turn_away(HTTPStatus.METHOD_NOT_ALLOWED, "a WebSocket begins with GET")
        elif "Transfer-Encoding" in headers or not set(headers.get_all("Content-Length")) <= {"0"}:
            self._turn_away(HTTPStatus.BAD_REQUEST, "a request for a WebSocket has no body")
        elif not target.isascii():
            self._turn_away(HTTPStatus.BAD_REQUEST, "a path and a query are of ASCII alone, all else percent-encoded")
        elif refused := doors.refusal(self._seen(target, fields)):
            retry_after = Headers({"Retry-After": str(refused.retry_after)})
            self._turn_away(HTTPStatus(refused.status), refused.why, retry_after, what=Count.REFUSED_HANDSHAKES)
        else:
            self.handle_connect(Request(target.decode(), headers))
            if self._taken is None and self.response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
                # What it answers quotes the peer.
                status, why = self.response.status_code, "no handshake of a WebSocket"
                self._telling().refused(self.transport, Count.INVALID_HANDSHAKES, status, why)
        if behind:
            self.data_received(behind)

    def _seen(self, target: bytes, fields: list[list[bytes]]) -> dict[str, Any]:
        """What is there of the scope already."""
        path = self.config.root_path.encode() + target.partition(b"?")[0]
        return {"client": self.client, "headers": [(name.lower(), value) for name, value in fields], "raw_path": path}

    async def send(self, message: Any) -> None:
        if self._taken is not None:
            if message["type"] != "websocket.close":
                raise RuntimeError("this socket is a hub's connection: send with connection.send")
            self._taken.end(Close(message.get("code", 1000), message.get("reason") or "", closes.Return.NEVER))
            return
        complete = self.handshake_complete
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # a refusal completes it as well, which uvicorn's own class overlooks
        if self.handshake_complete and not complete:
            self._cancel_deadline()
            self.loop.call_soon(self._settle)
        if self.close_timer is not None and message["type"] == "websocket.close":
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(self.close_timeout, cast("Lingering", self.transport).give_up)
            if self._parser is not None and self._parser.more:
                self.transport.pause_reading()  # what is left comes first, and the peer's end may be in it
                self._read_soon(self._parser)

    async def receive(self) -> Any:
        if self._taken is not None:
            await self._taken.wait()
            return {"type": "websocket.disconnect", "code": closes.FINISHED.code}
        message = await super().receive()
        if self._parser is not None and self._parser.more and not self.transport.is_closing():
            self.transport.pause_reading()  # which uvicorn has just resumed
            self._read_soon(self._parser)
        return message

    def _settle(self) -> None:
        """Accepted, and nobody took the socket over in the same turn: an ordinary route."""
        self._offer.withdraw()
        if self._taken is None and not self.disconnected:
            self.transport.set_write_buffer_limits()
            self._parser = Parser(
                limit=self.config.ws_max_size, inflate=_inflate(self._compression()), fragments=direct.FRAGMENTS
            )
            early, self._early = self._early, None
            if early:
                self.transport.resume_reading()
                self.data_received(bytes(early))

    def _too_late(self) -> None:
        if not self.handshake_complete and not self.transport.is_closing():
            why = "not let in within the time allowed"
            self._turn_away(HTTPStatus.SERVICE_UNAVAILABLE, why, what=Count.LATE_HANDSHAKES)

    def _telling(self) -> Telling:
        return telling_of(self._server)

    def _turn_away(
        self, status: HTTPStatus, text: str, headers: Headers | None = None, *, what: Count = Count.INVALID_HANDSHAKES
    ) -> None:
        """Not accepted, and not by the application."""
        self._telling().refused(self.transport, what, status, text)
        self._offer.withdraw()
        self._cancel_deadline()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        # What the application answers from now on, it answers to nobody.
        self.handshake_complete = self.close_sent = self.disconnected = True
        with or_abort(self.transport):
            response = self.conn.reject(status, text)
            response.headers.update(headers or ())
            self.conn.send_response(response)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # Being taken over.

    def take_over(self, driven: Driven, *, limit: int, closing: float) -> DirectTransport | None:
        """Right after `websocket.accept`: the socket is the hub's. `limit` and `closing` as in DirectTransport.

        None where it is too late for that, and where uvicorn has not finished giving the socket to this object.
        """
        transport = cast("Lingering", self.transport).transport
        if self.disconnected or not self.handshake_complete or self.close_sent or transport.get_protocol() is not self:
            return None
        self._cancel_deadline()
        self._cancel_stall()
        self.stop_keepalive()
        agreed = self._compression()
        taken = self._taken = DirectTransport(
            driven,
            transport,
            # The server's own bound is for all its sockets, as with every other transport.
            limit=min(limit, self.config.ws_max_size),
            closing=closing,
            bits=agreed.local_max_window_bits if agreed else 0,
            inflate=_inflate(agreed),
            gone=self.connections.discard,
        )
        transport.set_protocol(taken)
        self.connections.discard(self)
        self.connections.add(cast("Any", taken))
        if self._early:
            # Not now: the connection does not know this transport yet. And nothing may overtake it.
            transport.pause_reading()
            self.loop.call_soon(taken.begin_with, bytes(self._early))
        self._early = None
        self.transport = NOWHERE
        # A call that lasts keeps this object alive, and this is most of it.
        del self.conn, self.request, self.response, self.queue, self.writable
        return taken

    def _compression(self) -> PerMessageDeflate | None:
        """What was agreed on."""
        return next((each for each in self.conn.extensions if isinstance(each, PerMessageDeflate)), None)

    # The end.

    def shutdown(self) -> None:
        """The server ends, and with it this socket, however it stands with that."""
        if self.transport.is_closing():
            return
        if self.handshake_complete:
            with or_abort(self.transport):
                super().shutdown()
        else:
            self._turn_away(HTTPStatus.SERVICE_UNAVAILABLE, "the server ends", what=Count.REFUSED_HANDSHAKES)

    def keepalive_timeout(self) -> None:
        if not (self.close_sent or self.transport.is_closing()):
            self._telling().dropped(self.transport, "it did not answer a ping")
        with or_abort(self.transport):
            super().keepalive_timeout()
        self.disconnected = True

    def handle_parser_exception(self) -> None:
        if self.conn.close_sent is not None:
            self._telling().closed(self.transport, self.conn.close_sent.code, self.conn.close_sent.reason)
        super().handle_parser_exception()
        # To the application the peer is gone: it has no part in this, and a `send` of its is no mistake.
        self.disconnected = True

    def _end(self) -> End:
        """What has been said when the socket is closed."""
        if self.conn.state is State.CONNECTING:
            return End.ANSWERED
        waits = self.conn.close_sent is not None and self.conn.close_rcvd is None and not self._answered
        return End.SAID if waits else End.AGREED

    def _discard(self, data: bytes) -> None:
        """What comes after the end: all that is looked for is the peer's own."""
        cast("Lingering", self.transport).heard()
        if ends_in_close(data) or self._says_the_end(data):
            self._answered = True
            self.transport.close()

    def _says_the_end(self, data: bytes) -> bool:
        """Whether a close frame is in it, or in what was left to be read. Of a flood only the form is looked at."""
        parser = self._parser
        if parser is None:
            return False
        _leave_unread(parser)
        items = parser.feed(data, direct.DISCARDED)
        if parser.more:
            self._parser = None
        return any(isinstance(item, Closing) for item in items)

    # The routes that are no hub's.

    def connection_lost(self, exc: Exception | None) -> None:
        self._offer.withdraw()
        self._cancel_deadline()
        self._cancel_stall()
        if self._assembly is not None:
            self._assembly.cancel()
        cast("Lingering", self.transport).lost()
        super().connection_lost(exc)

    def _read(self, parser: Parser, data: bytes = b"") -> None:
        """A portion of it, and the next in another turn of the loop, with nothing read from the socket until then."""
        if self.close_sent:
            _leave_unread(parser)
        items = parser.feed(data)
        self._hear(items)
        self._watch_assembly(parser, anew=any(isinstance(item, str | bytes) for item in items))
        if parser.more and not self.transport.is_closing():
            self.transport.pause_reading()
            self._read_soon(parser)

    def _read_soon(self, parser: Parser) -> None:
        """When the application has taken what was read: what is left may inflate to a thousand times its size."""
        if not (self._reads_on or self.read_paused):
            self._reads_on = True
            self.loop.call_soon(self._read_on, parser)

    def _read_on(self, parser: Parser) -> None:
        self._reads_on = False
        if not (self.read_paused or self.transport.is_closing()):
            self._read(parser)
            if not (parser.more or self.read_paused):
                self.transport.resume_reading()

    def _hear(self, items: list[Item]) -> None:
        for item in items:
            if self.transport.is_closing():
                return
            match item:
                case str() | bytes():
                    self._pass_on(item)
                case Ping() | Pong() if self._is_flooding():
                    self._fail(direct.PINGING_TOO_MUCH)
                case Ping(payload):
                    if self.writable.is_set() and not self.close_sent:  # not answered into a full buffer
                        self.conn.send_pong(payload)
                        self.transport.write(b"".join(self.conn.data_to_send()))
                case Pong(payload):
                    self.handle_pong(Frame(Opcode.PONG, payload))
                case Closing(code, reason):
                    first, size, *rest = close_frame(code, reason)
                    self.conn.receive_data(bytes((first, size | _MASKED, 0, 0, 0, 0, *rest)))
                    self.handle_events()
                case Broken(close, ended):
                    self._answered = ended
                    self._fail(close)

    def _pass_on(self, message: str | bytes) -> None:
        """To the application, which reads one after the other."""
        if not self.close_sent:
            kind = "text" if isinstance(message, str) else "bytes"
            self.queue.put_nowait(cast("Any", {"type": "websocket.receive", kind: message}))
            if not self.read_paused:
                self.read_paused = True
                self.transport.pause_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None:
            self._stall = Stall(self.transport, self._stalled)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_stall()

    def _stalled(self) -> None:
        self._telling().dropped(self.transport, direct.TAKES_NOTHING.reason, loses=True)
        self.transport.abort()

    def _is_flooding(self) -> bool:
        now = self.loop.time()
        if self._pings is None:
            self._pings = TokenBucket(direct.PINGS, direct.PINGS_AT_ONCE, now)
        return self._pings.spend(now) > 0

    def _watch_assembly(self, parser: Parser, *, anew: bool) -> None:
        if self.close_sent or not parser.assembling:
            if self._assembly is not None:
                self._assembly.stop()
            return
        if self._assembly is None:
            self._assembly = Deadline(timeouts.ASSEMBLED, self._not_whole)
        if anew or not self._assembly.running:
            self._assembly.start()

    def _not_whole(self) -> None:
        if self.read_paused and self._assembly is not None:
            self._assembly.start()  # it is the application that is slow
        else:
            self._fail(direct.TOO_LONG_IN_COMING)

    def _fail(self, close: Close) -> None:
        if not self.close_sent:
            with or_abort(self.transport):
                self.conn.fail(close.code, close.reason)
                self.handle_parser_exception()

    def _cancel_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


class _Unread(Inflate):
    """Where nobody is to see what comes."""

    def __call__(self, data: bytes | bytearray, limit: int) -> bytes:
        return b""


_UNREAD = _Unread(bits=0)


def _leave_unread(parser: Parser) -> None:
    """All that is looked for from now on is the peer's own end."""
    if parser.inflate is not None:
        parser.inflate = _UNREAD


def _inflate(agreed: PerMessageDeflate | None) -> Inflate | None:
    return Inflate(agreed.remote_max_window_bits) if agreed else None


class _Offer:
    """What the scope has of a protocol object: the way to take its socket over, once. The scope may live on."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: HubbubProtocol) -> None:
        self._protocol: HubbubProtocol | None = protocol

    def __call__(self, driven: Driven, *, limit: int, closing: float) -> DirectTransport | None:
        protocol, self._protocol = self._protocol, None
        return protocol.take_over(driven, limit=limit, closing=closing) if protocol is not None else None

    def withdraw(self) -> None:
        self._protocol = None
