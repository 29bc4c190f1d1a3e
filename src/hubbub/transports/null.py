"""What stands where a socket or a connection was, once it is gone: takes everything and does nothing.

So the two ends let go of each other at once, not when the garbage collector comes by, and nobody has to ask before
each call whether the other is still there.
"""

import asyncio
from typing import Any

from hubbub.closes import Close
from hubbub.options import Limits
from hubbub.ports.metrics import Traffic
from hubbub.ports.transport import NO_WORD, Driven
from hubbub.protocol.codec import Prepared
from hubbub.protocol.session import Session


class _Nowhere(asyncio.Transport):
    def write(self, data: Any) -> None: ...
    def write_eof(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return True

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0


class _Nothing:
    def take(self, size: int) -> list[Prepared]:
        return []

    def sent(self, size: int) -> None: ...
    def drained(self) -> None: ...
    def blocked(self) -> None: ...


class _Nobody:
    outbound = _Nothing()
    session = Session(Limits(), credential=False)
    traffic = Traffic()

    def receive(self, data: str | bytes) -> None: ...
    def weigh(self, size: int) -> None: ...
    def heard(self) -> None: ...
    def close(self, close: Close) -> None: ...
    def lost(self, code: int = NO_WORD, reason: str = "") -> None: ...


NOWHERE = _Nowhere()
NOBODY: Driven = _Nobody()
NOBODY.session.close()
