"""The HTTP protocol class for uvicorn: `--http hubbub.transports.http:HubbubHTTP`.

uvicorn's own, httptools where that is installed and else h11, with one bound more: a request's head is there 10 s
after it could first come, or the socket is dropped. uvicorn waits for ever for the first one and, once a byte of it
has come, for each of the following. A head is where every WebSocket begins, so without this bound a client that opens
sockets and says nothing holds their descriptors; the WebSocket class never sees those.

A TLS handshake that does not proceed is not seen here either: asyncio gives it 60 s.

And no request, nor the WebSocket that comes after it on the same socket, finds the context variables of the one before.
asyncio reads on with those of whoever has it read on, which in uvicorn is the request that was answered: behind a proxy
that keeps its sockets, one user's tenant and trace would be the next one's.
"""

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD = 10.0
"""Seconds for the head of a request to be there."""

if TYPE_CHECKING:
    _Base = H11Protocol
else:
    _Base = object


class _Punctual(_Base):
    """What both of uvicorn's classes have is all that is used of them."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._context = contextvars.copy_context()
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        # A copy, because a task that is begun eagerly may come back here while this one is in use.
        self._context.copy().run(super().data_received, data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self in self.connections and self.timeout_keep_alive_task is None:
            self._wait_for_head()

    def handle_websocket_upgrade(self, *event: Any) -> None:
        self._stop_waiting()
        super().handle_websocket_upgrade(*event)

    def on_response_complete(self) -> None:
        self._context.copy().run(super().on_response_complete)
        # A request that came behind this one may be answered by now, and the next begun.
        self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(HEAD, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class HubbubH11(_Punctual, H11Protocol):
    """In Python alone."""


class HubbubHTTP(_Punctual, AutoHTTPProtocol):  # type: ignore[valid-type, misc]
    """What uvicorn itself would choose."""
