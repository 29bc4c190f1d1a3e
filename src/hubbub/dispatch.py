"""Running the application's functions: handlers of messages and checks of rooms.

One of the three places where any exception is caught: whatever a handler raises, its client gets an `error`, the log
gets one line with the connection's id and the traceback, and the connection stays. The application's functions share
the event loop with everybody, so each is watched: one that holds the loop longer than allowed is named in the log,
once, and counted every time.
"""

import logging
import time
import types
from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import Any, TypeVar

from hubbub.errors import Forbidden, InternalError, Refused, UnknownRoom, UnknownType
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
        own[handler.model] = handler.read(message.fields)
        return await self._run(handler.function, scope, own, {}, who)

    async def may_join(self, room: RoomName, scope: Scope, own: dict[type, Any], *, who: str) -> RoomOptions:
        """The room's options. Raises UnknownRoom, Forbidden, or whatever else Refused the check came to."""
        match = None if is_own_room(room) else self._rooms.match(room)
        if match is None:
            raise UnknownRoom(field="room")
        if not await self._run(match.value.check, scope, own, match.params, who):
            raise Forbidden("you may not join this room", field="room")
        return match.value.options

    def options_of(self, room: RoomName) -> RoomOptions:
        """The options of a room the application joins somebody to by itself, unchecked."""
        match = self._rooms.match(room)
        return match.value.options if match else RoomOptions()

    async def _run(
        self, function: Injected, scope: Scope, own: dict[type, Any], params: Mapping[str, str], who: str
    ) -> Any:
        try:
            return await self._watched(function.name, function(scope, own, params))
        except Refused:
            raise
        except Exception:  # noqa: BLE001 - whatever the application's function raises is the client's `internal`
            self._metrics.count(Count.HANDLER_FAILED)
            _log.exception("%s failed for connection %s", function.name, who)
            raise InternalError from None

    @types.coroutine
    def _watched(self, name: str, coroutine: Coroutine[Any, Any, R]) -> Generator[Any, Any, R]:
        """Drive a coroutine and time every stretch of it between two awaits: only those hold the event loop."""
        step: Callable[[], Any] = lambda: coroutine.send(None)  # noqa: E731
        while True:
            started = self._stopwatch()
            try:
                awaited = step()
            except StopIteration as stop:
                result: R = stop.value
                return result
            finally:
                took = self._stopwatch() - started
                if took > self._blocking:
                    self._complain(name, took)
            try:
                answer = yield awaited
            except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine, whatever it is
                step = _throw(coroutine, error)
            else:
                step = _send(coroutine, answer)

    def _complain(self, name: str, took: float) -> None:
        self._metrics.count(Count.HANDLER_BLOCKED)
        if name not in self._warned:
            self._warned.add(name)
            _log.warning("%s blocked the event loop for %.0f ms: every client of this worker waited", name, took * 1000)


def _send(coroutine: Coroutine[Any, Any, R], value: Any) -> Callable[[], Any]:
    return lambda: coroutine.send(value)


def _throw(coroutine: Coroutine[Any, Any, R], error: BaseException) -> Callable[[], Any]:
    return lambda: coroutine.throw(error)
