"""What a handler returned, as its return annotation has it."""

import asyncio
import dataclasses
import inspect
import math
from collections.abc import Awaitable, Coroutine, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, Never, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field, field_serializer, field_validator
from pydantic.dataclasses import dataclass as validated_dataclass
from typing_extensions import TypedDict

from hubbub.errors import ConfigurationError, WrongAnswer
from hubbub.handlers.results import telling

SECRET = "hashed-secret"


class UserOut(BaseModel):
    id: int


class UserDB(UserOut):
    hashed_password: str = SECRET


class Row:
    """Of an ORM."""

    id = 1
    hashed_password = SECRET


class Other(BaseModel):
    name: str


class Team(BaseModel):
    lead: UserOut
    members: list[UserOut] = []


class TeamDB(Team):
    hashed_password: str = SECRET


class TeamRow:
    lead = Row()
    members = (Row(), Row())
    hashed_password = SECRET


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    items: list[T]


@dataclasses.dataclass
class PointOut:
    id: int


@dataclasses.dataclass
class PointDB(PointOut):
    hashed_password: str = SECRET


@validated_dataclass
class ValidPointOut:
    id: int


@validated_dataclass
class ValidPointDB(ValidPointOut):
    hashed_password: str = SECRET


class Fields(TypedDict):
    id: int


class Pair(NamedTuple):
    id: int


class Users(RootModel[list[UserOut]]):
    pass


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


class DogDB(Dog):
    hashed_password: str = SECRET


