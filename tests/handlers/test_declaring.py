"""What is refused where it is declared: what would answer nothing, or something else than it seems to."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, Query, Security
from pydantic import BaseModel

from hubbub import ConfigurationError, Hub, User
from tests.kit.decorators import passing


class Say(BaseModel):
    type: Literal["say"] = "say"


def hiding(function: Callable[..., Any]) -> Callable[..., Any]:
    def hidden(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    return hidden


def generator(message: Say) -> Iterator[bool]:
    yield True


async def async_generator(message: Say) -> AsyncIterator[bool]:
    yield True


class Class:
    def __init__(self, message: Say) -> None: ...

    async def __call__(self, message: Say) -> bool:
        return False


class Generating:
    async def __call__(self, message: Say) -> AsyncIterator[bool]:
        yield True


async def returning_unknown(message: Say) -> "NoSuchName":  # type: ignore[name-defined]  # noqa: F821
    ...


async def fine(message: Say) -> None: ...


@pytest.mark.parametrize(
    ("function", "name", "says"),
    [
        (generator, "generator", "yield"),
        (async_generator, "async_generator", "yield"),
        (passing(generator), "generator", "yield"),
        (functools.partial(async_generator), "async_generator", "yield"),
        (Generating(), "Generating", "yield"),
        (Class, "Class", "class"),
        (returning_unknown, "returning_unknown", "NoSuchName"),
        (hiding(fine), "hidden", r"functools\.wraps"),
    ],
)
def test_what_answers_nothing_is_refused_by_name(function: Any, name: str, says: str) -> None:
    for declare in (Hub().on(Say), Hub().rooms("room")):
        with pytest.raises(ConfigurationError, match=says) as refused:
            declare(function)
        assert name in str(refused.value)


def test_what_is_no_function_is_refused() -> None:
    for declare in (Hub().on(Say), Hub().rooms("room")):
        with pytest.raises(ConfigurationError, match="None cannot be called; does a decorator of it end"):
            declare(None)


def test_what_a_partial_filled_is_no_parameter_any_more() -> None:
    async def check(limit: int, name: str, user: User, other: "Annotated[int, Depends(number)]") -> bool:
        return True

    for filled in (
        functools.partial(check, 5),
        functools.partial(check, limit=5),
        passing(functools.partial(check, 5)),
    ):
        Hub().rooms("room:{name}")(filled)


def test_what_stands_in_an_annotation_need_not_be_hashable() -> None:
    async def check(
        name: str,
        scoped: "Annotated[int, Security(number, scopes=['rooms'])]",
        limit: "Annotated[int, Query(examples=[1])]" = 1,
    ) -> bool:
        return True

    async def handler(message: Say, scoped: "Annotated[int, Security(number, scopes=['rooms'])]") -> None: ...

    Hub().rooms("room:{name}")(check)
    Hub().on(Say)(handler)


async def number() -> int:
    return 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"presence_data": True}, r'^presence_data=True needs presence=True or presence="diff"'),
        ({"presence": True, "presence_data": "yes"}, r"^presence_data is True or False, not 'yes'$"),
        ({"presence": "both", "presence_data": True}, r"^presence is True, False or "),
    ],
)
def test_presence_data_that_nobody_would_be_told_is_refused(options: dict[str, Any], says: str) -> None:
    async def check() -> bool:
        return True

    with pytest.raises(ConfigurationError, match=says):
        Hub().rooms("room", **options)(check)
    for presence in (True, "diff"):
        Hub().rooms("room", presence=presence, presence_data=True)(check)  # type: ignore[arg-type]


@pytest.mark.parametrize("measure", [number, passing(number), generator])
def test_facts_are_not_awaited(measure: Any) -> None:
    with pytest.raises(ConfigurationError, match="plain function"):
        Hub().facts(measure)
