"""The hooks that an application declares: what of a connection and of a name each may ask for."""

import math
from collections.abc import Callable
from typing import Any

from hubbub.connection.connection import Connection
from hubbub.errors import ConfigurationError
from hubbub.handlers.hooks import Hooks, Named
from hubbub.ports.injection import Injected, Injection
from hubbub.rooms.patterns import Patterns, placeholders
from hubbub.types import Disconnect, Edge, User

#: What stands for a user's id among the parameters of a hook, in any form an id may have.
USER = "{user_id:path}"
#: The pattern of a hook that says none: any room.
ROOM = "{room:path}"


class HookDeclarations:
    """As `hubbub.Hub.on_connect` and its like say."""

    def __init__(self, injection: Injection) -> None:
        self._injection = injection
        self.declared = Hooks()

    def connect(self, function: Callable[..., Any]) -> None:
        self.declared.connect.append(self._prepare(function, None))

    def disconnect(self, function: Callable[..., Any]) -> None:
        self.declared.disconnect.append(self._prepare(function, Disconnect))

    def still_valid(self, every: object, function: Callable[..., Any]) -> None:
        if isinstance(every, bool) or not isinstance(every, int | float) or not 1 <= every < math.inf:
            raise ConfigurationError(f"still_valid(every=…) is a number of seconds, at least 1, not {every!r}")
        self.declared.still_valid.append((self._prepare(function, None, lacking=(Connection,)), float(every)))

    def moved(self, kind: Named, pattern: str, function: Callable[..., Any]) -> None:
        self._declare(kind, pattern, function, None)

    def edge(self, kind: Named, pattern: str, function: Callable[..., Any]) -> None:
        self._declare(kind, pattern, function, Edge, lacking=(Connection,) if pattern == USER else (Connection, User))

    def _declare(
        self,
        kind: Named,
        pattern: str,
        function: Callable[..., Any],
        message: type | None,
        *,
        lacking: tuple[type, ...] = (),
    ) -> None:
        try:
            names = frozenset(placeholders(pattern))
            hook = self._prepare(function, message, names, lacking)
            patterns: Patterns[Injected] = Patterns()
            patterns.declare(pattern, hook, hook.annotations)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        kind.append(patterns)

    def _prepare(
        self,
        function: Callable[..., Any],
        message: type | None,
        names: frozenset[str] = frozenset(),
        lacking: tuple[type, ...] = (),
    ) -> Injected:
        return self._injection.prepare(function, message=message, caller=Connection, path_params=names, lacking=lacking)
