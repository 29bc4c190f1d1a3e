"""Waiting for a condition, with a deadline: the one way in which a test waits."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds. Long, because a test that passes never waits for it, and a machine with much to do is no failure.
SOON = 30.0


async def until(condition: Callable[[], T | Awaitable[T]], what: str, within: float = SOON) -> T:
    """The first value of `condition` that is true; it may be asked and awaited.

    Raises AssertionError, which names `what`, after `within` seconds.
    """
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        value: T = await answer if inspect.isawaitable(answer) else answer  # type: ignore[assignment]
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}; the last answer: {value!r}"
        await asyncio.sleep(0.005)


def wait_for(condition: Callable[[], T], *, within: float, what: str) -> T:
    """As `until`, outside of an event loop."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.02)
    return value
