"""What an application says its own exceptions mean: declared once for a class, by a plain function."""

from typing import Any

import pytest
from fastapi import HTTPException, WebSocketException
from fastapi.exceptions import RequestValidationError

from hubbub import ConfigurationError, Hub, InvalidMessage, NotFound, Refused
from hubbub.errors import WrongAnswer
from hubbub.handlers.refusals import RefusalTable


class Missing(Exception):
    pass


class Lost(Missing):
    pass


def tell(error: Missing) -> Refused:
    return NotFound(f"{type(error).__name__}: {error}")


async def later(error: Missing) -> Refused:
    return NotFound()


def test_the_nearest_class_decides() -> None:
    table = RefusalTable()
    table.declare(Missing, tell)
    table.declare(LookupError, lambda _: NotFound("looked up"))
    meant = [table.meant(error) for error in (Missing("x"), Lost("y"), KeyError("z"), ValueError("z"))]
    assert [each and each.message for each in meant] == ["Missing: x", "Lost: y", "looked up", None]
    table.declare(Lost, lambda _: Refused("lost"))
    assert str(table.meant(Lost())) == "lost"


def test_what_is_the_frameworks_is_nearer_than_what_it_inherits_from() -> None:
    table = RefusalTable()
    table.declare(Exception, lambda error: Refused(type(error).__name__))
    missing, invalid = HTTPException(404, "no such thing"), RequestValidationError([{"msg": "bad", "loc": ("a",)}])
    assert [type(table.meant(error)) for error in (missing, invalid)] == [NotFound, InvalidMessage]
    assert str(table.meant(WebSocketException(1008, "not so"))) == "not so"
    assert table.meant(HTTPException(500)) is None
    assert str(table.meant(KeyError())) == "KeyError"
    table.declare(HTTPException, lambda error: Refused(error.detail))
    assert type(table.meant(missing)) is Refused


def test_a_wrong_answer_is_none_that_was_meant() -> None:
    table = RefusalTable()
    table.declare(ValueError, lambda error: Refused(str(error)))
    table.declare(TypeError, lambda error: Refused(str(error)))
    assert str(table.meant(ValueError("no"))) == "no"
    assert table.meant(WrongAnswer("a check returns True or False, not None")) is None


def test_the_declaration_gives_the_function_back() -> None:
    assert Hub().refuses(Missing)(tell) is tell


@pytest.mark.parametrize(
    ("kind", "function", "says"),
    [
        (None, tell, "takes a class of exceptions, not None"),
        (tell, tell, "takes a class of exceptions"),
        (Missing("x"), tell, "takes a class of exceptions"),
        (int, tell, "takes a class of exceptions"),
        (KeyboardInterrupt, tell, "takes a class of exceptions"),
        (NotFound, tell, "NotFound is a Refused already"),
        (WrongAnswer, tell, "WrongAnswer is a fault of the application's"),
        (Missing, later, "a plain function"),
        (Missing, None, "a plain function"),
    ],
)
def test_what_cannot_be_meant_is_refused(kind: Any, function: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Hub().refuses(kind)(function)


def test_a_class_is_declared_once() -> None:
    hub = Hub()
    hub.refuses(Missing)(tell)
    with pytest.raises(ConfigurationError, match="Missing is told as has been declared already"):
        hub.refuses(Missing)


def test_what_is_no_refusal_is_the_applications_fault() -> None:
    table = RefusalTable()
    table.declare(Missing, lambda error: error)
    with pytest.raises(WrongAnswer, match="a Refused, not Missing"):
        table.meant(Missing("secret"))


def test_of_several_all_are_refusals_or_none_is() -> None:
    table = RefusalTable()
    table.declare(Missing, tell)
    both = ExceptionGroup("two", [ExceptionGroup("one", [Missing("a")]), NotFound("b")])
    assert str(table.meant(both)) == "Missing: a"
    assert table.meant(ExceptionGroup("two", [Missing("a"), ValueError()])) is None
