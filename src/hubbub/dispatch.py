"""Running the application's functions: handlers of messages and checks of rooms.

One of the three places where any exception is caught: whatever a handler raises, its client gets an `error`, the log
gets one line with the connection's id and the traceback, and the connection stays. The application's functions share
the event loop with everybody, so each is watched: one that holds the loop longer than allowed is named in the log,
once, and counted every time.
"""

import asyncio
import logging
import time
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from hubbub.errors import ConnectionClosed, Forbidden, InternalError, Refused, UnknownRoom, UnknownType
from hubbub.options import RoomOptions
from hubbub.ports.injection import Injected, Scope
from hubbub.ports.metrics import Count, Metrics
from hubbub.session import Message
from hubbub.state.handlers import Handlers
from hubbub.state.patterns import Patterns
from hubbub.types import RoomName
from hubbub.wire.messages import is_own_room

_log = logging.getLogger("hubbub.dispatch")

R = TypeVar("R")


class Rule:
    """What `@hub.rooms` declared: the check, and the options of the rooms it admits to."""

    def __init__(self, check: Injected, options: RoomOptions) -> None:
        self.check = check
        self.options = options


class Dispatch:
    def __init__(
        self,
        handlers: Handlers[Injected],
        rooms: Patterns[Rule],
        metrics: Metrics,
        *,
        blocking: float,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._handlers = handlers
        self._rooms = rooms
        self._metrics = metrics
        self._blocking = blocking
        self._stopwatch = stopwatch
        self._warned: set[str] = set()

    async def handle(self, message: Message, scope: Scope, own: dict[type, Any], *, who: str) -> Any:
        """What the handler of this type returned. Raises Refused, whatever happened."""
        handler = self._handlers.get(message.type)
        if handler is None:
            raise UnknownType(f"no handler for this type: {message.type[:64]}", field="type")
        with self._guard(handler.function.name, who):
            own[handler.model] = handler.read(message.fields)
            return await self._watched(handler.function.name, handler.function(scope, own, {}))

    async def may_join(self, room: RoomName, scope: Scope, own: dict[type, Any], *, who: str) -> RoomOptions:
        """The room's options. Raises UnknownRoom, Forbidden, or whatever else Refused the check came to."""
        match = None if is_own_room(room) else self._rooms.match(room)
        if match is None:
            raise UnknownRoom(field="room")
        check = match.value.check
        with self._guard(check.name, who):
            allowed = await self._watched(check.name, check(scope, own, match.params))
        if not allowed:
            raise Forbidden("you may not join this room", field="room")
        return match.value.options

    def options_of(self, room: RoomName) -> RoomOptions:
        """The options of a room the application joins somebody to by itself, unchecked."""
        match = self._rooms.match(room)
        return match.value.options if match else RoomOptions()

    @contextmanager
    def _guard(self, name: str, who: str) -> Iterator[None]:
        """Let Refused through, and nothing else."""
        try:
            yield
        except Refused:
            raise
        except ConnectionClosed as error:
            # The function was still working for a client that has left: nobody's fault.
            if error.connection != who:
                self._failed(name, who)
            raise InternalError from None
        except asyncio.CancelledError:
            # Either we are cancelled, or the function awaited something that was.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._failed(name, who)
            raise InternalError from None
        except Exception:  # noqa: BLE001 - whatever the application's function raises is the client's `internal`
            self._failed(name, who)
            raise InternalError from None

    def _failed(self, name: str, who: str) -> None:
        self._metrics.count(Count.HANDLER_FAILED)
        _log.exception("%s failed for connection %s", name, who)

    @types.coroutine
    def _watched(self, name: str, coroutine: Coroutine[Any, Any, R]) -> Generator[Any, Any, R]:
        """Drive a coroutine and time every stretch of it between two awaits: only those hold the event loop."""
        answer: Any = None
        thrown: BaseException | None = None
        while True:
            started = self._stopwatch()
            try:
                awaited = coroutine.send(answer) if thrown is None else coroutine.throw(thrown)
            except StopIteration as stop:
                result: R = stop.value
                return result
            finally:
                took = self._stopwatch() - started
                if took > self._blocking:
                    self._complain(name, took)
            answer = thrown = None
            try:
                answer = yield awaited
            except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine, whatever it is
                thrown = error

    def _complain(self, name: str, took: float) -> None:
        self._metrics.count(Count.HANDLER_BLOCKED)
        if name not in self._warned:
            self._warned.add(name)
            _log.warning("%s blocked the event loop for %.0f ms: every client of this worker waited", name, took * 1000)
