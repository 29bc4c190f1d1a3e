"""What a message can be: a Pydantic model with a `type`, or a union of such models."""

import inspect
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Discriminator, Tag
from pydantic.fields import FieldInfo

from hubbub.protocol.messages import RESERVED


def models_of(declared: Any) -> tuple[type[BaseModel], ...]:
    """The models of a model, or of a union of some. Raises ValueError for anything else."""
    models = tuple(dict.fromkeys(map(_model, parts_of(declared))))
    if idle := [extra for extra in _metadata_of(declared) if _does_something(extra)]:
        raise ValueError(
            f"{idle[0]!r} is of a union, whose models are told apart by their `type`: put it on the models"
        )
    return models


def parts_of(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, however it is written, named and nested; of anything else itself, without metadata."""
    inner = _inner(annotation)
    return (annotation,) if inner is None else tuple(part for each in inner for part in parts_of(each))


def named(annotation: Any) -> Any:
    """What the name of an alias stands for; of anything else itself."""
    # By what it has: `typing` and `typing_extensions` have a `TypeAliasType` each.
    while not inspect.isclass(annotation) and hasattr(annotation, "__value__"):
        annotation = annotation.__value__
    return annotation


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


def _model(part: Any) -> type[BaseModel]:
    if inspect.isclass(part) and issubclass(part, BaseModel):
        return part
    raise ValueError(f"{part!r} is no Pydantic model with a `type`; declare a model, or a union of several")


def _inner(annotation: Any) -> tuple[Any, ...] | None:
    """What is in a union, or under `Annotated`; None where it is neither, by whatever name."""
    meant = named(annotation)
    origin = get_origin(meant)
    if origin is Annotated:
        return (meant.__origin__,)
    if origin is Union or origin is UnionType:
        return get_args(meant)
    return None if meant is annotation else (meant,)


def _metadata_of(annotation: Any) -> tuple[Any, ...]:
    meant = named(annotation)
    own = meant.__metadata__ if get_origin(meant) is Annotated else ()
    return (*own, *(extra for each in _inner(annotation) or () for extra in _metadata_of(each)))


def _does_something(extra: Any) -> bool:
    """Whether it is more than what tells the members of a union apart, or describes them."""
    if isinstance(extra, FieldInfo):
        return bool(extra.metadata)
    return not isinstance(extra, Discriminator | Tag | str)
