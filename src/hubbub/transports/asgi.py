"""Any ASGI server: correct everywhere, fast nowhere.

The only transport with a reader: a task that always has a `receive` pending, because a server that may not hand over
a message stops reading, never sees the peer's pong, and closes a healthy client. Writing is a task that exists while
the outbox has something. What ASGI cannot do is abort: a peer that takes neither data nor close frame is left to the
server after `closing` seconds, while the hub has let go of it at once.

A task may have ended when the call that began it returns: an application can choose `asyncio.eager_task_factory`. So
what a task says of itself is said by itself, never by what its task is assigned to.
"""

import asyncio
import contextvars
import itertools
import logging

from starlette.websockets import WebSocket, WebSocketDisconnect

from hubbub.closes import Close
from hubbub.errors import described
from hubbub.ports.logs import Event, fields
from hubbub.ports.transport import NO_WORD, Driven
from hubbub.protocol.frames import PORTION

_log = logging.getLogger("hubbub.transports.asgi")

#: RFC 6455 section 7.1.5: a close frame without a code; also what the ASGI specification has where none is said.
_NO_CODE = 1005

#: Where a server with a transport of ours leaves what hands a socket over, in the scope's `extensions`.
EXTENSION = "hubbub.transport"

#: What servers and Starlette raise when the other side is gone: uvicorn an OSError, others a RuntimeError.
GONE = (OSError, RuntimeError, WebSocketDisconnect)


#: Codes that were told of: a server that has not got one has it for none of its sockets.
_unsaid: set[int] = set()


class ASGITransport:
    """Never clear: how much the server has buffered cannot be seen, so everything goes through the outbox."""

    pings = False
    writer = None
    outlives = False
    """The socket ends with the ASGI call."""

    def __init__(self, websocket: WebSocket, driven: Driven, *, closing: float) -> None:
        self._websocket = websocket
        self._driven = driven
        self._traffic = driven.traffic
        self._closing = closing
        self._close: Close | None = None
        self._pause = 0.0
        self._stopped: asyncio.Future[None] | None = None
        # The call's: whatever wraps `send` and `receive` finds there what it has put there, whoever sends.
        self._context = contextvars.copy_context()
        self._reader = asyncio.create_task(self._read())
        self._writer: asyncio.Task[None] | None = None
        """The last one."""
        self._writing = False
        self._deadline: asyncio.TimerHandle | None = None

    def ping(self) -> None:
        """The server does, where it was told to."""

    def flush(self) -> None:
        if not self._writing and not self._reader.done():
            self._writing = True
            self._writer = self._context.copy().run(asyncio.create_task, self._write())

    def close(self, close: Close) -> None:
        if self._close is None:
            self._close = close
            self._deadline = asyncio.get_running_loop().call_later(self._closing, self._reader.cancel)
            self.flush()
            self.read_on()

    def pause_reading(self, seconds: float) -> None:
        self._pause = max(self._pause, seconds)

    def stop_reading(self) -> None:
        if self._stopped is None:
            self._stopped = asyncio.get_running_loop().create_future()

    def read_on(self) -> None:
        stopped, self._stopped = self._stopped, None
        if stopped is not None and not stopped.done():
            stopped.set_result(None)

    async def wait(self) -> None:
        """Until the socket is gone, or was closed and did not go in time."""
        await asyncio.wait([self._reader])

    async def stop(self) -> None:
        """The ASGI call ends: nothing of this transport outlives it."""
        if self._deadline is not None:
            self._deadline.cancel()
        tasks = [task for task in (self._reader, self._writer) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._driven.lost()

    async def _read(self) -> None:
        # Not before the connection has been given this transport, whatever the task factory.
        await asyncio.sleep(0)
        code, reason = NO_WORD, ""
        try:
            for number in itertools.count(1):
                event = await self._websocket.receive()
                if event["type"] == "websocket.disconnect":
                    code, reason = event.get("code") or _NO_CODE, event.get("reason") or ""
                    break
                text = event.get("text")
                data = text if text is not None else event.get("bytes") or b""
                # A character has at most four bytes, and most have one.
                size = len(data) if text is None or text.isascii() else len(text.encode())
                self._traffic.bytes_in += size
                self._driven.weigh(size)
                self._driven.receive(data)
                if self._stopped is not None:
                    await self._stopped
                if self._pause or number % PORTION == 0:
                    # A server that has a message at hand lets nobody else run between two of them.
                    seconds, self._pause = self._pause, 0.0
                    await asyncio.sleep(seconds)
        except GONE:
            pass
        except Exception:  # noqa: BLE001 - a task's exception would be told to nobody
            _log.exception("reading from a socket failed", extra=fields(Event.SOCKET_FAILED))
        finally:
            self._driven.lost(code, reason)

    async def _write(self) -> None:
        try:
            while messages := self._driven.outbound.take(1):
                for message in messages:
                    await self._websocket.send({"type": "websocket.send", "text": message.text})
                    self._traffic.bytes_out += len(message)
                    self._driven.outbound.sent(len(message))
            if self._close is not None and not await _say(self._websocket, self._close):
                self._reader.cancel()
        except GONE:
            self._reader.cancel()
        except Exception:  # noqa: BLE001 - a task's exception would be told to nobody, with a message in it
            _log.exception("writing to a socket failed", extra=fields(Event.SOCKET_FAILED))
            self._reader.cancel()
        finally:
            self._writing = False


async def _say(websocket: WebSocket, close: Close) -> bool:
    """Close it; whether the server did. Daphne has of the codes below 3000 but one, 1000. Raises what GONE has."""
    try:
        await websocket.close(close.code, close.reason)
    except GONE:
        raise
    except Exception as error:  # noqa: BLE001 - each server has exceptions of its own
        if close.code not in _unsaid:
            _unsaid.add(close.code)
            why = described(error)
            _log.warning(
                "this server does not close with %d, and clients see 1006: %s",
                close.code,
                why,
                extra=fields(Event.CLOSE_CODE_UNSAID, code=close.code, cause=why),
            )
        return False
    return True
