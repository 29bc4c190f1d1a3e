"""What an application declares on its hub: handlers, rooms, facts. Costs nothing and binds nothing to an event loop."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from hubbub.connection.connection import Connection
from hubbub.errors import ConfigurationError
from hubbub.handlers.fastapi import FastAPIInjection
from hubbub.handlers.table import HandlerTable
from hubbub.options import Keep, RoomOptions, Slow
from hubbub.ports.injection import Injected, Injection
from hubbub.rooms.declared import DeclaredRooms, Rule
from hubbub.rooms.patterns import Patterns, placeholders
from hubbub.scheduling.calls import generates, runs_in_loop

F = TypeVar("F", bound=Callable[..., Any])


class Declarations:
    """What has been declared so far; a hub that starts reads it."""

    def __init__(self) -> None:
        self._injection: Injection = FastAPIInjection()
        self.handlers: HandlerTable[Injected] = HandlerTable()
        self.declared = DeclaredRooms(Patterns())
        self.measures: list[Callable[[], dict[str, Any]]] = []

    def on(self, model: type[BaseModel], *, at_once: bool = False) -> Callable[[F], F]:
        """As `hubbub.Hub.on`."""

        def declare(function: F) -> F:
            injected = self._injection.prepare(function, message=model, caller=Connection, path_params=frozenset())
            try:
                self.handlers.declare(model, injected, at_once=at_once)
            except ValueError as error:
                raise ConfigurationError(str(error)) from None
            return function

        return declare

    def rooms(
        self,
        pattern: str,
        *,
        presence: bool | Literal["diff"] = False,
        history: Keep = None,
        slow: Slow | Literal["disconnect", "drop_oldest", "latest"] = Slow.DISCONNECT,
    ) -> Callable[[F], F]:
        """As `hubbub.Hub.rooms`."""

        def declare(function: F) -> F:
            try:
                if presence not in (True, False, "diff"):
                    raise ValueError(f'presence is True, False or "diff", not {presence!r}')
                names = frozenset(placeholders(pattern))
                check = self._injection.prepare(function, message=None, caller=Connection, path_params=names)
                options = RoomOptions(
                    presence=bool(presence), diff=presence == "diff", history=history, slow=Slow(slow)
                )
                self.declared.patterns.declare(pattern, Rule(check, options), check.annotations)
            except ValueError as error:
                raise ConfigurationError(str(error)) from None
            return function

        return declare

    def facts(self, measure: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
        """As `hubbub.Hub.facts`."""
        if runs_in_loop(measure) or generates(measure):
            raise ConfigurationError(f"{measure!r}: facts are measured by a plain function, in the event loop")
        self.measures.append(measure)
        return measure
