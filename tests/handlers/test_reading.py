"""A model reads what came as Pydantic's JSON mode does, whichever way it goes, and without what is the protocol's."""

import enum
import json
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from hubbub.errors import InvalidMessage
from hubbub.handlers.reading import not_its_own, reads_parsed
from hubbub.handlers.table import HandlerTable

ID = "12345678-1234-5678-1234-567812345678"

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**63, 2**70, 1.0, 1.5, 1e20, 0.1, "", "a", "1", "1.0", " 1 ", "true", "é"),
    *("2026-01-01", "2026-01-01T00:00:00Z", "12:00", "PT1H", "1e3", "inf", ID, "0x1", "YWJj", [], [1], ["a", "a"]),
    *([[1]], {}, {"a": 1}, {"1": "2"}, {"type": "x", "a": "1"}, {"at": "2026-01-01"}),
)


class Colour(enum.Enum):
    RED = "a"
    ONE = 1


class Inner(BaseModel):
    a: int = 0


class Tree(BaseModel):
    value: int = 0
    inner: list["Tree"] = []


class At(BaseModel):
    type: Literal["x"]
    at: date


class Typed(TypedDict):
    a: int


@dataclass
class Point:
    a: int


def even(value: int) -> int:
    if value % 2:
        raise ValueError("odd")
    return value


Even = Annotated[int, AfterValidator(even)]

#: What may be given what was parsed.
PARSED: tuple[Any, ...] = (
    *(Any, None, bool, int, float, str, Literal["a", 1], list, list[int], dict[str, int], dict[int, str], int | None),
    *(int | str, float | int, bool | int | str, list[int] | int, Inner, Inner | int, Tree, Colour, Even),
    *(UUID, datetime, date, time, UUID | None, list[UUID], Annotated[str, Field(max_length=1)], RootModel[int]),
)  # fmt: skip

#: What may not, or not by itself.
OTHERS: tuple[Any, ...] = (
    *(bytes, Decimal, timedelta, set[int], frozenset[str], tuple[int, ...], tuple[str, int], Typed, Point, complex),
    *(UUID | str, datetime | str, At | Inner, Colour | str, Literal[Colour.RED], Annotated[int, Field(strict=True)]),
    *(Inner | dict[str, int], list[dict[str, int] | Inner], Annotated[str, Field(coerce_numbers_to_str=True)]),
    *(Annotated[Inner, Field(strict=True)], Annotated[UUID, Field(strict=True)], re.Pattern),
)


def of(annotation: Any, **config: Any) -> type[BaseModel]:
    return create_model("Model", __config__=ConfigDict(**config), type=(Literal["say"], "say"), value=(annotation, ...))  # type: ignore[call-overload,no-any-return]


def read(model: type[BaseModel], **fields: Any) -> BaseModel:
    handlers: HandlerTable[None] = HandlerTable()
    handlers.declare(model, None)
    handler = handlers.get("say")
    assert handler is not None
    return handler.read({"type": "say", **fields})


def compare(model: type[BaseModel], value: Any) -> None:
    try:
        expected: Any = model.model_validate_json(json.dumps({"type": "say", "value": value}))
    except ValidationError as error:
        first = error.errors()[0]
        with pytest.raises(InvalidMessage) as refused:
            read(model, value=value)
        assert (refused.value.message, refused.value.field) == (first["msg"], ".".join(map(str, first["loc"]))), value
    else:
        assert repr(read(model, value=value)) == repr(expected), value


@pytest.mark.parametrize(
    "config", [{}, {"strict": True}, {"coerce_numbers_to_str": True}], ids=["lax", "strict", "coerced"]
)
@pytest.mark.parametrize("annotation", [*PARSED, *OTHERS])
def test_it_reads_as_in_json_mode(annotation: Any, config: dict[str, Any]) -> None:
    model = of(annotation, **config)
    for value in VALUES:
        compare(model, value)


class Dated(BaseModel):
    at: datetime
    inner: "list[Dated | Worded]" = []


class Worded(BaseModel):
    at: str


class Both(BaseModel):
    one: Dated | Worded
    other: Dated | None = None


@pytest.mark.parametrize("annotation", [Dated, Both])
def test_a_member_of_a_union_that_is_defined_elsewhere_reads_as_in_json_mode(annotation: Any) -> None:
    model, at = of(annotation), {"at": "2026-01-01T00:00:00Z"}
    for value in (at, {**at, "inner": [at, {"at": "noon"}]}, {"one": at, "other": at}, {"one": {"at": "noon"}}):
        compare(model, value)


@pytest.mark.parametrize("annotation", PARSED)
def test_plain_types_are_read_from_what_was_parsed(annotation: Any) -> None:
    assert reads_parsed(of(annotation))
    assert reads_parsed(of(annotation, extra="forbid"))
    assert not reads_parsed(of(annotation, strict=True))


@pytest.mark.parametrize("annotation", OTHERS)
def test_all_else_is_read_from_json(annotation: Any) -> None:
    assert not reads_parsed(of(annotation))


