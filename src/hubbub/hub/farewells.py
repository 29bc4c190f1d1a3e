"""Sockets that are accepted only to be told why they are refused: how many at once, and for how long.

A browser shows a script nothing of a handshake that is refused, so a bad credential is answered by a close code; which
whoever has none can ask for without end. Each is let go after a second, where the socket is ours to drop; on other
servers it is the server that waits for the peer's answer (uvicorn's own class: 10 s), and only their number is bounded.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.websockets import WebSocket

from hubbub.closes import Close
from hubbub.transports.asgi import EXTENSION, GONE
from hubbub.transports.null import NOBODY

PATIENCE = 1.0
"""Seconds for the peer to answer a close frame."""
SERVERS_OWN = 10.0
"""The same where the server waits, and nobody is told when it has ended."""


class Farewells:
    """`most` at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.under_way: int = 0

    @property
    def full(self) -> bool:
        return self.under_way >= self._most

    async def say(self, websocket: WebSocket, close: Close, accept: Callable[[], Awaitable[None]]) -> None:
        """Accept and close it. Returns when it is gone, or the server has it. Raises what `accept` raises."""
        self.under_way += 1
        left = 0.0
        try:
            await accept()
            take_over = websocket.scope.get("extensions", {}).pop(EXTENSION, None)
            socket = take_over and take_over(NOBODY, limit=1, closing=PATIENCE)
            if socket is not None:
                socket.close(close)
                await socket.wait()
            else:
                left = SERVERS_OWN
                with suppress(*GONE):
                    await websocket.close(close.code, close.reason)
        finally:
            if left:
                asyncio.get_running_loop().call_later(left, self._over)
            else:
                self._over()

    def _over(self) -> None:
        self.under_way -= 1
