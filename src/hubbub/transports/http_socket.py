"""A socket by which requests come, whichever of uvicorn's HTTP classes reads it (`http.py`): its deadlines, its end.

- A request's head is there 10 s after it could first come, or the socket is dropped. uvicorn waits for ever for the
  first one and, once a byte of it has come, for each of the following. A head is where every WebSocket begins, so
  without this bound a client that opens sockets and says nothing holds their descriptors; the WebSocket class never
  sees those.
- A body that has begun goes on (`body_pace.py`), else it is answered 408; and a peer that takes nothing of an answer
  for 10 s is dropped. uvicorn waits for both for ever.
- A request that is on its way when the server ends is answered. uvicorn closes all sockets without a request then,
  which a client that has just connected, or is in the middle of a head, sees as an end without a word.
- A socket that is closed with something of the peer's unread lingers, so that the answer arrives (`lingering.py`).
- A socket that takes one of the last file descriptors is answered 503 (`descriptors.py`).
- No request, nor the WebSocket that comes after it on the same socket, finds the context variables of the one before.
  asyncio reads on with those of whoever has it read on, which in uvicorn is the request that was answered: behind a
  proxy that keeps its sockets, one user's tenant and trace would be the next one's.

A TLS handshake that does not proceed is not seen here: asyncio gives it 60 s.
"""

import asyncio
import contextvars
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from hubbub.ports.metrics import Count
from hubbub.transports.body_pace import BodyPace, Flow
from hubbub.transports.descriptors import reserve_left
from hubbub.transports.http_bounds import FULL, HEAD, TOO_SLOW, Refusal
from hubbub.transports.lingering import End, Lingering
from hubbub.transports.telling import telling_of
from hubbub.transports.timeouts import STALLED, Stall, or_abort

ON_ITS_WAY = 2.0
"""Seconds after a socket was opened, or a head begun, in which a server that ends waits for the request."""
UNREAD = 0.05
"""Seconds for what may have been sent already, on any socket. uvicorn sleeps for twice as long then anyway."""
_LINGER = 0.5
"""As much of the descriptors in reserve is for sockets that are refused and wait until the peer has heard of it."""
LINGERING = 5.0
"""Seconds for a peer to end after its last answer, or to take something of it."""
TAKES_NOTHING = f"it took nothing of an answer for {STALLED:g} s"

if TYPE_CHECKING:
    _Base = H11Protocol
else:
    _Base = object


