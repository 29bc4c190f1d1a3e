"""The first step of a coroutine; nearly every handler has no other."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from hubbub.protocol.fast_path import ACCELERATOR

FirstStep: TypeAlias = Callable[[Coroutine[Any, Any, Any]], tuple[bool, Any]]


def python_first_step(coroutine: Coroutine[Any, Any, Any]) -> tuple[bool, Any]:
    """True and what it returned, or False and what it waits for. Raises what it raises."""
    try:
        return False, coroutine.send(None)
    except StopIteration as stop:
        return True, stop.value


first_step: Final[FirstStep] = python_first_step if ACCELERATOR is None else ACCELERATOR.first_step