def test_bytes_are_read_by_the_models_word() -> None:
    assert read(of(bytes, val_json_bytes="base64"), value="YWJj").model_dump()["value"] == b"abc"
    assert read(of(bytes), value="YWJj").model_dump()["value"] == b"YWJj"


def test_a_validator_that_asks_is_told_that_it_is_json() -> None:
    class Asking(BaseModel):
        type: Literal["say"]
        value: Any

        @field_validator("value")
        @classmethod
        def mode(cls, _: Any, info: ValidationInfo) -> str:
            return info.mode

    assert read(Asking, value=1).model_dump()["value"] == "json"


def test_a_model_that_was_not_complete_is_read_when_it_is() -> None:
    class Late(BaseModel):
        type: Literal["say"]
        value: "Missing"  # type: ignore[name-defined]  # noqa: F821

    handlers: HandlerTable[None] = HandlerTable()
    handlers.declare(Late, None)
    Late.model_rebuild(_types_namespace={"Missing": Annotated[UUID, Field(strict=True)]})
    handler = handlers.get("say")
    assert handler is not None
    assert handler.read({"type": "say", "value": ID}).model_dump()["value"] == UUID(ID)


def test_what_is_nested_too_deep_for_pydantic_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    with pytest.raises(InvalidMessage) as refused:
        read(of(Any, strict=True), value=deep)
    assert refused.value.field == ""


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    type: Literal["say"] = "say"


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: Literal["say"] = "say"


class Strict(Closed):
    model_config = ConfigDict(strict=True)


class Looking(BaseModel):
    type: Literal["say"] = "say"
    keys: list[str] = []

    @model_validator(mode="before")
    @classmethod
    def look(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "keys": sorted(fields)}


class Making(BaseModel):
    type: Literal["say"] = "say"
    keys: list[str] = []

    def __init__(self, **fields: Any) -> None:
        super().__init__(**{**fields, "keys": sorted(fields)})


ENVELOPE = {"id": 7, "idempotency_key": "once"}


def test_what_is_the_protocols_breaks_no_model() -> None:
    for model in (Closed, Strict):
        assert read(model, **ENVELOPE) == model()
        for key in ("room", "other"):
            with pytest.raises(InvalidMessage, match="Extra inputs are not permitted"):
                read(model, **ENVELOPE, **{key: "x"})
    assert read(Open, **ENVELOPE, room="x").model_extra == {"room": "x"}
    for model in (Looking, Making):
        assert read(model, **ENVELOPE, room="x").model_dump()["keys"] == ["room", "type"]


def camel(name: str) -> str:
    return {"request": "id"}.get(name, name)


@pytest.mark.parametrize(
    ("config", "field", "declares"),
    [
        ({}, {"id": (int, 0)}, True),
        ({}, {"number": (int, Field(0, alias="id"))}, True),
        ({}, {"number": (int, Field(0, validation_alias="id"))}, True),
        ({}, {"number": (int, Field(0, validation_alias=AliasChoices("no", "id")))}, True),
        ({}, {"number": (int, Field(0, validation_alias=AliasPath("id")))}, True),
        ({}, {"number": (int, Field(0, validation_alias=AliasChoices("no", AliasPath("id"))))}, True),
        ({"alias_generator": camel}, {"request": (int, 0)}, True),
        ({}, {"number": (int, Field(0, serialization_alias="id"))}, False),
        ({}, {"id": (int, Field(0, alias="no"))}, False),
        ({"populate_by_name": True}, {"id": (int, Field(0, alias="no"))}, True),
        ({"validate_by_name": True}, {"id": (int, Field(0, alias="no"))}, True),
        ({"validate_by_name": True, "validate_by_alias": False}, {"number": (int, Field(0, alias="id"))}, False),
        ({}, {"number": (int, 0)}, False),
    ],
)
def test_a_model_that_declares_it_gets_it(config: dict[str, Any], field: dict[str, Any], declares: bool) -> None:
    model = create_model(
        "Model", __config__=ConfigDict(extra="forbid", **config), type=(Literal["say"], "say"), **field
    )  # type: ignore[call-overload]
    assert ("id" not in not_its_own(model)) is declares
    [value] = [value for key, value in read(model, id=7).model_dump().items() if key != "type"]
    assert value == (7 if declares else 0)
    if declares:
        with pytest.raises(InvalidMessage):
            read(model, id="seven")


def test_a_key_of_the_envelope_reaches_the_one_of_a_union_that_declares_it() -> None:
    class Numbered(BaseModel):
        model_config = ConfigDict(extra="forbid")
        type: Literal["numbered"]
        id: int

    handlers: HandlerTable[None] = HandlerTable()
    handlers.declare(Closed | Numbered, None)
    closed, numbered = handlers.get("say"), handlers.get("numbered")
    assert closed is not None
    assert numbered is not None
    assert closed.read({"type": "say", "id": 7}) == Closed()
    assert numbered.read({"type": "numbered", "id": 7}).model_dump()["id"] == 7
