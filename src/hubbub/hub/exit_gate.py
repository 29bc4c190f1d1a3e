"""A server that ends by itself, held back until its clients are sent away.

uvicorn looks ten times a second whether it is to end: because it has answered as many requests as it may
(`--limit-max-requests`, gunicorn's `--max-requests`), or because somebody has set its `should_exit`. There is no signal
then, and what follows at once is the end of all sockets. So that look is taken for it, and says "not yet" until the
hubs have drained; everything else the look does, as telling gunicorn that the worker lives, it goes on doing.

Watching `should_exit` from a task of our own lost: the server looks first, and a limit of requests never sets it.
"""

from collections.abc import Callable
from typing import Any


class ExitGate:
    """Between a uvicorn server and its end, until `open`. `may_end` is asked each time the server would end."""

    def __init__(self, server: Any, may_end: Callable[[], bool]) -> None:
        self._server = server
        self._may_end = may_end
        self._look = server.on_tick
        self._wanted = self._open = False
        server.on_tick = self._tick

    def open(self) -> None:
        """The server ends when it wants to."""
        self._open = True
        if vars(self._server).get("on_tick") == self._tick:
            # Not deleted: the application, or another gate, may have been there before.
            self._server.on_tick = self._look

    async def _tick(self, counter: int) -> bool:
        self._wanted = await self._look(counter) or self._wanted
        if not self._wanted or self._open or self._server.force_exit or self._may_end():
            return self._wanted
        # Or the look would log at each turn that the limit is reached. `should_exit` is left alone: once it is set,
        # uvicorn takes the first SIGINT for the second and leaves out the end of the lifespan.
        self._server.limit_max_requests = None
        return False


def gate(server: Any, may_end: Callable[[], bool]) -> ExitGate | None:
    """None where it is no server that looks, as far as anybody can see."""
    return ExitGate(server, may_end) if hasattr(server, "on_tick") and hasattr(server, "force_exit") else None
