"""Decorators as applications write them."""

import functools
from collections.abc import Callable
from typing import Any


def passing(function: Callable[..., Any]) -> Callable[..., Any]:
    """One that is no coroutine function, as most that count, time or retry."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    return wrapper


def awaiting(function: Callable[..., Any]) -> Callable[..., Any]:
    """One that awaits its function."""

    @functools.wraps(function)
    async def wrapper(*arguments: Any, **named: Any) -> Any:
        return await function(*arguments, **named)

    return wrapper


def forgetting(function: Callable[..., Any]) -> Callable[..., Any]:
    """One that returns what should have been awaited."""

    @functools.wraps(function)
    async def wrapper(**named: Any) -> Any:
        return function(**named)

    return wrapper
