"""What can be declared as a message: a model, or a union of models, however it is written."""

from typing import Annotated, Any, Literal, Optional, TypeAlias, Union

import pytest
from pydantic import AfterValidator, BaseModel, Discriminator, Field, Strict, Tag, TypeAdapter
from typing_extensions import TypeAliasType

from hubbub.handlers.models import models_of, parts_of
from hubbub.handlers.table import HandlerTable


class A(BaseModel):
    type: Literal["a"] = "a"


class B(BaseModel):
    type: Literal["b", "bb"] = "b"


class C(BaseModel):
    type: Literal["c"] = "c"


class AgainA(BaseModel):
    type: Literal["a"] = "a"


Both: TypeAlias = A | B
Named = TypeAliasType("Named", Annotated[A | B, Field(discriminator="type")])


@pytest.mark.parametrize(
    ("declared", "models"),
    [
        (A, (A,)),
        (A | B, (A, B)),
        (Union[A, B], (A, B)),  # noqa: UP007 - another type than the one above
        (Both | C, (A, B, C)),
        (Annotated[A | B, Field(discriminator="type")], (A, B)),
        (Annotated[A | B, Field(discriminator="type", description="either")], (A, B)),
        (Annotated[Annotated[A, Tag("a")] | Annotated[B, Tag("b")], Discriminator(lambda _: "a"), "either"], (A, B)),
        (Named, (A, B)),
        (Named | C | A, (A, B, C)),
        (Annotated[A, "alone"], (A,)),
    ],
)
def test_the_models_of_a_union_however_it_is_written(declared: Any, models: tuple[Any, ...]) -> None:
    assert models_of(declared) == models
    assert set(parts_of(declared)) == set(models)
    handlers: HandlerTable[int] = HandlerTable()
    handlers.declare(declared, 1)
    found = {type: handlers.get(type) for type in ("a", "b", "bb", "c")}
    assert {handler.model for handler in found.values() if handler} == set(models)
    assert {found["b"] is not None, found["bb"] is not None} == {B in models}


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (None, "None is no Pydantic model"),
        (5, "5 is no Pydantic model"),
        ("A", "'A' is no Pydantic model"),
        (A(), "A.* is no Pydantic model"),
        (A | None, "NoneType.* is no Pydantic model"),
        (Optional[A], "NoneType.* is no Pydantic model"),  # noqa: UP045
        (list[A], "list.* is no Pydantic model"),
        (A | dict[str, int], "dict.* is no Pydantic model"),
        (TypeAdapter(A), "TypeAdapter.* is no Pydantic model"),
        (Literal["a"], "Literal.* is no Pydantic model"),
        (Annotated[A | B, AfterValidator(lambda message: message)], "put it on the models"),
        (Annotated[A, Strict()] | B, "put it on the models"),
        (Annotated[A | B, Field(discriminator="type", strict=True)], "put it on the models"),
    ],
)
def test_what_is_neither_is_refused_with_its_name(declared: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        models_of(declared)


def test_two_of_a_union_cannot_have_one_type_and_leave_no_trace() -> None:
    handlers: HandlerTable[int] = HandlerTable()
    with pytest.raises(ValueError, match="there is a handler for 'a' already: A"):
        handlers.declare(B | A | AgainA, 1)
    assert handlers.get("b") is None
    handlers.declare(A, 1)
    with pytest.raises(ValueError, match="there is a handler for 'a' already: A"):
        handlers.declare(B | AgainA, 2)
    assert handlers.get("b") is None


def test_each_of_a_union_needs_a_type() -> None:
    class Typeless(BaseModel):
        pass

    with pytest.raises(ValueError, match="Typeless needs a field like"):
        HandlerTable[int]().declare(A | Typeless, 1)
