"""The WebSockets that a uvicorn server still has after they were closed.

Its own classes wait for a closed socket's buffer to be empty, which for a peer that takes nothing is never, and the
server waits for them: without `--timeout-graceful-shutdown` for ever. Only the server can say which they are; no
application can abort a socket. Under another server there are none to be seen, and nothing is done.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from hubbub.ports.logs import Event, fields
from hubbub.transports.direct import DirectTransport
from hubbub.transports.timeouts import Progress

_log = logging.getLogger("hubbub.transports.leftovers")

# Whoever reads at all takes something in that time.
_IDLE = 0.25


class Leftovers:
    """`server` is whatever was found where a server's should be."""

    def __init__(self, server: Any) -> None:
        self._connections = getattr(getattr(server, "server_state", None), "connections", ())
        self._protocol = getattr(getattr(server, "config", None), "ws_protocol_class", None)

    def drop(self) -> None:
        """Abort all that are closed, whatever they have still to send."""
        closed = tuple(self._closed())
        for transport in closed:
            transport.abort()
        if closed:
            _log.info(
                "dropped %d sockets that were closed and did not end",
                len(closed),
                extra=fields(Event.SOCKETS_DROPPED, count=len(closed)),
            )

    async def drop_idle(self) -> None:
        """Abort those of which the peer takes nothing; looks twice."""
        before = [
            (transport, Progress(transport))
            for transport in self._closed(of_uvicorn=True)
            if transport.get_write_buffer_size()  # else it waits for its peer's end, which has a bound of its own
        ]
        if not before:
            return
        await asyncio.sleep(_IDLE)
        idle = [transport for transport, progress in before if not Progress(transport).since(progress)]
        for transport in idle:
            transport.abort()
        if idle:
            _log.warning(
                "dropped %d sockets that took nothing", len(idle), extra=fields(Event.SOCKETS_DROPPED, count=len(idle))
            )

    def _closed(self, *, of_uvicorn: bool = False) -> Iterator[Any]:
        for connection in self._connections:
            if isinstance(connection, DirectTransport):
                if connection.closing and not of_uvicorn:
                    yield connection
            elif self._protocol is not None and isinstance(connection, self._protocol):
                transport: Any = connection.transport
                if transport.is_closing():
                    yield transport
