"""Which function handles which `type`: built by decorators, one handler a type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from hubbub.errors import InvalidMessage
from hubbub.protocol.messages import RESERVED

T = TypeVar("T")

_MAX_TEXT = 200


def types_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The values of a model's `type: Literal[...]`. Raises ValueError where it has none or one that is reserved."""
    declared = model.model_fields.get("type")
    annotation = declared.annotation if declared else NoneType
    values = get_args(annotation) if get_origin(annotation) is Literal else ()
    if not values or not all(isinstance(value, str) for value in values):
        raise ValueError(f'{model.__name__} needs a field like: type: Literal["room_message"] = "room_message"')
    if reserved := sorted(RESERVED.intersection(values)):
        raise ValueError(f"{model.__name__}: the type {reserved[0]!r} belongs to the protocol")
    return values


@dataclass(frozen=True, slots=True)
class Handler(Generic[T]):
    model: type[BaseModel]
    function: T
    _namespace: Mapping[str, Any] = field(init=False)
    """The model's own attributes: asking the model for one is slow, by way of Pydantic's metaclass."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_namespace", self.model.__dict__)

    def read(self, fields: dict[str, Any]) -> BaseModel:
        """The message as the handler's model. Raises InvalidMessage naming the first field at fault."""
        try:
            # What `model_validate` calls, without the call. Asked for each time: a model may be rebuilt.
            message: BaseModel = self._namespace["__pydantic_validator__"].validate_python(fields)
            return message
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

    def declare(self, model: type[BaseModel], function: T, *, at_once: bool = False) -> None:
        """Raises ValueError for a model without a type, or a type that has a handler already."""
        types = types_of(model)
        for type in types:
            if type in self._by_type:
                raise ValueError(f"there is a handler for {type!r} already: {self._by_type[type].model.__name__}")
        self._by_type.update((type, Handler(model, function)) for type in types)
        if at_once:
            self.at_once.update(types)
