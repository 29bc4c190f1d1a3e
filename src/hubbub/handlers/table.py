"""Which function handles which `type`: built by decorators, one handler a type."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from hubbub.errors import InvalidMessage
from hubbub.handlers.models import models_of, types_of
from hubbub.handlers.reading import not_its_own, reads_parsed
from hubbub.ports.metrics import SECONDS, Histogram

T = TypeVar("T")

_MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Handler(Generic[T]):
    model: type[BaseModel]
    function: T
    times: Histogram = field(init=False, compare=False)
    """Seconds from its begin to its end, waiting included."""
    _namespace: Mapping[str, Any] = field(init=False)
    """The model's own attributes: asking the model for one is slow, by way of Pydantic's metaclass."""
    _parsed: bool = field(init=False)
    """Whether it may be given what was parsed."""
    _withheld: frozenset[str] = field(init=False)
    """What of the envelope it is not to see; empty where it would not look."""

    def __post_init__(self) -> None:
        parsed, model = reads_parsed(self.model), self.model
        sees = not parsed or model.model_config.get("extra", "ignore") != "ignore"
        object.__setattr__(self, "times", Histogram(SECONDS))
        object.__setattr__(self, "_namespace", model.__dict__)
        object.__setattr__(self, "_parsed", parsed)
        object.__setattr__(self, "_withheld", not_its_own(model) if sees else frozenset())

    def read(self, fields: dict[str, Any]) -> BaseModel:
        """The message as the handler's model. Raises InvalidMessage naming the first field at fault."""
        # What `model_validate` calls, without the call. Asked for each time: a model may be rebuilt.
        validator = self._namespace["__pydantic_validator__"]
        message: BaseModel
        if self._withheld:
            fields = {key: value for key, value in fields.items() if key not in self._withheld}
        if self._parsed:
            try:
                message = validator.validate_python(fields)
                return message
            except ValidationError:
                pass  # the last word is that of JSON, which speaks of arrays and objects
        try:
            message = validator.validate_json(to_json(fields))
            return message
        except PydanticSerializationError:
            # Only where `Limits.depth` was raised far beyond its default.
            raise InvalidMessage("the message is nested deeper than can be read", field="") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidMessage(first["msg"][:_MAX_TEXT], field=where) from None


@dataclass(slots=True)
class HandlerTable(Generic[T]):
    _by_type: dict[str, Handler[T]] = field(default_factory=dict)
    at_once: set[str] = field(default_factory=set)
    """The types whose handler waits for no other."""
    get: Callable[[str], Handler[T] | None] = field(init=False)
    """By type. The dict's own: this is asked for every message."""

    def __post_init__(self) -> None:
        self.get = self._by_type.get

    def __iter__(self) -> Iterator[str]:
        """The types that have one."""
        return iter(self._by_type)

    def declare(self, declared: Any, function: T, *, at_once: bool = False) -> None:
        """For the types of a model, or of each of a union.

        Raises ValueError for what is neither, for one without a type, and for a type that has a handler already.
        """
        handlers: dict[str, Handler[T]] = {}
        for model in models_of(declared):
            for type in types_of(model):
                if other := handlers.get(type) or self._by_type.get(type):
                    raise ValueError(f"there is a handler for {type!r} already: {other.model.__name__}")
                handlers[type] = Handler(model, function)  # one each: they are timed by type
        self._by_type.update(handlers)
        if at_once:
            self.at_once.update(handlers)
