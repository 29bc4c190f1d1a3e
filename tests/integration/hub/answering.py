"""What functions of an application's answer, wrongly too, what the log says then, and where many are asked at once."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from hubbub import Hub, User
from tests.kit.serving import Names

#: What a check may wrongly say, and what the log calls it.
WRONG: dict[str, tuple[Any, str]] = {
    "nothing": (None, "NoneType"),
    "reason": ((False, "secret-reason"), "tuple"),
    "empty": ((), "tuple"),
    "one": (1, "int"),
    "zero": (0, "int"),
    "text": ("secret-no", "str"),
    "dict": ({"allowed": False}, "dict"),
    "user": (User("ann"), "User"),  # type: ignore[arg-type]
}


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    ours = [each for each in caplog.records if each.name.startswith("hubbub.")]
    return [each.getMessage() for each in ours if each.levelno >= logging.ERROR]


def each_at_its_path(handlers: Mapping[str, Callable[..., Any]], model: type[BaseModel]) -> FastAPI:
    """An application that handles `model` by every one of them, each with a hub of its own at `/<its name>`."""
    app = FastAPI()
    for name, handler in handlers.items():
        hub = Hub(auth=Names(), path=f"/{name}")
        hub.on(model)(handler)
        app.include_router(hub.router)
    return app


class Later:
    """Not a coroutine, and can be awaited."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __await__(self) -> Iterator[Any]:
        yield from asyncio.sleep(0).__await__()
        return self._answer
