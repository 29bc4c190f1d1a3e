"""What an application has run when connections come, move and go: the part of `Hub` that declares hooks."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import overload

from hubbub.errors import ConfigurationError
from hubbub.handlers.hooks import Named
from hubbub.hub.declarations import F
from hubbub.hub.hook_declarations import ROOM, USER, HookDeclarations


class HookDecorators(ABC):
    """Hooks run on every worker for its own connections, and at the edges of all workers on one of them."""

    @property
    @abstractmethod
    def _hooks(self) -> HookDeclarations:
        """Where they are kept."""

    @property
    @abstractmethod
    def _started(self) -> bool:
        """Whether it is too late to declare one."""

    def on_connect(self, function: F) -> F:
        """Run it for each connection whose client is known, before `welcome`; it may refuse it.

        Its parameters, here and below: `Connection`, `User`, FastAPI dependencies, closed when it returns. A plain
        `def` runs in a thread. Hooks of one kind run in the order in which they were declared. What raises Refused or
        an HTTPException of 4xx, or returns False, closes the socket with 4003 and its message; Unavailable (503) closes
        with 1013, and anything else is logged and closes with 1011. All must be through within `Limits.authenticate`.

        Raises ConfigurationError, here and below, for an impossible parameter, and while the hub runs.
        """
        return self._hook(function, self._hooks.connect)

    def still_valid(self, *, every: float) -> Callable[[F], F]:
        """Ask it about each user who is connected, every so many seconds, at least 1: whether that may go on.

        Its parameters: `User`, FastAPI dependencies; not the connection, because all tabs that came with the same user
        id, session and token id are asked about together, on each worker. It returns True or False: that closes them
        with 4005, as does what raises Unauthorized, Forbidden, or an HTTPException of 401 or 403. Whatever else it
        raises or returns is logged, and asked again after the interval.
        """
        return lambda function: self._hook(function, partial(self._hooks.still_valid, every))

    def on_disconnect(self, function: F) -> F:
        """Run it once for each connection that was through `on_connect`, when it has ended; it may take Disconnect.

        What it raises is logged, here and below. A hub that stops waits for it, as long as `Limits.closing`.
        """
        return self._hook(function, self._hooks.disconnect)

    @overload
    def on_join(self, pattern: F, /) -> F: ...
    @overload
    def on_join(self, pattern: str = ROOM) -> Callable[[F], F]: ...
    def on_join(self, pattern: F | str = ROOM) -> F | Callable[[F], F]:
        """Run it for each connection that has joined a room of the pattern, in whichever way, once it was answered.

        It may take the pattern's placeholders, as `rooms` has them; default any room, as `room`.
        """
        return self._named(self._hooks.moved, self._hooks.declared.join, pattern)

    @overload
    def on_leave(self, pattern: F, /) -> F: ...
    @overload
    def on_leave(self, pattern: str = ROOM) -> Callable[[F], F]: ...
    def on_leave(self, pattern: F | str = ROOM) -> F | Callable[[F], F]:
        """As `on_join`, when it has left: by request, put out, closed or lost. Before its `on_disconnect`."""
        return self._named(self._hooks.moved, self._hooks.declared.leave, pattern)

    def on_online(self, function: F) -> F:
        """Run it on one worker when a user's first tab anywhere has come; it may take `user_id` and Edge.

        Once for each time, whichever worker dies. Only where the worker that runs it dies, stops or loses the broker
        before it has ended, it is run again, on another, with the same `Edge.number`. One edge after the other, in
        order; one that takes 30 s is given up.
        """
        return self._hook(function, partial(self._hooks.edge, self._hooks.declared.online, USER))

    def on_offline(self, function: F) -> F:
        """As `on_online`, when a user's last tab anywhere has gone, after `Leaving.grace`."""
        return self._hook(function, partial(self._hooks.edge, self._hooks.declared.offline, USER))

    @overload
    def on_occupied(self, pattern: F, /) -> F: ...
    @overload
    def on_occupied(self, pattern: str = ROOM) -> Callable[[F], F]: ...
    def on_occupied(self, pattern: F | str = ROOM) -> F | Callable[[F], F]:
        """As `on_online`, when a room of the pattern got its first member on any worker; it may take Edge.

        And the pattern's placeholders, as `on_join`.
        """
        return self._named(self._hooks.edge, self._hooks.declared.occupied, pattern)

    @overload
    def on_vacated(self, pattern: F, /) -> F: ...
    @overload
    def on_vacated(self, pattern: str = ROOM) -> Callable[[F], F]: ...
    def on_vacated(self, pattern: F | str = ROOM) -> F | Callable[[F], F]:
        """As `on_occupied`, when the last member on any worker has gone, after `Leaving.grace`."""
        return self._named(self._hooks.edge, self._hooks.declared.vacated, pattern)

    def _hook(self, function: F, declare: Callable[[F], None]) -> F:
        if self._started:
            raise ConfigurationError("hooks are declared before the hub starts")
        declare(function)
        return function

    def _named(self, declare: Callable[[Named, str, F], None], kind: Named, pattern: F | str) -> F | Callable[[F], F]:
        if not isinstance(pattern, str):
            return self._hook(pattern, partial(declare, kind, ROOM))
        return lambda function: self._hook(function, partial(declare, kind, pattern))
