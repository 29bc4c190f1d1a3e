"""Running the application's functions: handlers of messages and checks of rooms.

Whatever a handler raises leaves here as `Refused`, of which `connection/requests.py` makes the client's `error`. What
nobody meant to raise is one line in the log, with the connection's id and the traceback, and the connection stays. The
application's functions share the event loop with everybody, so each is watched: one that holds the loop longer than
allowed is counted, and said to who tells of it, with what stands there (`scheduling/watchdog.py`).
"""

import logging
import math
import time
import types
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from functools import partial
from inspect import isawaitable
from types import MappingProxyType, NoneType
from typing import Any, NoReturn, TypeAlias, TypeVar

from pydantic import ValidationError

from hubbub.errors import (
    ConnectionClosed,
    Forbidden,
    InternalError,
    Refused,
    UnknownRoom,
    UnknownType,
    WrongAnswer,
    described,
)
from hubbub.handlers.first_step import first_step
from hubbub.handlers.results import faults_of
from hubbub.handlers.table import HandlerTable
from hubbub.options import RoomOptions
from hubbub.ports.clock import Clock
from hubbub.ports.injection import Caller, Injected
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import SECONDS, Count, Histogram, Metrics
from hubbub.ports.tracing import Outcomes
from hubbub.protocol.concern import concern
from hubbub.protocol.messages import is_own_room
from hubbub.protocol.session import Message
from hubbub.rooms.declared import EVERYBODY, DeclaredRooms
from hubbub.rooms.joins import ALL, Allowed
from hubbub.scheduling.calls import settled
from hubbub.scheduling.limited_log import LimitedLog
from hubbub.scheduling.tasks import is_our_end
from hubbub.types import RoomName

_log = logging.getLogger("hubbub.dispatch")

_FIRST = SECONDS[0]

R = TypeVar("R")

#: Who is told that a function held the event loop until now: its name, its code and for how many seconds.
Held: TypeAlias = Callable[[str, types.CodeType | None, float], None]

_NOTHING = object()
#: What nobody has to await. Asked of every result, because `isawaitable` takes as long as a small handler.
_PLAIN = frozenset({NoneType, bool, int, float, str, list, tuple, dict})
_NO_PARAMS: Mapping[str, str] = MappingProxyType({})


