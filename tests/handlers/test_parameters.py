"""What a parameter can be, of a handler, a check, or what they depend on: all else is refused by function and name."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Optional

import pytest
from fastapi import Body, Depends, Header, Query, Security
from pydantic import BaseModel, Field
from starlette.requests import Request

from hubbub import ConfigurationError, Connection, Hub, Room, User
from hubbub.handlers.fastapi import FastAPIInjection
from tests.handlers.test_models import A, B, C

if TYPE_CHECKING:
    from decimal import Decimal


class Service:
    """Nothing that Pydantic knows."""


async def number() -> int:
    return 1


def late() -> "Decimal":
    raise AssertionError


LATE: Any = Depends(late)


def taking(annotation: Any) -> Callable[..., Any]:
    async def asked(given: Any) -> None: ...

    asked.__annotations__ = {"given": annotation}
    return asked


IMPOSSIBLE: list[tuple[Any, str]] = [
    (Connection | None, "write Connection"),
    (Optional[Connection], "write Connection"),  # noqa: UP045
    (User | None, "write User"),
    (Annotated[User, "who"] | None, "write User"),
    (User | Connection, "write Connection"),
    (Hub | None, "write Hub"),
    (A | None, "write A"),
    (A | B, "write A"),
    (Service, "annotated Service, is neither the declared message, nor Connection, User, Hub or a dependency"),
    (Service | None, "Service | None"),
    (Room, "annotated Room"),
    (list[int], "neither the declared message"),
    (B, "neither the declared message"),
    (Annotated[int, Body()], "neither the declared message"),
    (Request, "is a Request"),
    (5, "annotated 5"),
    (Annotated[int, Depends(5)], "5 is not a callable"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("annotation", "says"), IMPOSSIBLE)
def test_a_parameter_that_cannot_be_filled_is_refused_by_name(annotation: Any, says: str) -> None:
    asked = taking(annotation)

    class Class:
        def __init__(self, made: Annotated[Any, Depends(asked)]) -> None: ...

    async def between(made: Annotated[Any, Security(asked, scopes=["a"])]) -> None: ...

    async def deep(message: A, one: Annotated[Any, Depends(number)], two: Annotated[Any, Depends(between)]) -> None: ...

    async def of_a_class(
        message: A, one: Annotated[Class, Depends()], *, two: Annotated[Any, Depends(between)]
    ) -> None: ...

    for handler in (asked, deep, of_a_class):
        with pytest.raises(ConfigurationError) as refused:
            Hub().on(A)(handler)
        text = str(refused.value)
        assert says in text
        assert "'given'" in text
        assert "asked" in text
        assert handler.__name__ in text


@pytest.mark.parametrize("annotation", [A, A | B, A | C | None, A | B | C])
def test_a_part_of_a_union_is_not_the_message(annotation: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"'given'.*write A \| C"):
        Hub().on(A | C)(taking(annotation))


@pytest.mark.parametrize("annotation", [User, Connection, Hub])
def test_a_placeholder_is_no_value_of_the_hubs(annotation: Any) -> None:
    with pytest.raises(ConfigurationError, match="'given' is a part of the room's name"):
        Hub().rooms("room:{given}")(taking(annotation))


@pytest.mark.parametrize("annotation", [Service, list[int], BaseModel, Service | None])
def test_a_placeholder_is_what_a_text_can_spell(annotation: Any) -> None:
    with pytest.raises(ConfigurationError, match="'given'"):
        Hub().rooms("room:{given}")(taking(annotation))


def test_an_annotation_that_does_not_resolve_is_no_matter_where_nothing_depends_on_it() -> None:
    """As FastAPI has it: names that are imported for type checkers only."""

    async def asked(given: "Decimal" = LATE) -> "Decimal":
        return given

    async def unknown(given: "Decimal") -> None: ...

    async def handler(message: A, value: Annotated[Any, Depends(asked)]) -> None: ...

    Hub().on(A)(handler)

    async def bad(message: A, value: Annotated[Any, Depends(unknown)]) -> None: ...

    with pytest.raises(ConfigurationError, match=r"unknown, for .*bad: the annotation 'Decimal' does not resolve"):
        Hub().on(A)(bad)


@pytest.mark.parametrize(
    "pattern", [None, 5, b"room", ["room"], number, "", "room:{", "room:{1}", "{a}{b}", "{a}:{a}", "{a:int}"]
)
def test_what_is_no_pattern_is_refused_where_it_stands(pattern: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"room|pattern|brace|placeholder|several"):
        Hub().rooms(pattern)(number)


def test_decorators_without_their_brackets_are_refused() -> None:
    for declare in (Hub().on, Hub().rooms):
        with pytest.raises(ConfigurationError, match=r"@hub\.(on|rooms)"):
            declare(number)  # type: ignore[arg-type]
    for nothing in (None, 5, "facts"):
        with pytest.raises(ConfigurationError, match="plain function"):
            Hub().facts(nothing)  # type: ignore[arg-type]


@pytest.mark.parametrize("declared", [None, 5, "A", A | None, list[A], BaseModel, Annotated[A | B, Field(strict=True)]])
def test_what_is_no_message_is_refused_where_it_stands(declared: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^@hub\.on: "):
        Hub().on(declared)


def test_what_the_cause_of_a_call_has_not_is_refused_at_any_depth() -> None:
    async def asking(user: User) -> None: ...

    async def deep(asked: Annotated[None, Depends(asking)]) -> None: ...

    async def plain(hub: Hub) -> None: ...

    def prepare(function: Any) -> None:
        FastAPIInjection(Hub()).prepare(
            function, message=None, caller=Connection, path_params=frozenset(), lacking=(Connection, User)
        )

    for function in (taking(Connection), asking, deep):
        with pytest.raises(ConfigurationError, match=r"no (User|Connection) is the cause of its call"):
            prepare(function)
    prepare(plain)


def test_a_parameter_of_a_handler_says_what_it_is() -> None:
    async def nothing(message: A, given) -> None: ...  # type: ignore[no-untyped-def]

    for handler in (nothing, taking(Any)):
        with pytest.raises(ConfigurationError, match="'given' needs an annotation, which says what it is"):
            Hub().on(A)(handler)

    async def by_default(message: A, given: Any = Depends(number), asked: Any = Query()) -> None: ...  # noqa: B008

    Hub().on(A)(by_default)


def test_what_a_handshake_would_bring_is_refused_where_no_connection_calls() -> None:
    hub = Hub()

    async def misspelt(user: str) -> None: ...

    async def deep(asked: Annotated[None, Depends(misspelt)]) -> None: ...

    async def by_header(token: Annotated[str, Header()]) -> None: ...

    async def right(user_id: str, page: int = 1) -> None: ...

    for function, name in ((misspelt, "'user'"), (deep, "'user'"), (by_header, "'token'")):
        with pytest.raises(ConfigurationError, match=rf"{name} would come with a handshake, .* given 'user_id'$"):
            hub.on_online(function)
    with pytest.raises(ConfigurationError, match=r"'given' would come .* given nothing$"):
        hub.on_occupied("lobby")(taking(int))
    hub.on_online(right)
    hub.on_connect(misspelt)
