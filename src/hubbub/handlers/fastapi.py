"""FastAPI's dependencies, per message: the one file that knows FastAPI's insides for it.

`get_dependant` and `solve_dependencies` are not documented by FastAPI, but they are what makes `Depends` mean here
what it means in a path operation, `dependency_overrides` included; a resolver of our own would be a second dialect.
What the hub fills itself (message, connection, user, hub) is left out of the signature FastAPI sees of a handler. Of a
dependency FastAPI sees it as one more dependency, which gives what the message is handled with: so it can be asked for
at any depth, and all else stays FastAPI's. Dependencies are resolved on a copy of the handshake's scope with exit
stacks of their own, and those are closed before the answer is sent: a database connection is held for a message, not
for the life of a socket. Where there is nothing to resolve, nothing of this happens.

The file is longer than others, so that it stays the one that knows them.
"""

import inspect
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from operator import itemgetter
from typing import Any, Self

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant, solve_dependencies
from fastapi.exceptions import FastAPIError
from fastapi.params import Depends
from starlette.concurrency import run_in_threadpool
from starlette.types import Message
from starlette.websockets import WebSocket

from hubbub.errors import ConfigurationError, InvalidMessage, Refused
from hubbub.handlers.own import MESSAGE, OWN, USER, OwnValues, depends, shown
from hubbub.handlers.refusals import RefusalTable
from hubbub.handlers.results import telling
from hubbub.handlers.signatures import code_of, name_for, name_of, parameters_of, signature_of
from hubbub.ports.injection import Caller
from hubbub.protocol.handshake import Handshake
from hubbub.scheduling.calls import awaiting, makes_coroutine, runs_in_loop, settled

_NOTHING_KNOWN = "neither the declared message, nor Connection, User, Hub or a dependency, nor what a handshake carries"


class FastAPIInjection:
    """The injection port, by FastAPI. `hub` is what a parameter of its class gets."""

    def __init__(self, hub: object = None, refusals: RefusalTable | None = None) -> None:
        self._hub = hub
        self._refusals = refusals or RefusalTable()

    def prepare(
        self,
        function: Callable[..., Any],
        *,
        message: Any,
        caller: type,
        path_params: frozenset[str],
        lacking: Collection[type] = (),
    ) -> "InjectedFunction":
        name = name_of(function)
        signature = signature_of(function, name)
        parameters = [_annotated(parameter, name) for parameter in signature.parameters.values()]
        values = OwnValues(message, caller, self._hub, lacking)
        places = {each.name: values.place_of(each, name) for each in parameters}
        own = {parameter: place for parameter, place in places.items() if place is not None}
        for parameter in path_params & own.keys():
            raise ConfigurationError(
                f"{name}: {parameter!r} is a part of the room's name, and so a text or what it spells"
            )
        rest = [parameter for parameter in parameters if parameter.name not in own]
        dependants = _Dependants(values, path_params, name, rest) if rest else None
        if dependants is not None and caller in lacking:
            _refuse_what_handshakes_bring(dependants.where(()), name, path_params)
        annotations = {parameter.name: parameter.annotation for parameter in parameters}
        # What a check says is yes or no, and an annotation that makes one of it would let in.
        told = telling(signature.return_annotation, name) if message is not None else None
        return InjectedFunction(function, name, annotations, own, values, dependants, told, refusals=self._refusals)


