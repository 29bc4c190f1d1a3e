"""A transport carries frames to one client and drives one connection by calling it.

Nothing here waits. The transport calls `receive` with every message the client sends, takes what is to be sent by
`take` whenever the peer can have more, and calls `lost` exactly once. The connection calls `flush` when something
waits.

A transport whose socket is its own may be written to past the outbox, many at a time: while a connection is `clear`
(nothing waits above the socket or in it), its transport's `writer` is the short way. What the socket does not take
comes back, and goes the long way.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from hubbub.closes import Close
from hubbub.ports.metrics import Traffic
from hubbub.protocol.codec import Prepared
from hubbub.protocol.session import Session

#: RFC 6455 section 7.1.5: the code of a connection that ended without a close frame.
NO_WORD = 1006


class Writer(Protocol):
    """The short way past the outbox, to a connection that is clear: nothing waits above its socket or in it."""

    def write(self, messages: Sequence[Prepared]) -> int | None:
        """Give messages to this socket: None where all went out.

        Elsewhere how many it took, one that went out in part among them; it is not clear any more.
        """

    @staticmethod
    def write_each(writers: Sequence[Any], messages: Sequence[Prepared]) -> list[int]:
        """As `write`, one message to each of several writers of this kind: the indexes of those it was cut for."""

    @staticmethod
    def write_all(writers: Sequence[Any], messages: Sequence[Prepared]) -> list[tuple[int, int]]:
        """As `write`, the same messages to many writers of this kind: index and number of those that took less."""


class Transport(Protocol):
    @property
    def writer(self) -> Writer | None:
        """The short way; None where there is none, and the connection is never clear."""

    @property
    def pings(self) -> bool:
        """Whether it can ask the peer for a sign of life by `ping`; elsewhere the server itself must."""

    def ping(self) -> None:
        """RFC 6455 section 5.5.2. The answer is a call of `heard`."""

    def flush(self) -> None:
        """Something waits in the outbox: fetch it by `take` as soon as the peer can have it."""

    def close(self, close: Close) -> None:
        """Send what `take` still gives, then the close frame; drop the socket if the peer takes neither in time."""

    def pause_reading(self, seconds: float) -> None:
        """Read nothing for so long: the peer sends faster than it may, or than its messages are worked on."""

    def stop_reading(self) -> None:
        """Read nothing until `read_on` or `close`: as much waits as may."""

    def read_on(self) -> None:
        """After `stop_reading`."""


class Source(Protocol):
    """What a transport fetches what it sends from."""

    def take(self, size: int) -> list[Prepared]:
        """The next messages for the client, about `size` bytes of them, none where nothing waits.

        They count as unsent until `sent` is called.
        """

    def sent(self, size: int) -> None:
        """The transport has handed over so many bytes of what `take` gave."""

    def drained(self) -> None:
        """Nothing is left below, and `take` gave nothing: the writer may be used until `blocked`."""

    def blocked(self) -> None:
        """Something is left below: no more by the writer."""


class Driven(Protocol):
    """What a transport may call: the connection, from below."""

    @property
    def session(self) -> Session:
        """What says how long a message may be."""

    @property
    def outbound(self) -> Source:
        """What leaves the connection."""

    @property
    def traffic(self) -> Traffic:
        """Where bytes are counted."""

    def receive(self, data: str | bytes) -> None:
        """A whole message from the client."""

    def weigh(self, size: int) -> None:
        """So many bytes have come, whatever of: called before much more is read. It may call `pause_reading`."""

    def heard(self) -> None:
        """A sign of life that is no message."""

    def close(self, close: Close) -> None:
        """End the connection for this reason; it calls the transport's `close`."""

    def lost(self, code: int = NO_WORD, reason: str = "") -> None:
        """The socket is gone, by a close frame of the peer's with this code and reason, or without a word."""
