"""What an exception means that is no `Refused` itself: which of them a client may be told of, and how.

Those of FastAPI and Starlette are, as a path operation's caller is told of them; those of the application's own domain
where it has declared so, by `@hub.refuses`. All else is the application's failure, and nobody's to read.
"""

from collections.abc import Callable
from typing import Any

from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException, WebSocketException

from hubbub.errors import (
    ConfigurationError,
    Conflict,
    Forbidden,
    InvalidMessage,
    NotFound,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
    WrongAnswer,
)
from hubbub.scheduling.calls import generates, runs_in_loop

_STATUS: dict[int, type[Refused]] = {
    400: InvalidMessage,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: InvalidMessage,
    429: RateLimited,
    503: Unavailable,
}
# What the framework itself gives a meaning, unless a class as near was declared to have another.
_FRAMEWORK = (HTTPException, RequestValidationError, WebSocketRequestValidationError, WebSocketException)
# Seconds of a `Retry-After`, in digits: more are no time that anybody waits.
_MAX_DIGITS = 9


class RefusalTable:
    """What the application has declared, besides what is the framework's."""

    def __init__(self) -> None:
        self._declared: dict[type[BaseException], Callable[[Any], Any]] = {}

    def check(self, kind: Any) -> None:
        """Raises ConfigurationError for what nothing can be declared for."""
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise ConfigurationError(f"@hub.refuses takes a class of exceptions, not {kind!r}")
        if issubclass(kind, Refused):
            raise ConfigurationError(f"{kind.__qualname__} is a Refused already, and is told as it is")
        if issubclass(kind, WrongAnswer):
            raise ConfigurationError(f"{kind.__qualname__} is a fault of the application's, and told to nobody")
        if kind in self._declared:
            raise ConfigurationError(f"what {kind.__qualname__} is told as has been declared already")

    def declare(self, kind: Any, tell: Any) -> None:
        """`tell` makes a Refused of an exception of this kind. Raises ConfigurationError, also as `check`."""
        self.check(kind)
        if not callable(tell) or runs_in_loop(tell) or generates(tell):
            raise ConfigurationError(
                f"{tell!r}: a plain function makes a Refused of {kind.__qualname__}, in the event loop"
            )
        self._declared[kind] = tell

    def meant(self, error: BaseException) -> Refused | None:
        """What the client is told; None where it is told of a failure, and of nothing else.

        Of several that were raised together, as from a task group, the first, where all are meant for the client.
        Raises whatever the application's function raises, and WrongAnswer where that gave no Refused.
        """
        if isinstance(error, Refused):
            return error
        if isinstance(error, BaseExceptionGroup):
            meant = [self.meant(each) for each in error.exceptions]
            return meant[0] if all(each is not None for each in meant) else None
        if isinstance(error, WrongAnswer):
            return None  # a ValueError as well, but none that anybody meant
        for kind in type(error).__mro__:
            if tell := self._declared.get(kind):
                told = tell(error)
                if not isinstance(told, Refused):
                    raise WrongAnswer(f"what {kind.__qualname__} is told as is a Refused, not {type(told).__name__}")
                return told
            if kind in _FRAMEWORK:
                return _of_the_framework(error)
        return None


def _of_the_framework(error: BaseException) -> Refused | None:
    if isinstance(error, HTTPException):
        status = error.status_code
        kind = _STATUS.get(status, Refused if 400 <= status < 500 else None)
        sentence = error.detail if isinstance(error.detail, str) else None
        return None if kind is None else kind(sentence, retry_after=_retry_after(error))
    if isinstance(error, RequestValidationError | WebSocketRequestValidationError):
        return InvalidMessage(error)
    return Refused(error.reason) if isinstance(error, WebSocketException) else None


def _retry_after(error: HTTPException) -> int | None:
    """In milliseconds, where it is in seconds."""
    headers = {str(name).lower(): str(value) for name, value in dict(error.headers or {}).items()}
    seconds = headers.get("retry-after", "")
    return int(seconds) * 1000 if seconds.isdecimal() and len(seconds) <= _MAX_DIGITS else None