class Dispatch:
    def __init__(
        self,
        handlers: HandlerTable[Injected],
        rooms: DeclaredRooms,
        metrics: Metrics,
        *,
        blocking: float | None,
        clock: Clock,
        held: Held = lambda name, code, seconds: None,
        stopwatch: Callable[[], float] = time.perf_counter,
        outcomes: Outcomes | None = None,
    ) -> None:
        self._outcomes = outcomes
        self._handlers = handlers
        self._rooms = rooms
        self._metrics = metrics
        self._blocking = math.inf if blocking is None else blocking
        self._held = held
        self._stopwatch = stopwatch
        self.told: LimitedLog = LimitedLog(_log, clock)
        """Of what failed: who can make a handler raise can make it raise a thousand times a second."""

    def handle(self, message: Message, caller: Caller) -> tuple[bool, Any]:
        """Run the handler of this type until it waits: True and what it returned, or False and what to await for that.

        Both raise Refused, whatever happened. To be called within a task.
        """
        handler = self._handlers.get(message.type)
        if handler is None:
            raise UnknownType(f"no handler for this type: {message.type[:64]}", field="type")
        function = handler.function
        try:
            # By name: an object that is called is reached by way of C, a method is not.
            coroutine = function.__call__(caller, handler.read(message.fields), _NO_PARAMS)
            # The first stretch of `watched`, without it: nearly all handlers have no other.
            started = self._stopwatch()
            try:
                ended = first_step(coroutine)
            finally:
                took = self._stopwatch() - started
                if took > self._blocking:
                    self._complain(function, took)
        except Refused:
            raise
        except BaseException as error:  # noqa: BLE001 - looked at there
            self._judge(error, function, caller)
        done, came = ended
        if done and (type(came) in _PLAIN or not isawaitable(came)):
            # As `Histogram.observe`, without the call, and nearly all are under the first bound.
            times = handler.times
            times.counts[bisect_left(SECONDS, took) if took > _FIRST else 0] += 1
            times.sum += took
            return ended
        running = settled(came) if done else self.watched(function, coroutine, came)
        return False, self._judged(function, self._timed(handler.times, started, running), caller)

    async def may_join(self, room: RoomName, caller: Caller) -> RoomOptions:
        """The room's options. Raises UnknownRoom, Forbidden, or whatever else Refused the check came to."""
        match = None if is_own_room(room) else self._rooms.match(room)
        if match is None:
            raise UnknownRoom(field="room")
        if await self._admits(match.value.check, caller, match.params):
            return match.value.options
        raise Forbidden("you may not join this room", field="room")

    async def allowed(self, room: RoomName, caller: Caller) -> Allowed:
        """What it may in a room beside being in it, as far as it is asked for now. Raises Refused, but for Forbidden.

        Whether it may publish is asked for later, each time.
        """
        match = self._rooms.match(room) if self._rooms.asks else None
        if match is None or match.value.permissions is EVERYBODY:
            return ALL
        publish, history, presence = match.value.permissions
        return Allowed(
            history=history is None or await self._allows(history, caller, match.params),
            presence=presence is None or await self._allows(presence, caller, match.params),
            publish=None if publish is None else partial(self._may_publish, publish, caller, match.params),
        )

    async def _may_publish(self, check: Injected, caller: Caller, params: Mapping[str, str]) -> None:
        if not await self._admits(check, caller, params):
            raise Forbidden("you may not publish in this room", field="room")

    async def _allows(self, check: Injected, caller: Caller, params: Mapping[str, str]) -> bool:
        try:
            return await self._admits(check, caller, params)
        except Forbidden:
            return False

    async def _admits(self, check: Injected, caller: Caller, params: Mapping[str, str]) -> bool:
        admitted = await self.call(check, caller, params)
        if type(admitted) is not bool:
            # Never by its truth: what says no in a way of its own, and what nobody awaited, is true as well.
            hint = ": does a way through it end without `return`?" if admitted is None else ""
            said = type(admitted).__qualname__
            self._judge(WrongAnswer(f"a check returns True or False, not {said}{hint}"), check, caller)
        return admitted

    async def may_connect(self, hook: Injected, caller: Caller) -> None:
        """Raises Forbidden where it returns False, or whatever else Refused it comes to."""
        admitted = await self.call(hook, caller)
        if admitted is False:
            raise Forbidden("you may not connect")
        if admitted is not None and admitted is not True:
            said = type(admitted).__qualname__
            self._judge(WrongAnswer(f"a hook returns nothing, True or False, not {said}"), hook, caller)

    async def call(
        self, function: Injected, caller: Caller, params: Mapping[str, str] = _NO_PARAMS, message: Any = None
    ) -> Any:
        """What a check or a hook returns. Raises Refused, whatever happened."""
        return await self._judged(function, self.watched(function, function(caller, message, params)), caller)

    async def _timed(self, times: Histogram, started: float, running: Awaitable[R]) -> R:
        try:
            return await running
        finally:
            times.observe(self._stopwatch() - started)

    async def _judged(self, function: Injected, running: Awaitable[R], caller: Caller) -> R:
        try:
            came = await running
            return came if type(came) in _PLAIN else await settled(came)
        except Refused:
            raise
        except BaseException as error:  # noqa: BLE001 - looked at there
            self._judge(error, function, caller)

    def _judge(self, error: BaseException, function: Injected, caller: Caller) -> NoReturn:
        """What a function raised. Raises Refused, and nothing else unless we are being cancelled ourselves."""
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]  # as a task group has it
        try:
            refused = function.refusal(error)
        except BaseException as odd:  # the application's: it was to say what that means
            if is_our_end(odd):
                raise
            refused, error = None, odd
        if refused is not None:
            raise refused from error
        if isinstance(error, ConnectionClosed) and error.connection == caller.id:
            # The function was still working for a client that has left: nobody's fault.
            raise InternalError from None
        if is_our_end(error):
            raise error
        self._metrics.count(Count.HANDLER_FAILED)
        kind = f"{function.name} failed by {type(error).__qualname__}"
        text, args = "%s failed for connection %s", (function.name, caller.id)
        if isinstance(error, WrongAnswer):
            # Its text is ours, and there are few of them.
            self.told.tell(
                f"{function.name} failed: {error}",
                f"{text}: %s",
                *args,
                error,
                level=logging.ERROR,
                extra=fields(Event.HANDLER_FAILED, connection=caller.id, function=function.name),
            )
        elif isinstance(error, ValidationError):
            # Its text quotes what was validated, which mostly is the message.
            self.told.tell(
                kind,
                f"{text}: %s: %s",
                *args,
                described(error),
                faults_of(error),
                level=logging.ERROR,
                extra=fields(Event.HANDLER_FAILED, connection=caller.id, function=function.name),
            )
        else:
            concern(error, caller.handshake)
            self.told.tell(
                kind,
                text,
                *args,
                level=logging.ERROR,
                error=error,
                extra=fields(Event.HANDLER_FAILED, connection=caller.id, function=function.name),
            )
        if self._outcomes is not None:
            self._outcomes.failed(error)
        raise InternalError from None

    @types.coroutine
    def watched(
        self, function: Injected, coroutine: Coroutine[Any, Any, R], awaited: Any = _NOTHING
    ) -> Generator[Any, Any, R]:
        """Drive a coroutine and time every stretch of it between two awaits: only those hold the event loop.

        `awaited`: what it waits for, where it has been begun.
        """
        while True:
            answer: Any = None
            thrown: BaseException | None = None
            if awaited is not _NOTHING:
                try:
                    answer = yield awaited
                except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine, whatever it is
                    thrown = error
            started = self._stopwatch()
            try:
                awaited = coroutine.send(answer) if thrown is None else coroutine.throw(thrown)
            except StopIteration as stop:
                result: R = stop.value
                return result
            finally:
                took = self._stopwatch() - started
                if took > self._blocking:
                    self._complain(function, took)

    def _complain(self, function: Injected, took: float) -> None:
        self._metrics.count(Count.HANDLER_BLOCKED)
        self._held(function.name, function.code, took)
