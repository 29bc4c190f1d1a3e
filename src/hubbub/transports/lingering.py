"""How a socket ends that is no hub's, so that what was said last arrives.

A socket that is closed while the peer is sending is reset, and a reset takes away what the peer, or the proxy between,
has not read yet: a close code becomes 1006, a refusal nothing at all. So what still comes is read and thrown away until
the peer ends too, or was quiet for a moment, or has had its time (RFC 6455 section 7.1.1, RFC 9112 section 9.6).
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any

from hubbub.protocol.frames import MAX_CONTROL_BYTES, Closing, Parser
from hubbub.transports.telling import telling_of
from hubbub.transports.timeouts import Deadline, Progress

QUIET = 1.0
"""Seconds without a byte after which a peer that was told the end is taken to have heard it."""
# RFC 6455 section 5.2: a client's close frame and its mask.
_CLOSE, _MASKED, _SHORTEST = 0x88, 0x80, 6


def ends_in_close(data: bytes) -> bool:
    """Whether the last that came is a close frame: the peer has heard ours, and says no more (RFC 6455 section 5.5.1).

    After frames that were none, or in the middle of one, it can only be known by its form.
    """
    end = len(data)
    for start in range(end - _SHORTEST, max(end - _SHORTEST - MAX_CONTROL_BYTES, 0) - 1, -1):
        if data[start] == _CLOSE and data[start + 1] == _MASKED + end - _SHORTEST - start:
            items = Parser(limit=0).feed(data[start:])
            return isinstance(items[0], Closing)
    return False


class End(Enum):
    """What a `close` comes after."""

    AGREED = "both sides have said so, or there is nothing to be said: closed now"
    ANSWERED = "an answer by HTTP: the peer sees the end of the stream at once"
    SAID = "a close frame: a proxy that sees the end of the stream behind it may reset its own client"


class Lingering:
    """A transport whose `close` waits for the peer, at most `seconds`, and then aborts. `lost` at the end.

    `server`: whose socket it is, as `telling.py` has it. `patient`: a peer that takes something of what was written in
    that time has it again.

    asyncio's own drops what comes, and waits for its buffer to be empty, which may be never; and a second `close` of
    its TLS makes a later `abort` have no effect.
    """

    __slots__ = ("_end", "_patient", "_progress", "_quiet", "_seconds", "_server", "_timer", "transport", "write")

    def __init__(
        self,
        transport: asyncio.Transport,
        seconds: float,
        end: Callable[[], End],
        server: object,
        *,
        patient: bool = False,
    ) -> None:
        self.transport = transport
        self.write = transport.write
        self._seconds = seconds
        self._server = server
        self._end: Callable[[], End] | None = end
        self._patient = patient
        self._progress: Progress | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._quiet: Deadline | None = None

    def is_closing(self) -> bool:
        return self._timer is not None or self.transport.is_closing()

    def close(self) -> None:
        """Nothing is written any more. A second time is for what has changed since."""
        if self._end is None:
            return
        if self._timer is None:
            self._wait()
        end = self._end()
        if end is End.AGREED:
            self._let_go()
        elif self._quiet is None and not self.transport.is_closing():
            self._quiet = Deadline(QUIET, self._let_go)
            self._quiet.start()
            self.transport.resume_reading()
            if end is End.ANSWERED and self.transport.can_write_eof():
                try:
                    self.transport.write_eof()
                except OSError:  # it was reset since, and nobody has looked yet
                    self.transport.abort()

    def heard(self) -> None:
        """Something came that nobody is to see."""
        if self._quiet is not None:
            self._quiet.start()

    def lost(self) -> None:
        """The socket is gone."""
        self._end = None
        if self._timer is not None:
            self._timer.cancel()
        if self._quiet is not None:
            self._quiet.cancel()

    def give_up(self) -> None:
        """It has had its time to end."""
        before, unsent = self._progress, self.transport.get_write_buffer_size()
        if before is not None and unsent and Progress(self.transport).since(before):
            self._wait()
            return
        telling = telling_of(self._server)
        if unsent:
            telling.dropped(self.transport, "it was closed, and did not take what was said last", loses=True)
        else:
            telling.dropped(self.transport, "it was closed, and did not end")
        self.transport.abort()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self.give_up)
        if self._patient:
            self._progress = Progress(self.transport)

    def _let_go(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)
