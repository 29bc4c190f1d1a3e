"""How a function of the application's is called, however it was written: in the event loop or in a thread.

As FastAPI does it with a path operation. What is `async def` somewhere under its decorators, partials and `__call__` is
called in the loop, because whoever wrote it meant that; all else runs in a thread, because it may block. What comes
back is awaited where it can be: a decorator that is no coroutine function itself hands on its function's coroutine, and
an answer that nobody awaits is true, whatever it would have said.
"""

import inspect
from asyncio import Future
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from types import CodeType
from typing import Any

from starlette.concurrency import run_in_threadpool


def layers(function: Any) -> Iterator[Any]:
    """The function, then what is under it: of a partial, of `functools.wraps`, of an object's `__call__`."""
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        yield function
        function = _under(function)


def _under(function: Any) -> Any:
    if isinstance(function, partial):
        return function.func
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None or inspect.isroutine(function) or inspect.isclass(function):
        return wrapped
    return getattr(function, "__call__", None)  # noqa: B004 - an instance's method, not whether there is one


def runs_in_loop(function: Any) -> bool:
    """Whether it is called in the event loop, and not in a thread."""
    return any(inspect.iscoroutinefunction(layer) for layer in layers(function))


def generates(function: Any) -> bool:
    """Whether calling it only makes a generator, of which nothing has run yet."""
    return any(inspect.isgeneratorfunction(layer) or inspect.isasyncgenfunction(layer) for layer in layers(function))


def makes_coroutine(function: Any) -> bool:
    """Whether a call of it is a coroutine of its own, with no decorator and no partial between."""
    if hasattr(function, "__wrapped__"):
        return False
    if not (inspect.isroutine(function) or inspect.isclass(function)):
        return makes_coroutine(function.__call__)
    code = getattr(function, "__code__", None)
    return isinstance(code, CodeType) and bool(code.co_flags & inspect.CO_COROUTINE)


async def settled(answer: Any) -> Any:
    """What an answer comes to."""
    if inspect.isawaitable(answer):
        answer = await answer
        # `return other()`, where `return await other()` was meant. Of what else can be awaited some gives itself.
        while inspect.iscoroutine(answer) or isinstance(answer, Future):
            answer = await answer
    return answer


def awaiting(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The same function, to be awaited, called where it belongs."""
    in_loop = runs_in_loop(function)

    async def call(*arguments: Any, **named: Any) -> Any:
        if in_loop:
            return await settled(function(*arguments, **named))
        # A partial: names are the application's, and that of the first parameter would be taken.
        return await settled(await run_in_threadpool(partial(function, *arguments, **named)))

    return call
