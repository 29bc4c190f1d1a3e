"""What operators see of sockets that end without a hub's doing: who was refused, closed or dropped, and why.

The reasons are the server's own words, and the address is the kernel's: nothing that a peer has sent is in a line.
One log a server, for as long as there is that server: uvicorn makes its protocol classes, and knows of nothing else
that all of its sockets share.
"""

import asyncio
import contextvars
import logging
import weakref

from hubbub.scheduling.clock import SystemClock
from hubbub.scheduling.limited_log import LimitedLog

_log = logging.getLogger("hubbub.sockets")


class Telling:
    def __init__(self) -> None:
        # Whoever is told of first is nobody to the others: the counts are not written with a request's variables.
        self._log = LimitedLog(_log, contextvars.Context().run(SystemClock))

    def refused(self, transport: asyncio.BaseTransport, status: int, why: str) -> None:
        """Answered by HTTP, before an application had a say."""
        self._log.tell(f"refused with {status}: {why}", "refused %s with %d: %s", _peer(transport), status, why)

    def closed(self, transport: asyncio.BaseTransport, code: int, reason: str) -> None:
        """A WebSocket, by a close frame."""
        self._log.tell(f"closed with {code}", "closed %s with %d: %s", _peer(transport), code, reason)

    def dropped(self, transport: asyncio.BaseTransport, why: str, *, loses: bool = False) -> None:
        """Without a word to the peer. `loses`: what was sent, and so to be seen everywhere."""
        level = logging.WARNING if loses else logging.INFO
        self._log.tell(f"dropped: {why}", "dropped %s: %s", _peer(transport), why, level=level)

    def stop(self) -> None:
        self._log.stop()


_tellings: weakref.WeakKeyDictionary[object, Telling] = weakref.WeakKeyDictionary()


def telling_of(server: object) -> Telling:
    """That of the server with this state (uvicorn's `ServerState`). What it left out is told when the state goes."""
    telling = _tellings.get(server)
    if telling is None:
        telling = _tellings[server] = Telling()
        weakref.finalize(server, telling.stop)
    return telling


def _peer(transport: asyncio.BaseTransport) -> str:
    address = transport.get_extra_info("peername")
    return f"{address[0]} port {address[1]}" if isinstance(address, tuple) else "a peer without an address"