class InjectedFunction:
    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        annotations: Mapping[str, Any],
        own: Mapping[str, int],
        values: OwnValues,
        dependants: "_Dependants | None",
        told: Callable[[Any], Any] | None,
        *,
        refusals: RefusalTable,
    ) -> None:
        self.name = name
        self.code = code_of(function)
        self.annotations = annotations
        self._function = function
        self._own = tuple(own.items())
        self._wants_user = USER in own.values()
        self._values = values
        self._dependants = dependants
        self._told = told
        self._hub = values.hub
        self._refusals = refusals
        self._awaited = awaiting(function)
        self._in_loop = runs_in_loop(function)
        # With parameters of ours alone, all by position: called for every message, so as directly as can be.
        kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
        whole = makes_coroutine(function) and inspect.Parameter.KEYWORD_ONLY not in kinds
        simple = whole and dependants is None and own
        self._pick = _picking(tuple(own.values())) if simple else None
        self._takes_message = bool(simple) and tuple(own.values()) == (MESSAGE,) and told is None

    def __call__(self, caller: Caller, message: Any, path_params: Mapping[str, str]) -> Coroutine[Any, Any, Any]:
        called: Coroutine[Any, Any, Any]
        if self._takes_message:
            called = self._function(message)
            return called
        own = (message, caller, caller.user if self._wants_user else None, self._hub)
        if self._pick is not None:
            called = self._function(*self._pick(own))
            return called if self._told is None else self._tell(called)
        if self._dependants is None:
            return self._call({name: own[place] for name, place in self._own})
        return self._call_with_dependencies(self._dependants, caller.handshake, own, path_params)

    def refusal(self, error: BaseException) -> Refused | None:
        return self._refusals.meant(error)

    async def _tell(self, called: Coroutine[Any, Any, Any]) -> Any:
        result = await called
        if inspect.isawaitable(result):
            result = await settled(result)
        return self._told(result)  # type: ignore[misc]

    async def _call(self, values: Mapping[str, Any]) -> Any:
        result = await self._awaited(**values)
        if self._told is None:
            return result
        # An attribute that is read from the database blocks like the function itself.
        return self._told(result) if self._in_loop else await run_in_threadpool(self._told, result)

    async def _call_with_dependencies(
        self, dependants: "_Dependants", handshake: Handshake, own: Sequence[Any], path_params: Mapping[str, str]
    ) -> Any:
        scope = handshake.scope()
        try:
            return await self._call_in(scope, dependants.where(scope.get("path_params", ())), own, path_params)
        finally:
            handshake.keep(scope)

    async def _call_in(
        self, scope: dict[str, Any], dependant: Dependant, own: Sequence[Any], path_params: Mapping[str, str]
    ) -> Any:
        async with AsyncExitStack() as request_stack, AsyncExitStack() as function_stack:
            websocket = WebSocket(
                {
                    **scope,
                    "path_params": {**scope.get("path_params", {}), **path_params},
                    "fastapi_inner_astack": request_stack,
                    "fastapi_function_astack": function_stack,
                    OWN: own,
                },
                _no_receive,
                _no_send,
            )
            solved = await solve_dependencies(
                request=websocket,
                dependant=dependant,
                dependency_overrides_provider=_Overrides(scope.get("app"), self._values, self.name),
                async_exit_stack=request_stack,
                embed_body_fields=False,
            )
            if solved.errors:
                raise InvalidMessage(solved.errors)
            return await self._call({**solved.values, **{name: own[place] for name, place in self._own}})
        raise RuntimeError(f"a dependency of {self.name} swallowed an exception; let it through after cleaning up")


class _Overrides:
    """Those of the application, for FastAPI to ask, as it is to see them: only that which is asked for is looked at."""

    def __init__(self, app: Any, values: OwnValues, name: str) -> None:
        self._overrides: Mapping[Any, Any] = getattr(app, "dependency_overrides", {})
        self._values = values
        self._name = name

    @property
    def dependency_overrides(self) -> Self:
        return self

    def __bool__(self) -> bool:
        return bool(self._overrides)

    def get(self, function: Any, default: Any) -> Any:
        other = self._overrides.get(function)
        return default if other is None else self._values.view(other, self._name)


class _Dependants:
    """A function's, by the parts of the path it is called under: a router may be included with `prefix="/{tenant}"`.

    That is known when somebody comes by it. FastAPI would take the tenant from the query string, which is the client's.
    """

    def __init__(
        self, values: OwnValues, path_params: frozenset[str], name: str, parameters: Sequence[inspect.Parameter]
    ) -> None:
        self._values = values
        self._path_params = path_params
        self._name = name
        self._parameters = parameters
        self._made: dict[frozenset[str], Dependant] = {}
        self.where(())

    def where(self, path: Iterable[str]) -> Dependant:
        """Raises ConfigurationError, as `_Tree.dependant`."""
        parts = frozenset(path)
        dependant = self._made.get(parts)
        if dependant is None:
            tree = _Tree(self._values, self._path_params | parts)
            dependant = self._made[parts] = tree.dependant(self._name, self._parameters)
        return dependant


