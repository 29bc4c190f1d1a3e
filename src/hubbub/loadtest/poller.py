"""Which sockets are ready: epoll, and what `selectors` finds elsewhere, behind the same three calls.

With epoll a socket is told once for each arrival ("edge-triggered"): the kernel then need not look at it again on every
call, which is a tenth of the cost of a read. Whoever is told must read until less comes than was asked for.
"""

import select
import selectors
import sys
from typing import Protocol

#: What `poll` says of a socket. Anything else it says, alone or besides: something is over.
READABLE = 1
WRITABLE = 4


class Poller(Protocol):
    """Ready sockets by descriptor."""

    def watch(self, descriptor: int, wanted: int) -> None:
        """Watch for READABLE, WRITABLE, both, or with 0 for its end only; again: for something else."""

    def forget(self, descriptor: int) -> None:
        """Watch it no more."""

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """At most `most` of those that are ready within `timeout` seconds."""

    def close(self) -> None:
        """Free what the kernel holds for it."""


def poller() -> Poller:
    """The best of this machine."""
    return _Epoll() if sys.platform == "linux" else _Selector()


if sys.platform == "linux":
    _TOLD_ONCE = select.EPOLLET | select.EPOLLRDHUP

    class _Epoll:
        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._watched: set[int] = set()
            self.poll = self._epoll.poll

        def watch(self, descriptor: int, wanted: int) -> None:
            if descriptor in self._watched:
                self._epoll.modify(descriptor, wanted | _TOLD_ONCE)
            else:
                self._epoll.register(descriptor, wanted | _TOLD_ONCE)
                self._watched.add(descriptor)

        def forget(self, descriptor: int) -> None:
            self._watched.discard(descriptor)
            self._epoll.unregister(descriptor)

        def close(self) -> None:
            self._epoll.close()


class _Selector:
    """Without a word about sockets that ended while nothing was wanted of them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, descriptor: int, wanted: int) -> None:
        self.forget(descriptor)
        events = (selectors.EVENT_READ if wanted & READABLE else 0) | (
            selectors.EVENT_WRITE if wanted & WRITABLE else 0
        )
        if events:
            self._selector.register(descriptor, events)

    def forget(self, descriptor: int) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        return [
            (
                key.fd,
                (READABLE if events & selectors.EVENT_READ else 0)
                | (WRITABLE if events & selectors.EVENT_WRITE else 0),
            )
            for key, events in self._selector.select(timeout)[:most]
        ]

    def close(self) -> None:
        self._selector.close()
