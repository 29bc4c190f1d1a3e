"""What an application declares on its hub: handlers, rooms, facts. Costs nothing and binds nothing to an event loop."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

from hubbub.connection.connection import Connection
from hubbub.errors import ConfigurationError, Refused
from hubbub.handlers.fastapi import FastAPIInjection
from hubbub.handlers.models import models_of, types_of
from hubbub.handlers.refusals import RefusalTable
from hubbub.handlers.table import HandlerTable
from hubbub.hub.hook_declarations import HookDeclarations
from hubbub.options import Keep, Limits, RoomOptions, RoomRate, Slow, check_fits, check_rate_fits
from hubbub.ports.injection import Injected, Injection
from hubbub.rooms.declared import EVERYBODY, DeclaredRooms, Permissions, Rule
from hubbub.rooms.patterns import Patterns, placeholders
from hubbub.scheduling.calls import generates, runs_in_loop

F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound=Exception)


class Declarations:
    """What has been declared so far; a hub that starts reads it."""

    def __init__(self, hub: object = None, limits: Limits | None = None) -> None:
        self._limits = Limits() if limits is None else limits
        self.refusals = RefusalTable()
        self._injection: Injection = FastAPIInjection(hub, self.refusals)
        self.handlers: HandlerTable[Injected] = HandlerTable()
        self.declared: DeclaredRooms = DeclaredRooms(Patterns())
        self.hooks: HookDeclarations = HookDeclarations(self._injection)
        self.measures: list[Callable[[], dict[str, Any]]] = []

    def on(self, model: Any, *, at_once: bool = False) -> Callable[[F], F]:
        """As `hubbub.Hub.on`."""
        try:
            for each in models_of(model):
                types_of(each)
        except ValueError as error:
            raise ConfigurationError(f"@hub.on: {error}") from None

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
        presence_data: bool = False,
        history: Keep = None,
        slow: Slow | Literal["disconnect", "drop_oldest", "latest"] = Slow.DISCONNECT,
        rate: RoomRate | None = None,
        may_publish: Callable[..., Any] | None = None,
        may_read_history: Callable[..., Any] | None = None,
        may_see_presence: Callable[..., Any] | None = None,
    ) -> Callable[[F], F]:
        """As `hubbub.Hub.rooms`."""
        if not isinstance(pattern, str):
            raise ConfigurationError(f'@hub.rooms takes a pattern like "team:{{team_id}}", not {pattern!r}')

        def declare(function: F) -> F:
            try:
                if presence not in (True, False, "diff"):
                    raise ValueError(f'presence is True, False or "diff", not {presence!r}')
                if presence_data not in (True, False):
                    raise ValueError(f"presence_data is True or False, not {presence_data!r}")
                if rate is not None and not isinstance(rate, RoomRate):
                    raise ValueError(f"rate is a RoomRate or None, not {rate!r}")
                if may_see_presence is not None and not presence:
                    raise ValueError("may_see_presence needs presence: without it nobody sees who is there")
                names = frozenset(placeholders(pattern))
                prepare = partial(self._injection.prepare, message=None, caller=Connection, path_params=names)
                check = prepare(function)
                asked = (may_publish, may_read_history, may_see_presence)
                given = Permissions(*(each and prepare(each) for each in asked)) if any(asked) else EVERYBODY
                options = RoomOptions(
                    presence=bool(presence),
                    presence_data=presence_data,
                    diff=presence == "diff",
                    history=history,
                    slow=Slow(slow),
                    rate=rate,
                )
                check_fits(history, self._limits)
                check_rate_fits(rate, self._limits)
                self.declared.patterns.declare(pattern, Rule(check, options, given), check.annotations)
            except ValueError as error:
                raise ConfigurationError(str(error)) from None
            return function

        return declare

    def refuses(self, kind: type[E]) -> Callable[[Callable[[E], Refused]], Callable[[E], Refused]]:
        """As `hubbub.Hub.refuses`."""
        self.refusals.check(kind)

        def declare(tell: Callable[[E], Refused]) -> Callable[[E], Refused]:
            self.refusals.declare(kind, tell)
            return tell

        return declare

    def facts(self, measure: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
        """As `hubbub.Hub.facts`."""
        if not callable(measure) or runs_in_loop(measure) or generates(measure):
            raise ConfigurationError(f"{measure!r}: facts are measured by a plain function, in the event loop")
        self.measures.append(measure)
        return measure
