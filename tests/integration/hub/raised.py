"""What an application's functions may raise, of every kind and with anything in it, and what a client is told of it."""

import asyncio
import math
from typing import Any, ClassVar, NoReturn

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError, ResponseValidationError, WebSocketRequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.exceptions import WebSocketException

from hubbub import (
    ConfigurationError,
    Conflict,
    ConnectionClosed,
    Forbidden,
    HandshakeRefused,
    Hub,
    InvalidCredential,
    InvalidMessage,
    NotFound,
    RateLimited,
    Refused,
    Unavailable,
)


class SoldOut(Refused):
    code = "sold_out"
    default = "there are none left"


class Wordless(Refused):
    pass


class Numbered(Refused):
    code: ClassVar[Any] = 42
    default: ClassVar[Any] = 43


class Uninitialised(Forbidden):
    def __init__(self, seats: int) -> None:
        self.seats = seats


class Overwritten(Forbidden):
    def __init__(self) -> None:
        super().__init__()
        self.message, self.field, self.retry_after = object, [1, "\ud800"], "soon"  # type: ignore[assignment]


class Failing(Refused):
    @property
    def code(self) -> str:  # type: ignore[override]
        raise LookupError("secret")


class Unwritable(Refused):
    def on_the_wire(self, id: str | int | None = None) -> dict[str, Any]:
        return {"type": "error", "data": object()}


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("it cannot say what it is")

    __repr__ = __str__


class Ending(BaseException):
    pass


class OutOfCredit(Exception):
    """Of the application's domain."""

    def __init__(self, missing: int) -> None:
        self.missing = missing


class TopUp(Refused):
    code = "top_up"


class Away(Exception):
    pass


class Closed(Away):
    pass


class Teapot(HTTPException):
    def __init__(self) -> None:
        super().__init__(500, "secret")


def told_in_ones_own_words(hub: Hub) -> None:
    @hub.refuses(OutOfCredit)
    def out_of_credit(error: OutOfCredit) -> Refused:
        if not error.missing:
            return "secret"  # type: ignore[return-value]
        return TopUp(f"{error.missing + 0} are missing", field="amount", retry_after=5)

    @hub.refuses(Away)
    def away(error: Away) -> Refused:
        return Unavailable(type(error).__name__)

    @hub.refuses(Teapot)
    def teapot(error: Teapot) -> Refused:
        return Refused("I am a teapot")


def not_valid(value: Any = "secret") -> ValidationError:
    try:
        TypeAdapter(dict[str, list[int]]).validate_python({"sizes": [1, value], "more": value})
    except ValidationError as error:
        return error
    raise AssertionError


def group(*errors: BaseException) -> BaseException:
    return BaseExceptionGroup("several", errors)


INTERNAL = {"code": "internal", "message": "internal error"}

