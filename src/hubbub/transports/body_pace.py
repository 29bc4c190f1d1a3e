"""A request's body that has begun goes on: within each 20 s of reading as much as 500 bytes a second.

Only what a peer may send counts: while the application reads nothing, and so the server does not either, no time
passes. An upload of any size and length is let through by any line that works.
"""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl

from hubbub.transports.environment import chosen

BODY = chosen("TIMEOUT_BODY", 20.0)
"""Seconds of reading after which it is looked at how much has come."""
RATE = chosen("MIN_BODY_RATE", 500.0)
"""Bytes a second in that time: Apache's figure."""


class Flow(FlowControl):
    """uvicorn's, which remembers whether reading was held."""

    held = False

    def pause_reading(self) -> None:
        self.held = True
        super().pause_reading()


class BodyPace:
    """Watches from now on until `cancel`, and calls back once where too little comes."""

    def __init__(self, flow: Flow, too_slow: Callable[[], object]) -> None:
        self.received = 0
        """Bytes that have come: the owner's to count."""
        self._flow = flow
        self._too_slow = too_slow
        self._begin()

    def cancel(self) -> None:
        self._timer.cancel()

    def _begin(self) -> None:
        self.received = 0
        self._flow.held = self._flow.read_paused
        self._timer = asyncio.get_running_loop().call_later(BODY, self._look)

    def _look(self) -> None:
        if self._flow.held or self.received >= BODY * RATE:
            self._begin()
        else:
            self._too_slow()
