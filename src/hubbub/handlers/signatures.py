"""What a function of the application's asks for and gives, read from its signature once, when it is declared.

Under decorators and partials the function itself says it: `functools.wraps` shows its parameters, and annotations that
are text are read where it stands.
"""

import inspect
import sys
import typing
from collections.abc import Callable, Sequence
from functools import partial
from types import CodeType
from typing import Any

from fastapi.params import Depends
from pydantic.fields import FieldInfo

from hubbub.errors import ConfigurationError
from hubbub.scheduling.calls import generates, layers


def name_of(function: Any) -> str:
    """Module and qualified name. Raises ConfigurationError for what cannot be called."""
    while isinstance(function, partial):
        function = function.func
    if not callable(function):
        raise ConfigurationError(f"{function!r} cannot be called; does a decorator of it end without `return`?")
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__name__)}"


def code_of(function: Any) -> CodeType | None:
    """Where it is written; None for what is not written in Python."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    return getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)


def name_for(dependency: Any, name: str) -> str:
    """As `name_of`, and what it is a dependency of."""
    return f"{name_of(dependency)}, for {name}"


def signature_of(function: Callable[..., Any], name: str) -> inspect.Signature:
    """With the parameters that are still to be filled, and annotations resolved.

    Raises ConfigurationError for what answers nothing, and for a parameter or annotation that says nothing.
    """
    if inspect.isclass(function):
        raise ConfigurationError(
            f"{name} is a class, and would only be made; declare a function, or an object with a call"
        )
    if generates(function):
        raise ConfigurationError(f"{name} has a `yield`, and nothing of it would run; it returns what it has to say")
    filled = filled_of(function)
    try:
        signature = inspect.signature(function)
        parameters = [each for each in signature.parameters.values() if each.name not in filled]
        hints = _resolved(function, parameters, signature.return_annotation)
    except NameError as error:
        raise unresolved(error.name or str(error), name) from None
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ConfigurationError(
                f"{name}: {parameter.name!r} cannot be filled; parameters are passed by name, and a decorator shows "
                "those of its function by functools.wraps"
            )
    nothing = inspect.Parameter.empty
    resolved = [parameter.replace(annotation=hints.get(parameter.name, nothing)) for parameter in parameters]
    return inspect.Signature(resolved, return_annotation=hints.get("return", nothing))


def filled_of(function: Any) -> frozenset[str]:
    """What a partial has filled is filled: FastAPI would take another from the query string, which is the client's.

    Unless with what says where to take it from, as a default would.
    """
    partials = [layer for layer in layers(function) if isinstance(layer, partial)]
    given = [each for layer in partials for each in layer.keywords.items()]
    return frozenset(key for key, value in given if not isinstance(value, Depends | FieldInfo))


def unresolved(annotation: str, name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name}: the annotation {annotation!r} does not resolve where the function is defined; "
        "import it at module level, or FastAPI would take the parameter from the query string"
    )


def parameters_of(dependency: Any) -> list[inspect.Parameter]:
    """Those of a dependency that are still to be filled. Never raises.

    With annotations resolved where they can be: FastAPI needs not know all.
    """
    try:
        parameters = list(inspect.signature(dependency).parameters.values())
    except (TypeError, ValueError):
        return []
    filled = filled_of(dependency)
    return [_resolved_if_it_can_be(dependency, each) for each in parameters if each.name not in filled]


def _resolved_if_it_can_be(function: Any, parameter: inspect.Parameter) -> inspect.Parameter:
    try:
        hints = _resolved(function, [parameter])
    except Exception:  # noqa: BLE001 - what is written in an annotation is evaluated, and may be anything
        return parameter
    annotation = hints.get(parameter.name, parameter.annotation)
    return parameter if annotation is parameter.annotation else parameter.replace(annotation=annotation)


def _resolved(
    function: Any, parameters: Sequence[inspect.Parameter], returned: Any = inspect.Parameter.empty
) -> dict[str, Any]:
    """Annotations by name, those that are text read where the innermost function stands. Raises NameError."""

    def shell() -> None:
        """Carries the annotations."""

    annotations = {each.name: each.annotation for each in parameters} | {"return": returned}
    shell.__annotations__ = {key: each for key, each in annotations.items() if each is not inspect.Parameter.empty}
    return typing.get_type_hints(shell, _names_where(function), include_extras=True)


def _names_where(function: Any) -> dict[str, Any] | None:
    """The names of the module the innermost function, or the class, stands in."""
    scopes = [layer.__globals__ for layer in layers(function) if hasattr(layer, "__globals__")]
    if not scopes and inspect.isclass(function):
        return vars(sys.modules[function.__module__])
    return scopes[-1] if scopes else None
