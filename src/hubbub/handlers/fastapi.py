"""FastAPI's dependencies, per message: the one file that knows FastAPI's insides for it.

`get_dependant` and `solve_dependencies` are not documented by FastAPI, but they are what makes `Depends` mean here
what it means in a path operation, `dependency_overrides` included; a resolver of our own would be a second dialect.
A function's own parameters (message, connection, user) are left out of the signature FastAPI sees and filled by type.
Dependencies are resolved on a copy of the handshake's scope with exit stacks of their own, and those are closed before
the answer is sent: a database connection is held for a message, not for the life of a socket. Where there is nothing
to resolve, nothing of this happens.
"""

import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from operator import itemgetter
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant, solve_dependencies
from fastapi.params import Depends
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import Message
from starlette.websockets import WebSocket

from hubbub.errors import (
    ConfigurationError,
    Conflict,
    Forbidden,
    InvalidMessage,
    NotFound,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
)
from hubbub.handlers.results import telling
from hubbub.handlers.signatures import name_of, signature_of
from hubbub.ports.injection import Caller
from hubbub.protocol.handshake import Handshake
from hubbub.scheduling.calls import awaiting, makes_coroutine, runs_in_loop, settled
from hubbub.types import User

# Where the hub's own values stand in what a function is called with.
_MESSAGE, _CALLER, _USER = range(3)

_STATUS: dict[int, type[Refused]] = {
    400: InvalidMessage,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: InvalidMessage,
    429: RateLimited,
    503: Unavailable,
}
# Seconds of a `Retry-After`, in digits: more are no time that anybody waits.
_MAX_DIGITS = 9


class FastAPIInjection:
    """The injection port, by FastAPI."""

    def prepare(
        self, function: Callable[..., Any], *, message: type | None, caller: type, path_params: frozenset[str]
    ) -> "InjectedFunction":
        name = name_of(function)
        signature = signature_of(function, name)
        parameters = [_annotated(parameter, name) for parameter in signature.parameters.values()]
        # Compared, not hashed: an annotation holds what it likes, as `Security` does its list of scopes.
        places = ((message, _MESSAGE), (caller, _CALLER), (User, _USER))
        mine = {
            parameter.name: place
            for parameter in parameters
            for kind, place in places
            if kind is not None and parameter.annotation is kind
        }
        rest = [parameter for parameter in parameters if parameter.name not in mine]

        def shell() -> None:
            """Carries the signature FastAPI is to see."""

        shell.__signature__ = inspect.Signature(rest)  # type: ignore[attr-defined]
        path = "".join(f"/{{{param}}}" for param in sorted(path_params))
        dependant = get_dependant(path=path, call=shell)
        for part in _walk(dependant):
            _refuse_what_messages_lack(part, name)
        annotations = {parameter.name: parameter.annotation for parameter in parameters}
        # What a check says is yes or no, and an annotation that makes one of it would let in.
        told = telling(signature.return_annotation, name) if message is not None else None
        return InjectedFunction(function, name, annotations, mine, dependant if rest else None, told)


class InjectedFunction:
    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        annotations: Mapping[str, Any],
        own: Mapping[str, int],
        dependant: Dependant | None,
        told: Callable[[Any], Any] | None,
    ) -> None:
        self.name = name
        self.annotations = annotations
        self._function = function
        self._own = tuple(own.items())
        self._wants_user = _USER in own.values()
        self._dependant = dependant
        self._told = told
        self._awaited = awaiting(function)
        self._in_loop = runs_in_loop(function)
        # With parameters of ours alone, all by position: called for every message, so as directly as can be.
        kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
        whole = makes_coroutine(function) and inspect.Parameter.KEYWORD_ONLY not in kinds
        simple = whole and dependant is None and own
        self._pick = _picking(tuple(own.values())) if simple else None
        self._takes_message = bool(simple) and tuple(own.values()) == (_MESSAGE,) and told is None

    def __call__(self, caller: Caller, message: Any, path_params: Mapping[str, str]) -> Coroutine[Any, Any, Any]:
        called: Coroutine[Any, Any, Any]
        if self._takes_message:
            called = self._function(message)
            return called
        own = (message, caller, caller.user if self._wants_user else None)
        if self._pick is not None:
            called = self._function(*self._pick(own))
            return called if self._told is None else self._tell(called)
        values = {name: own[place] for name, place in self._own}
        if self._dependant is None:
            return self._call(values)
        return self._call_with_dependencies(self._dependant, caller.handshake, values, path_params)

    def refusal(self, error: BaseException) -> Refused | None:
        if not isinstance(error, HTTPException):
            return None
        status = error.status_code
        kind = _STATUS.get(status, Refused if 400 <= status < 500 else None)
        if kind is None:
            return None
        return kind(error.detail if isinstance(error.detail, str) else None, retry_after=_retry_after(error))

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
        self, dependant: Dependant, handshake: Handshake, values: dict[str, Any], path_params: Mapping[str, str]
    ) -> Any:
        scope = handshake.scope()
        try:
            return await self._call_in(scope, dependant, values, path_params)
        finally:
            handshake.keep(scope)

    async def _call_in(
        self, scope: dict[str, Any], dependant: Dependant, values: dict[str, Any], path_params: Mapping[str, str]
    ) -> Any:
        async with AsyncExitStack() as request_stack, AsyncExitStack() as function_stack:
            websocket = WebSocket(
                {
                    **scope,
                    "path_params": {**scope.get("path_params", {}), **path_params},
                    "fastapi_inner_astack": request_stack,
                    "fastapi_function_astack": function_stack,
                },
                _no_receive,
                _no_send,
            )
            solved = await solve_dependencies(
                request=websocket,
                dependant=dependant,
                dependency_overrides_provider=scope.get("app"),
                async_exit_stack=request_stack,
                embed_body_fields=False,
            )
            if solved.errors:
                raise InvalidMessage(solved.errors)
            return await self._call({**solved.values, **values})
        raise RuntimeError(f"a dependency of {self.name} swallowed an exception; let it through after cleaning up")


def _picking(places: tuple[int, ...]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    return itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))


def _annotated(parameter: inspect.Parameter, name: str) -> inspect.Parameter:
    """With an annotation that says what it is, which a dependency needs not."""
    if parameter.annotation is not parameter.empty:
        return parameter
    if isinstance(parameter.default, Depends):
        return parameter.replace(annotation=Any)
    raise ConfigurationError(f"{name}: {parameter.name!r} needs an annotation, which says what it is")


def _retry_after(error: HTTPException) -> int | None:
    """In milliseconds, where it is in seconds."""
    headers = {str(name).lower(): str(value) for name, value in dict(error.headers or {}).items()}
    seconds = headers.get("retry-after", "")
    return int(seconds) * 1000 if seconds.isdecimal() and len(seconds) <= _MAX_DIGITS else None


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
        parameter = part.body_params[0].name
        raise ConfigurationError(
            f"{name}: {parameter!r} is neither the declared message, nor Connection, User or a dependency"
        )


async def _no_receive() -> Message:
    raise RuntimeError("a dependency cannot read from the socket: its messages go to the handlers")


async def _no_send(_: Message) -> None:
    raise RuntimeError("a dependency cannot write to the socket: take the Connection and use connection.send")