class HttpSocket(_Base):
    """What both of uvicorn's classes have is all that is used of them."""

    _deadline: asyncio.TimerHandle | None = None
    _deaf = False
    """What comes from now on is not looked at: nobody knows any more where a request begins."""
    _pace: BodyPace | None = None
    _stall: Stall | None = None
    _idle = False
    _ending: asyncio.TimerHandle | None = None
    """The server ends, and so does this socket when nothing is on its way."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._context = contextvars.copy_context()
        self.flow = Flow(transport)
        self.transport = cast(
            "asyncio.Transport", Lingering(transport, LINGERING, self._end, self.server_state, patient=True)
        )
        peer = transport.get_extra_info("socket")
        left = reserve_left(peer.fileno() if peer is not None else -1)
        if left == 1.0:
            self._wait_for_head()
        else:
            self._refuse(FULL, at_once=left < _LINGER)

    def data_received(self, data: bytes) -> None:
        if self._deaf or self.transport.is_closing():
            cast("Lingering", self.transport).heard()
            return
        # A copy, because a task that is begun eagerly may come back here while this one is in use.
        self._context.copy().run(self._read, data)
        if self._answering():
            self._stop_waiting()
            self._watch_body(len(data))
            if self._ending is not None:
                self._make_last()
        elif self in self.connections and self.timeout_keep_alive_task is None:
            self._wait_for_head()

    def _read(self, data: bytes) -> None:
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_watching()
        if self._ending is not None:
            self._ending.cancel()
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
        self._stop_watching()
        self._unset_keepalive_if_required()
        # The WebSocket class has a way to end of its own.
        self.transport = cast("Lingering", self.transport).transport
        self._context.copy().run(self._begin_websocket, behind, *event)
        if self._ending is not None:
            self._ending.cancel()
            cast("Any", self.transport.get_protocol()).shutdown()

    def _begin_websocket(self, behind: bytes, *event: Any) -> None:
        super().handle_websocket_upgrade(*event)
        if behind:
            cast("asyncio.Protocol", self.transport.get_protocol()).data_received(behind)

    def on_response_complete(self) -> None:
        self._context.copy().run(super().on_response_complete)
        # A request that came behind this one may be answered by now, and the next begun.
        self._stop_waiting()
        self._stop_watching(writing=False)

    # A peer that sends nothing of a body, or takes nothing of an answer.

    def _watch_body(self, size: int) -> None:
        if not self.cycle.more_body:
            self._stop_watching(writing=False)
        elif self._pace is None:
            self._pace = BodyPace(cast("Flow", self.flow), self._too_slow)
        else:
            self._pace.received += size

    def _too_slow(self) -> None:
        self._pace = None
        if self.cycle.waiting_for_100_continue:
            self._watch_body(0)  # it is the application that is slow
        else:
            self._refuse(TOO_SLOW)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None:
            self._stall = Stall(self.transport, self._stalled)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _stalled(self) -> None:
        telling_of(self.server_state).dropped(self.transport, TAKES_NOTHING, loses=True)
        self.transport.abort()

    def _stop_watching(self, *, writing: bool = True) -> None:
        if self._pace is not None:
            self._pace.cancel()
            self._pace = None
        if writing and self._stall is not None:
            self._stall.cancel()
            self._stall = None

    # The end.

    def _refuse(self, refusal: Refusal, *, at_once: bool = False) -> None:
        """Nothing is read any more. Nothing is said in the middle of another's answer. `at_once`: without lingering."""
        if self._deaf:
            return
        self._deaf = True
        self._stop_waiting()
        self._stop_watching(writing=False)
        status, what, text, retry_after = refusal
        telling_of(self.server_state).refused(self.transport, what, status, text)
        cycle = self.cycle
        if self._answering() and not cycle.more_body:
            self._make_last()  # it is answered before this
            return
        if cycle is not None and cycle.more_body:
            cycle.disconnected = True
            cycle.message_event.set()
        if cycle is None or not (cycle.more_body and cycle.response_started):
            self._answer(status, text, () if retry_after is None else (b"retry-after: %d" % retry_after,))
        (cast("Lingering", self.transport).transport if at_once else self.transport).close()

    def _answer(self, status: HTTPStatus, text: str, headers: Iterable[bytes]) -> None:
        head = [
            f"HTTP/1.1 {status.value} {status.phrase}".encode(),
            *(b"%s: %s" % header for header in self.server_state.default_headers),
            *headers,
            b"content-type: text/plain; charset=utf-8",
            b"content-length: %d" % len(text),
            b"connection: close",
        ]
        self.transport.write(b"\r\n".join([*head, b"", text.encode()]))

    def shutdown(self) -> None:
        """The server ends, and takes no new sockets. This one ends with its request, or when none is on its way."""
        self._ending = self._ending or self.loop.call_later(UNREAD, self._shut_down)
        if self._answering():
            self._make_last()

    def _shut_down(self) -> None:
        left = self._deadline.when() - HEAD + ON_ITS_WAY - self.loop.time() if self._deadline is not None else 0
        if left > 0:
            self._ending = self.loop.call_later(left, self._shut_down)
        elif not self._answering():
            self._idle = True
            with or_abort(self.transport):
                super().shutdown()

    def _make_last(self) -> None:
        """The request that is being answered is the last one, and its answer says so (RFC 9112 section 9.6)."""
        if self.cycle.keep_alive:
            self.cycle.keep_alive = False
            # uvicorn 0.54 says so itself, by httptools alone, and 0.52 by neither.
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

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
        why = f"no whole head of a request within {HEAD:g} s"
        telling_of(self.server_state).dropped(self.transport, why, what=Count.LATE_HEADS)
        self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
