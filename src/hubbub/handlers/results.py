"""What a handler returned, as its client may be told: by its return annotation, as a path operation's response is.

What is annotated is validated and written as the annotation says, so that a row of a database that was returned as
`UserOut` goes out as one, however it is nested, and of a subclass only what the annotation has. Without an annotation,
and for None and Any, it goes out as it is, and nothing of this happens.
"""

import inspect
from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine
from types import NoneType
from typing import Any, Never, NoReturn, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import PydanticSerializationError

from hubbub.errors import ConfigurationError, WrongAnswer

_AS_IT_IS = (inspect.Signature.empty, Any, object, None, NoneType, Never, NoReturn)


def telling(annotation: Any, name: str) -> Callable[[Any], Any] | None:
    """A function from what the handler `name` returned to what JSON can say of it, None where that is the same.

    It raises WrongAnswer for what does not fit. Raises ConfigurationError for an annotation that Pydantic cannot use.
    """
    meant = _awaited(annotation)
    if any(meant is nothing for nothing in _AS_IT_IS):
        return None
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(meant)
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        raise ConfigurationError(
            f"{name}: the return annotation {meant!r} says nothing that can be sent ({error.message.splitlines()[0]}); "
            "annotate what the client gets, or Any"
        ) from None

    # For every message: the adapter's own methods take half as long again.
    validate, write = adapter.validator.validate_python, adapter.serializer.to_python

    def written(fitting: Any) -> Any:
        return write(fitting, mode="json", by_alias=True, warnings="error")

    def told(result: Any) -> Any:
        try:
            fitting = validate(result, from_attributes=True)
            try:
                return written(fitting)
            except PydanticSerializationError:
                # An instance is believed, and one that was changed since it was validated, or never was, would be
                # written whole, with a warning: so it is taken apart, and validated by its parts.
                return written(validate(write(fitting, by_alias=True, warnings=False)))
        except ValidationError as error:
            raise WrongAnswer(f"what {name} returned does not fit {meant!r}: {faults_of(error)}") from None
        except PydanticSerializationError:
            raise WrongAnswer(f"what {name} returned cannot be written as {meant!r}") from None

    return told


def faults_of(error: ValidationError) -> str:
    """The first three, without the texts of Pydantic and of validators, which may quote the value."""
    faults = [(".".join(map(str, fault["loc"])), fault["type"]) for fault in error.errors(include_input=False)]
    return ", ".join(f"{place}: {kind}" if place else kind for place, kind in faults[:3])


def _awaited(annotation: Any) -> Any:
    """What an annotated awaitable comes to."""
    kind = get_origin(annotation) or annotation
    if isinstance(kind, type) and (kind in (Awaitable, Coroutine) or issubclass(kind, Future)):
        arguments = get_args(annotation)
        return _awaited(arguments[-1]) if arguments else Any
    return annotation
