"""What operators see of sockets that end without a hub's doing: who was refused, closed or dropped, and why.

The reasons are the server's own words, and the address is the kernel's: nothing that a peer has sent is in a line.
One log a server, for as long as there is that server: uvicorn makes its protocol classes, and knows of nothing else
that all of its sockets share.

A hub has no part in these ends, but counts them, and may refuse an address by them: it watches, and is called for
each. A server and its hubs know nothing of one another but the event loop they share.
"""

import asyncio
import contextvars
import logging
import weakref
from collections.abc import Callable
from typing import Protocol

from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count
from hubbub.scheduling.clock import SystemClock
from hubbub.scheduling.limited_log import LimitedLog

_log = logging.getLogger("hubbub.sockets")


class Watcher(Protocol):
    def __call__(self, what: Count, address: str | None) -> None:
        """A peer's socket ended so. `address`: the kernel's, without its port, None by a unix socket.

        Behind a proxy it is the proxy's. Called for each: must be cheap and must not raise.
        """


class Telling:
    def __init__(self) -> None:
        # Whoever is told of first is nobody to the others: the counts are not written with a request's variables.
        self._log = LimitedLog(_log, contextvars.Context().run(SystemClock))

    def refused(self, transport: asyncio.BaseTransport, what: Count, status: int, why: str) -> None:
        """Answered by HTTP, before an application had a say."""
        _count(transport, what)
        self._log.tell(
            f"refused with {status}: {why}",
            "refused %s with %d: %s",
            _peer(transport),
            status,
            why,
            extra=fields(Event.SOCKET_REFUSED, address=_address(transport), code=status, cause=why),
        )

    def closed(self, transport: asyncio.BaseTransport, code: int, reason: str) -> None:
        """A WebSocket, by a close frame."""
        _count(transport, Count.CLOSED_SOCKETS)
        self._log.tell(
            f"closed with {code}",
            "closed %s with %d: %s",
            _peer(transport),
            code,
            reason,
            extra=fields(Event.SOCKET_CLOSED, address=_address(transport), code=code, cause=reason),
        )

    def dropped(
        self,
        transport: asyncio.BaseTransport,
        why: str,
        *,
        what: Count = Count.DROPPED_SOCKETS,
        loses: bool = False,
    ) -> None:
        """Without a word to the peer. `loses`: what was sent, and so to be seen everywhere."""
        _count(transport, what)
        level = logging.WARNING if loses else logging.INFO
        self._log.tell(
            f"dropped: {why}",
            "dropped %s: %s",
            _peer(transport),
            why,
            level=level,
            extra=fields(Event.SOCKET_DROPPED, address=_address(transport), cause=why),
        )

    def stop(self) -> None:
        self._log.stop()


_watchers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, set[Watcher]] = weakref.WeakKeyDictionary()


def watch(watcher: Watcher) -> Callable[[], None]:
    """Have it called for each socket that ends so in the loop that runs; what is returned ends that, also twice."""
    watchers = _watchers.setdefault(asyncio.get_running_loop(), set())
    watchers.add(watcher)
    return lambda: watchers.discard(watcher)


def _count(transport: asyncio.BaseTransport, what: Count) -> None:
    address = transport.get_extra_info("peername")
    for watcher in _watchers.get(asyncio.get_running_loop(), ()):
        watcher(what, address[0] if isinstance(address, tuple) else None)


_tellings: weakref.WeakKeyDictionary[object, Telling] = weakref.WeakKeyDictionary()


def telling_of(server: object) -> Telling:
    """That of the server with this state (uvicorn's `ServerState`). What it left out is told when the state goes."""
    telling = _tellings.get(server)
    if telling is None:
        telling = _tellings[server] = Telling()
        weakref.finalize(server, telling.stop)
    return telling


def _address(transport: asyncio.BaseTransport) -> str | None:
    address = transport.get_extra_info("peername")
    return address[0] if isinstance(address, tuple) else None


def _peer(transport: asyncio.BaseTransport) -> str:
    address = transport.get_extra_info("peername")
    return f"{address[0]} port {address[1]}" if isinstance(address, tuple) else "a peer without an address"
