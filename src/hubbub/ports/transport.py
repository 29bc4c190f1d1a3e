"""A transport carries frames to one client and drives one connection by calling it.

Nothing here waits. The transport calls `frame` for every text the client sends, asks `outgoing` for what is to be
sent whenever it can take more, and calls `lost` exactly once. The connection calls `flush` when something waits.
"""

from typing import Protocol

from hubbub.closes import Close
from hubbub.wire.codec import Prepared


class Transport(Protocol):
    def flush(self) -> None:
        """Something waits in the outbox: fetch it by `outgoing` as soon as the peer can take it."""

    def close(self, close: Close) -> None:
        """Send what `outgoing` still gives, then the close frame; drop the socket if the peer takes neither in time."""


class Driven(Protocol):
    """What a transport may call: the connection, from below."""

    def frame(self, data: str | bytes) -> None:
        """One whole message from the client."""

    def outgoing(self) -> Prepared | None:
        """The next message for the client, None where nothing waits. It counts as unsent until `sent` is called."""

    def sent(self, message: Prepared) -> None:
        """The transport has handed over what `outgoing` gave."""

    def lost(self) -> None:
        """The socket is gone. Further calls have no effect."""