class _Tree:
    """What FastAPI makes of a function's parameters and all they depend on."""

    def __init__(self, values: OwnValues, path_params: frozenset[str]) -> None:
        self._values = values
        self._path = "".join(f"/{{{param}}}" for param in sorted(path_params))

    def dependant(self, name: str, parameters: Sequence[inspect.Parameter]) -> Dependant:
        """Raises ConfigurationError, naming function and parameter, for what cannot be had on a WebSocket message."""
        try:
            dependant = self._made(name, parameters)
        except ConfigurationError:
            raise
        except Exception:
            # It does not say which parameter it does not like.
            self._name_the_first_at_fault(name, parameters)
            raise
        for part in _walk(dependant):
            _refuse_what_messages_lack(part, name if part is dependant else name_for(part.call, name))
        return dependant

    def _made(self, name: str, parameters: Iterable[inspect.Parameter]) -> Dependant:
        def shell() -> None:
            """Carries the signature FastAPI is to see."""

        seen = [self._values.shown_to_fastapi(each, name) for each in parameters]
        shell.__signature__ = inspect.Signature([each.replace(kind=each.KEYWORD_ONLY) for each in seen])  # type: ignore[attr-defined]
        return get_dependant(path=self._path, call=shell)

    def _name_the_first_at_fault(self, name: str, parameters: Iterable[inspect.Parameter]) -> None:
        for parameter in parameters:
            try:
                self._made(name, [parameter])
            except Exception as error:  # noqa: BLE001 - whatever it says of a signature
                marker = depends(parameter)
                if marker is not None and callable(marker.dependency):
                    self._name_the_first_at_fault(name_for(marker.dependency, name), parameters_of(marker.dependency))
                raise _unfillable(name, parameter, error) from None


def _picking(places: tuple[int, ...]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    return itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))


def _annotated(parameter: inspect.Parameter, name: str) -> inspect.Parameter:
    """With an annotation that says what it is, which a dependency needs not."""
    if isinstance(parameter.default, Depends) and parameter.annotation is parameter.empty:
        return parameter.replace(annotation=Any)
    # A bare `Any` says nothing, and FastAPI would look for it in the query string.
    saying = parameter.annotation is not parameter.empty and parameter.annotation is not Any
    if saying or (parameter.annotation is Any and parameter.default is not parameter.empty):
        return parameter
    raise ConfigurationError(f"{name}: {parameter.name!r} needs an annotation, which says what it is")


def _walk(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for part in dependant.dependencies:
        yield from _walk(part)


def _refuse_what_messages_lack(part: Dependant, name: str) -> None:
    lacking = {
        "Request": part.request_param_name,
        "Response": part.response_param_name,
        "BackgroundTasks": part.background_tasks_param_name,
    }
    for what, parameter in lacking.items():
        if parameter is not None:
            raise ConfigurationError(
                f"{name}: {parameter!r} is a {what}, which a WebSocket message has not; "
                "take an HTTPConnection for headers, cookies and state"
            )
    if part.body_params:
        raise ConfigurationError(f"{name}: {part.body_params[0].name!r} is {_NOTHING_KNOWN}")


def _refuse_what_handshakes_bring(dependant: Dependant, name: str, given: frozenset[str]) -> None:
    """Of a function that is called by no connection: what has no default would be missing at each call."""
    for part in _walk(dependant):
        for field in (*part.path_params, *part.query_params, *part.header_params, *part.cookie_params):
            if field.name not in given and field.field_info.is_required():
                raise ConfigurationError(
                    f"{name if part is dependant else name_for(part.call, name)}: {field.name!r} would come with a "
                    f"handshake, and no connection is the cause of its call; by name it is given {_listed(given)}"
                )


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(each) for each in sorted(names)) or "nothing"


def _unfillable(name: str, parameter: inspect.Parameter, error: Exception) -> ConfigurationError:
    # Of a type it says at length how to return one.
    why = "" if type(error) is FastAPIError else f" ({error})"
    return ConfigurationError(
        f"{name}: {parameter.name!r}, annotated {shown(parameter.annotation)}, is {_NOTHING_KNOWN}{why}"
    )


async def _no_receive() -> Message:
    raise RuntimeError("a dependency cannot read from the socket: its messages go to the handlers")


async def _no_send(_: Message) -> None:
    raise RuntimeError("a dependency cannot write to the socket: take the Connection and use connection.send")