#: What is raised, and what of the `error` it comes to. A class is raised as it is.
RAISED: dict[str, tuple[Any, dict[str, Any]]] = {
    "refused": (Refused("sold out"), {"code": "refused", "message": "sold out"}),
    "refused-class": (Refused, {"code": "refused", "message": "refused"}),
    "own": (SoldOut(retry_after=5), {"code": "sold_out", "message": "there are none left", "retry_after": 5}),
    "wordless": (Wordless(field="seat"), {"code": "refused", "message": "refused", "field": "seat"}),
    "numbered": (Numbered(), {"code": "refused", "message": "43"}),
    "uninitialised": (Uninitialised(3), {"code": "forbidden", "message": "not allowed"}),
    "overwritten": (Overwritten(), {"code": "forbidden", "message": str(object), "field": "1.?"}),
    "failing": (Failing(), INTERNAL),
    "unwritable": (Unwritable(), INTERNAL),
    "not-found": (NotFound(), {"code": "not_found", "message": "there is no such thing"}),
    "conflict": (Conflict("taken"), {"code": "conflict", "message": "taken"}),
    "error": (InvalidMessage(ValueError("no such size")), {"code": "invalid_message", "message": "no such size"}),
    "silent": (InvalidMessage(Silent()), {"code": "invalid_message", "message": "the message is not valid"}),
    "validation": (
        InvalidMessage(not_valid()),
        {
            "code": "invalid_message",
            "field": "sizes.1",
            "message": "Input should be a valid integer, unable to parse string as an integer",
        },
    ),
    "validations": (InvalidMessage(not_valid().errors(), field="own"), {"code": "invalid_message", "field": "own"}),
    "request": (
        InvalidMessage(RequestValidationError([{"msg": "bad", "loc": ("body", 0), "type": "x"}])),
        {"code": "invalid_message", "field": "body.0", "message": "bad"},
    ),
    "list": (InvalidMessage(["a", 1]), {"code": "invalid_message", "message": "['a', 1]"}),
    "empty": (InvalidMessage([]), {"code": "invalid_message", "message": "[]"}),
    "huge": (
        Forbidden("x" * 2**20, field="y" * 2**20),
        {"code": "forbidden", "message": "x" * 999 + "…", "field": "y" * 199 + "…"},
    ),
    "surrogates": (Forbidden("a\ud800", field="\udfff"), {"code": "forbidden", "message": "a?", "field": "?"}),
    "field": (Forbidden(field=7), {"code": "forbidden", "message": "not allowed", "field": "7"}),  # type: ignore[arg-type]
    "place": (Forbidden(field=("items", 0)), {"code": "forbidden", "field": "items.0"}),  # type: ignore[arg-type]
    "fraction": (
        RateLimited(retry_after=0.2),
        {"code": "rate_limited", "message": "too many messages", "retry_after": 1},
    ),  # type: ignore[arg-type]
    **{
        f"retry-{what}": (RateLimited(retry_after=what), {"code": "rate_limited", "message": "too many messages"})  # type: ignore[arg-type]
        for what in (math.nan, math.inf, -1, "soon", True, 2**60)
    },
    "400": (HTTPException(400, "no such size"), {"code": "invalid_message", "message": "no such size"}),
    "404": (HTTPException(404), {"code": "not_found", "message": "Not Found"}),
    "401": (HTTPException(401), {"code": "unauthorized", "message": "Unauthorized"}),
    "403": (HTTPException(403, "not you"), {"code": "forbidden", "message": "not you"}),
    "503": (
        HTTPException(503, headers={"Retry-After": "2"}),
        {"code": "unavailable", "message": "Service Unavailable", "retry_after": 2000},
    ),
    "404-of-starlette": (StarletteHTTPException(404, "no such team"), {"code": "not_found", "message": "no such team"}),
    "request-validation": (
        RequestValidationError([{"msg": "bad", "loc": ("body", 0), "type": "x", "input": "secret"}]),
        {"code": "invalid_message", "field": "body.0", "message": "bad"},
    ),
    "socket-validation": (
        WebSocketRequestValidationError([{"msg": "bad", "loc": ("query", "x"), "type": "x"}]),
        {"code": "invalid_message", "field": "query.x", "message": "bad"},
    ),
    "socket": (WebSocketException(1008, "not with that"), {"code": "refused", "message": "not with that"}),
    "socket-mute": (WebSocketException(1008), {"code": "refused", "message": "refused"}),
    "domain": (OutOfCredit(3), {"code": "top_up", "message": "3 are missing", "field": "amount", "retry_after": 5}),
    "domain-base": (Closed("for good"), {"code": "unavailable", "message": "Closed"}),
    "domain-failing": (OutOfCredit("secret"), INTERNAL),  # type: ignore[arg-type]
    "domain-wrong": (OutOfCredit(0), INTERNAL),
    "http-of-ones-own": (Teapot(), {"code": "refused", "message": "I am a teapot"}),
    "group-of-one": (group(group(HTTPException(404, "gone"))), {"code": "not_found", "message": "gone"}),
    "group-of-refusals": (group(OutOfCredit(3), Forbidden("late")), {"code": "top_up", "message": "3 are missing"}),
    "409": (HTTPException(409, "taken"), {"code": "conflict", "message": "taken"}),
    "422": (HTTPException(422, [{"loc": ["a"]}]), {"code": "invalid_message", "message": "the message is not valid"}),
    "402": (HTTPException(402, {"price": 3}), {"code": "refused", "message": "refused"}),
    "418": (HTTPException(418, "\ud800" * 2), {"code": "refused", "message": "??"}),
    "429": (HTTPException(429, headers={"retry-after": 3}), {"code": "rate_limited", "retry_after": 3000}),  # type: ignore[dict-item]
    "429-never": (
        HTTPException(429, headers={"Retry-After": "9" * 5000}),
        {"code": "rate_limited", "message": "Too Many Requests"},
    ),
    "429-odd": (HTTPException(429, headers=7), INTERNAL),  # type: ignore[arg-type]
    "500": (HTTPException(500, "secret"), INTERNAL),
    "302": (HTTPException(302, "secret"), INTERNAL),
    "plain": (LookupError("secret"), INTERNAL),
    "mute": (Silent("secret"), INTERNAL),
    "bare-validation": (not_valid(), INTERNAL),
    "response-validation": (ResponseValidationError([{"msg": "secret", "loc": (), "type": "x"}]), INTERNAL),
    "configuration": (ConfigurationError("secret"), INTERNAL),
    "handshake": (HandshakeRefused("secret"), INTERNAL),
    "credential": (InvalidCredential("secret"), INTERNAL),
    "anothers-end": (ConnectionClosed("another"), INTERNAL),
    "timeout": (TimeoutError(), INTERNAL),
    "cancelled": (asyncio.CancelledError(), INTERNAL),
    "exit": (SystemExit(1), INTERNAL),
    "generator-exit": (GeneratorExit(), INTERNAL),
    "stop": (StopIteration("secret"), INTERNAL),
    "async-stop": (StopAsyncIteration(), INTERNAL),
    "ending": (Ending(), INTERNAL),
    "group": (group(Forbidden("secret"), LookupError("secret")), INTERNAL),
    "base-group": (group(SystemExit(1), Ending()), INTERNAL),
}


def raising(what: str) -> NoReturn:
    raise RAISED[what][0]
