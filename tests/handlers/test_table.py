from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from hubbub.errors import InvalidMessage
from hubbub.handlers.models import types_of
from hubbub.handlers.table import HandlerTable
from hubbub.protocol.messages import RESERVED


class Say(BaseModel):
    type: Literal["say"] = "say"
    content: str


class Draw(BaseModel):
    type: Literal["line", "circle"]
    points: list[tuple[int, int]] = []


class Whisper(Say):
    type: Literal["whisper"] = "whisper"  # type: ignore[assignment]


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: Literal["order"]
    number: int = Field(alias="no", le=9)
    lines: list[dict[str, int]] = []

    @field_validator("number")
    @classmethod
    def lucky(cls, number: int) -> int:
        if number == 4:
            raise ValueError("x" * 1000)
        return number


class Tone(StrEnum):
    LOUD = "loud"


def model(annotation: object) -> type[BaseModel]:
    return create_model("Odd", type=(annotation, ...))


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        (Say, ("say",)),
        (Draw, ("line", "circle")),
        (Whisper, ("whisper",)),
        (model(Annotated[Literal["a"], Field(description="x")]), ("a",)),
        (model(Literal["a", "b"]), ("a", "b")),
        (model(Literal[""]), ("",)),
    ],
)
def test_the_types_of_a_model_are_those_of_its_literal(kind: type[BaseModel], types: tuple[str, ...]) -> None:
    assert types_of(kind) == types


@pytest.mark.parametrize(
    "kind",
    [
        create_model("Odd", content=(str, ...)),
        create_model("Odd", kind=(Literal["a"], Field(alias="type"))),
        *map(model, [str, Literal[7], Literal["a", 7], Literal["a"] | None, Literal["a", None], Tone, Any]),
    ],
    ids=lambda kind: str(kind.model_fields),
)
def test_a_model_without_a_literal_of_strings_has_no_types(kind: type[BaseModel]) -> None:
    with pytest.raises(ValueError, match=r'^Odd needs a field like: type: Literal\["room_message"\] = "room_message"$'):
        types_of(kind)


@pytest.mark.parametrize("type", sorted(RESERVED))
def test_no_model_can_have_a_type_of_the_protocol(type: str) -> None:
    for annotation in (Literal[type], Literal["own", type]):
        with pytest.raises(ValueError, match=f"Odd: the type '{type}' belongs to the protocol"):
            types_of(model(annotation))


def test_a_function_is_found_under_every_type_of_its_model() -> None:
    handlers: HandlerTable[str] = HandlerTable()
    handlers.declare(Say, "say it")
    handlers.declare(Draw, "draw it")
    found = [handlers.get(type) for type in ("say", "line", "circle")]
    assert [(handler.model, handler.function) for handler in found if handler] == [
        (Say, "say it"),
        (Draw, "draw it"),
        (Draw, "draw it"),
    ]


@pytest.mark.parametrize("type", ["", "Say", "say ", "type"])
def test_what_nobody_declared_has_no_handler(type: str) -> None:
    handlers: HandlerTable[str] = HandlerTable()
    assert handlers.get(type) is None
    handlers.declare(Say, "say it")
    assert handlers.get(type) is None


def test_a_type_has_one_handler_and_a_refused_declaration_leaves_no_trace() -> None:
    handlers: HandlerTable[str] = HandlerTable()
    handlers.declare(Say, "first")
    with pytest.raises(ValueError, match="there is a handler for 'say' already: Say"):
        handlers.declare(model(Literal["new", "say"]), "second")
    assert handlers.get("new") is None
    say = handlers.get("say")
    assert say is not None
    assert say.function == "first"


def test_a_model_without_a_type_is_not_declared() -> None:
    with pytest.raises(ValueError, match="Odd needs a field like"):
        HandlerTable[str]().declare(model(str), "never")


def test_handlers_of_two_hubs_do_not_meet() -> None:
    HandlerTable[str]().declare(Say, "say it")
    assert HandlerTable[str]().get("say") is None


def read(kind: type[BaseModel], fields: dict[str, Any]) -> BaseModel:
    handlers: HandlerTable[None] = HandlerTable()
    handlers.declare(kind, None)
    handler = handlers.get(types_of(kind)[0])
    assert handler is not None
    return handler.read(fields)


def test_a_message_is_read_as_its_model() -> None:
    assert read(Say, {"type": "say", "content": "hello", "more": 1}) == Say(content="hello")


@pytest.mark.parametrize(
    ("kind", "fields", "field", "message"),
    [
        (Say, {"type": "say"}, "content", "Field required"),
        (Say, {"type": "say", "content": 7}, "content", "Input should be a valid string"),
        (Say, {"type": "said", "content": ""}, "type", "Input should be 'say'"),
        (Draw, {"type": "line", "points": [[0, 0], [0, "x"]]}, "points.1.1", None),
        (Order, {"type": "order"}, "no", "Field required"),
        (Order, {"type": "order", "no": 10}, "no", "Input should be less than or equal to 9"),
        (Order, {"type": "order", "no": 1, "lines": [{"a": None}]}, "lines.0.a", None),
        (Order, {"type": "order", "no": 1, "x": 2}, "x", "Extra inputs are not permitted"),
        (Order, {"type": "order", "no": "x", "lines": 7}, "no", None),  # the first of two
    ],
)
def test_a_message_that_does_not_fit_is_refused_with_its_first_bad_field(
    kind: type[BaseModel], fields: dict[str, Any], field: str, message: str | None
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        read(kind, fields)
    assert caught.value.field == field
    assert message is None or caught.value.message == message


def test_the_text_of_a_refusal_is_short_and_tells_nothing_of_what_was_sent() -> None:
    with pytest.raises(InvalidMessage) as caught:
        read(Order, {"type": "order", "no": 4})
    assert caught.value.message == ("Value error, " + "x" * 200)[:200]
    with pytest.raises(InvalidMessage) as caught:
        read(Say, {"type": "say", "content": {"password": "hunter2"}})
    assert "hunter2" not in f"{caught.value.on_the_wire()}"
    assert caught.value.__suppress_context__


def test_every_type_of_a_model_that_is_handled_at_once_is_known() -> None:
    table = HandlerTable[str]()
    table.declare(Say, "say")
    table.declare(Draw, "draw", at_once=True)
    assert table.at_once == {"line", "circle"}
    with pytest.raises(ValueError, match="'say'"):
        table.declare(Say, "again", at_once=True)
    assert table.at_once == {"line", "circle"}