class Named(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    user_id: int = Field(alias="userId")


class Computed(BaseModel):
    id: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.id


class ComputedDB(Computed):
    @computed_field  # type: ignore[prop-decorator]
    @property
    def hashed_password(self) -> str:
        return SECRET


def changed() -> Team:
    team = Team(lead=UserOut(id=1))
    team.lead = UserDB(id=2)
    team.members.append(UserDB(id=3))
    return team


class Colour(StrEnum):
    RED = "red"


class Painted(BaseModel):
    model_config = ConfigDict(use_enum_values=True)
    colour: Colour = Colour.RED
    size: int = None  # type: ignore[assignment]


FITTING: list[tuple[Any, Any, Any]] = [
    (UserOut, UserDB(id=1), {"id": 1}),
    (UserOut, Row(), {"id": 1}),
    (UserOut, {"id": 1, "hashed_password": SECRET}, {"id": 1}),
    (UserOut, {"id": "1"}, {"id": 1}),
    (UserOut | None, UserDB(id=1), {"id": 1}),
    (UserOut | None, Row(), {"id": 1}),
    (UserOut | None, None, None),
    (Other | UserOut, UserDB(id=1), {"id": 1}),
    (Other | UserOut, Row(), {"id": 1}),
    (Annotated[UserOut, "a note"], UserDB(id=1), {"id": 1}),
    (list[UserOut], [UserDB(id=1), Row()], [{"id": 1}, {"id": 1}]),
    (list[Other | UserOut], [UserDB(id=1)], [{"id": 1}]),
    (Sequence[UserOut], [UserDB(id=1)], [{"id": 1}]),
    (Iterable[UserOut], [UserDB(id=1)], [{"id": 1}]),
    (tuple[UserOut, ...], (UserDB(id=1),), [{"id": 1}]),
    (dict[str, UserOut], {"a": UserDB(id=1)}, {"a": {"id": 1}}),
    (Mapping[str, list[UserOut]], {"a": [UserDB(id=1)]}, {"a": [{"id": 1}]}),
    (Team, TeamDB(lead=UserDB(id=1), members=[UserDB(id=2)]), {"lead": {"id": 1}, "members": [{"id": 2}]}),
    (Team, TeamRow(), {"lead": {"id": 1}, "members": [{"id": 1}, {"id": 1}]}),
    (Team, changed(), {"lead": {"id": 2}, "members": [{"id": 3}]}),
    # Never validated: written as it is, it would say everything.
    (Team, Team.model_construct(lead={"id": 1, "hashed_password": SECRET}), {"lead": {"id": 1}, "members": []}),  # type: ignore[arg-type]
    (Painted, Painted(), {"colour": "red", "size": None}),
    (Painted, Painted(colour=Colour.RED), {"colour": "red", "size": None}),
    (Page[UserOut], Page[UserDB](items=[UserDB(id=1)]), {"items": [{"id": 1}]}),
    (Page[UserOut], Page[Any](items=[UserDB(id=1)]), {"items": [{"id": 1}]}),
    (PointOut, PointDB(1), {"id": 1}),
    (list[PointOut | Other], [PointDB(1)], [{"id": 1}]),
    (ValidPointOut, ValidPointDB(1), {"id": 1}),
    (Fields, {"id": 1, "hashed_password": SECRET}, {"id": 1}),
    (Pair, (1,), [1]),
    (Users, [UserDB(id=1)], [{"id": 1}]),
    (Users, Users([UserDB(id=1)]), [{"id": 1}]),
    (Annotated[Cat | Dog, Field(discriminator="kind")], DogDB(), {"kind": "dog"}),
    (Cat | Dog, DogDB(), {"kind": "dog"}),
    (Named, Named(userId=1), {"userId": 1}),
    (Computed, ComputedDB(id=2), {"id": 2, "double": 4}),
    (int, "7", 7),
    (set[str], {"a"}, ["a"]),
    (Awaitable[UserOut], UserDB(id=1), {"id": 1}),
    (Coroutine[Any, Any, list[UserOut]], [UserDB(id=1)], [{"id": 1}]),
    (asyncio.Future[UserOut], UserDB(id=1), {"id": 1}),
    (asyncio.Task[UserOut], UserDB(id=1), {"id": 1}),
]


@pytest.mark.parametrize(("annotation", "result", "told"), FITTING)
def test_it_is_what_the_annotation_has_and_nothing_more(annotation: Any, result: Any, told: Any) -> None:
    tell = telling(annotation, "a.handler")
    assert tell is not None
    assert tell(result) == told


@pytest.mark.parametrize(
    "annotation",
    [
        inspect.Signature.empty,
        Any,
        object,
        None,
        type(None),
        Never,
        Awaitable,
        Awaitable[Any],
        Coroutine[Any, Any, None],
    ],
)
def test_what_says_nothing_costs_nothing(annotation: Any) -> None:
    assert telling(annotation, "a.handler") is None


class Strict(BaseModel):
    mood: str

    @field_validator("mood")
    @classmethod
    def good(cls, mood: str) -> str:
        raise ValueError(f"{mood} is no mood")


class Failing(BaseModel):
    mood: str

    @field_serializer("mood")
    def written(self, mood: str) -> str:
        raise ValueError(f"{mood} cannot be written")


@pytest.mark.parametrize(
    ("annotation", "result", "field"),
    [
        (UserOut, None, "model_attributes_type"),
        (UserOut, {"hashed_password": SECRET}, "id: missing"),
        (UserOut, {"id": SECRET}, "id: int_parsing"),
        (list[UserOut], [UserDB(id=1), {"id": SECRET}], "1.id: int_parsing"),
        (Team, {"lead": {"id": 1}, "members": [{"id": SECRET}]}, "members.0.id: int_parsing"),
        (Strict, {"mood": SECRET}, "mood: value_error"),
        (int, SECRET, "int_parsing"),
        (None | int, SECRET, "int_parsing"),
        (Failing, {"mood": SECRET}, "cannot be written"),
        (UserOut, UserOut.model_construct(id=SECRET), "id: int_parsing"),  # type: ignore[arg-type]
        (Team, Team.model_construct(lead=SECRET), "lead: model_type"),  # type: ignore[arg-type]
        (dict[str, list[int]], {"a": [1, SECRET]}, "a.1: int_parsing"),
    ],
)
def test_what_does_not_fit_is_told_by_its_field_and_never_by_its_value(
    annotation: Any, result: Any, field: str
) -> None:
    tell = telling(annotation, "a.handler")
    assert tell is not None
    with pytest.raises(WrongAnswer) as wrong:
        tell(result)
    assert "a.handler" in str(wrong.value)
    assert field in str(wrong.value)
    assert SECRET not in str(wrong.value)
    assert wrong.value.__suppress_context__


def test_what_is_no_number_in_json_is_left_to_the_writing_of_the_answer() -> None:
    tell = telling(float, "a.handler")
    assert tell is not None
    assert math.isnan(tell(math.nan))


@pytest.mark.parametrize("annotation", [Row, list[Row], Awaitable[Row]])
def test_an_annotation_that_nothing_can_be_written_by_is_refused_at_once(annotation: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"a\.handler: the return annotation"):
        telling(annotation, "a.handler")
