"""The overview every two seconds, to all who watch it on this worker: asked of the cluster once for all of them."""

import asyncio
import time
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from hubbub.errors import HubbubError
from hubbub.hub.hub import Hub
from hubbub.integrations.admin.cluster import overview

#: Seconds from one overview to the next.
EVERY = 2.0
#: On one worker at once.
MOST = 100


class Live:
    """The watchers of one hub on this worker."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._watchers: set[asyncio.Future[dict[str, Any]]] = set()
        self._number = 0
        self._asking: asyncio.Task[None] | None = None
        self.count: int = 0

    async def watch(self, websocket: WebSocket, until: float) -> None:
        """Send what there is to be seen until it goes, or until that Unix time in seconds, when it is closed."""
        self.count += 1
        gone = asyncio.create_task(_gone(websocket))
        try:
            while not gone.done():
                coming = self._next()
                await asyncio.wait(
                    (gone, coming), return_when=asyncio.FIRST_COMPLETED, timeout=max(0, until - time.time())
                )
                if coming.done() and not gone.done():
                    await websocket.send_json(coming.result())
                self._watchers.discard(coming)
                if time.time() >= until and not gone.done():
                    await websocket.close(4001, "the session has ended: log in again")
                    return
        except WebSocketDisconnect:
            pass
        finally:
            self.count -= 1
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    def _next(self) -> asyncio.Future[dict[str, Any]]:
        coming: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._watchers.add(coming)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return coming

    async def _ask(self) -> None:
        """Until nobody watches any more."""
        while self._watchers:
            said: dict[str, Any] = {}
            failed: Exception | None = None
            try:
                said = {"type": "overview", **await overview(self._hub, time.time())}
            except HubbubError as error:
                said = {"type": "error", "at": time.time(), "detail": str(error)}
            except Exception as error:  # noqa: BLE001 - each who watches fails by it, and nobody waits for ever
                failed = error
            waiting, self._watchers = self._watchers, set()
            for coming in waiting:
                if coming.done():
                    continue
                if failed is None:
                    coming.set_result(said)
                else:
                    coming.set_exception(failed)
                    coming.exception()  # one that has just gone does not look
            await asyncio.sleep(EVERY)


async def _gone(websocket: WebSocket) -> None:
    """Nothing that comes means anything, until it goes."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
