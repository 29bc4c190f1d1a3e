"""What an application declares on its hub: handlers, rooms, facts. Costs nothing and binds nothing to an event loop."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from hubbub.connection.connection import Connection
from hubbub.errors import ConfigurationError
from hubbub.handlers.fastapi import FastAPIInjection
from hubbub.handlers.table import HandlerTable
from hubbub.options import History, RoomOptions, Slow
from hubbub.ports.injection import Injected
from hubbub.rooms.declared import DeclaredRooms, Rule
from hubbub.rooms.patterns import Patterns, placeholders

F = TypeVar("F", bound=Callable[..., Any])


class Declarations:
    """One half of the hub; the other, `hubbub.hub.Hub`, is what it is asked."""

    def __init__(self) -> None:
        self._injection = FastAPIInjection()
        self.handlers: HandlerTable[Injected] = HandlerTable()
        self.declared = DeclaredRooms(Patterns())
        self.measures: list[Callable[[], dict[str, Any]]] = []

    def on(self, model: type[BaseModel]) -> Callable[[F], F]:
        """Handle the messages of a model, by its `type: Literal[…]`.

        The function's parameters are the message (by its annotation), `Connection`, `User`, and FastAPI dependencies,
        resolved and closed per message. What it returns is the `result` of the `ack`. A plain `def` runs in a thread.

        Raises ConfigurationError for a model without a type, a type with a handler, or an impossible parameter.
        """

        def declare(function: F) -> F:
            injected = self._injection.prepare(function, message=model, caller=Connection, path_params=frozenset())
            try:
                self.handlers.declare(model, injected)
            except ValueError as error:
                raise ConfigurationError(str(error)) from None
            return function

        return declare

    def rooms(
        self,
        pattern: str,
        *,
        presence: bool | Literal["diff"] = False,
        history: History | None = None,
        slow: Slow | Literal["disconnect", "drop_oldest", "latest"] = Slow.DISCONNECT,
    ) -> Callable[[F], F]:
        """Declare which rooms exist and who may join them; without a declaration there is no room.

        The function gets the pattern's placeholders, converted by their annotations, `User`, `Connection` and FastAPI
        dependencies, and returns whether this user may join. `presence`: members see each other, one notice each, or
        with "diff" one `presence_diff` for all who came and went in half a second. `history`: what is kept, so that
        who comes back misses nothing. `slow`: what becomes of messages a reader is too slow for, see
        `hubbub.options.Slow`.

        Raises ConfigurationError for a bad pattern, parameter, `presence` or `slow`, and for `latest` with history.
        """

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
        """Add what `measure` returns to what this worker reports of itself, twice a second; seen in `stats`."""
        self.measures.append(measure)
        return measure
