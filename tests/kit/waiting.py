"""Waiting for a condition, with a deadline: the one way in which a test waits.

The time in which this thread was ready and had no processor is not counted: how busy the machine is decides nothing.
"""

import asyncio
import inspect
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from tests.kit.stopwatch import Stopwatch

T = TypeVar("T")

#: Seconds. Long, because a test that passes never waits for it, and a machine with much to do is no failure.
SOON = 30.0


async def until(condition: Callable[[], T | Awaitable[T]], what: str, within: float = SOON) -> T:
    """The first value of `condition` that is true; it may be asked and awaited.

    Raises AssertionError, which names `what`, after `within` seconds.
    """
    watch = Stopwatch()
    while True:
        answer = condition()
        value: T = await answer if inspect.isawaitable(answer) else answer  # type: ignore[assignment]
        if value:
            return value
        assert watch.own < within, f"not within {within:g} s: {what}; the last answer: {value!r}"
        await asyncio.sleep(0.005)


def wait_for(condition: Callable[[], T], *, what: str, within: float = SOON) -> T:
    """As `until`, outside of an event loop."""
    watch = Stopwatch()
    while not (value := condition()):
        assert watch.own < within, f"not within {within:g} s: {what}"
        time.sleep(0.02)
    return value


def tries(what: str, within: float = SOON) -> Iterator[int]:
    """One try after the other, for what cannot be waited for.

    Which worker takes a socket is the kernel's choice: one that gets no processor takes none, however often one asks.

    Raises AssertionError, which names `what`, after `within` seconds.
    """
    watch = Stopwatch()
    for number in itertools.count():
        assert watch.own < within, f"not within {within:g} s and {number} tries: {what}"
        yield number
