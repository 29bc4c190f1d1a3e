"""How a function is called, however it was written."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import AsyncMock

import pytest

from hubbub.scheduling.calls import awaiting, generates, layers, makes_coroutine, runs_in_loop, settled
from tests.kit.decorators import passing


async def native() -> str:
    return "answer"


def plain() -> str:
    return threading.current_thread().name


async def wrapping() -> str:
    return plain()


wrapping.__wrapped__ = plain  # type: ignore[attr-defined]


class Object:
    async def __call__(self) -> str:
        return "answer"

    async def method(self) -> str:
        return "answer"

    def blocking(self) -> str:
        return plain()


class Decorator:
    """One that is an object, as some that count calls are."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    async def __call__(self) -> Any:
        return await self._function()


class Blocking:
    def __call__(self) -> str:
        return plain()


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


class Generating:
    def __call__(self) -> Iterator[int]:
        yield 1


IN_LOOP: list[Any] = [
    native,
    passing(native),
    passing(passing(native)),
    functools.partial(native),
    functools.partial(passing(functools.partial(native))),
    wrapping,
    Object(),
    functools.partial(Object()),
    Object().method,
    passing(Object().method),
    functools.lru_cache(native),
    Decorator(native),
    AsyncMock(return_value="answer"),
]
IN_THREAD: list[Any] = [plain, passing(plain), functools.partial(plain), Object().blocking, Blocking(), lambda: plain()]


@pytest.mark.parametrize("function", IN_LOOP)
async def test_what_is_async_under_its_wrappings_is_called_in_the_loop(function: Any) -> None:
    assert runs_in_loop(function)
    assert not generates(function)
    assert await awaiting(function)() in ("answer", threading.current_thread().name)


@pytest.mark.parametrize("function", IN_THREAD)
async def test_all_else_is_called_in_a_thread(function: Any) -> None:
    assert not runs_in_loop(function)
    assert not generates(function)
    assert await awaiting(function)() != threading.current_thread().name


@pytest.mark.parametrize(
    "function",
    [
        generator,
        async_generator,
        passing(generator),
        functools.partial(async_generator),
        Generating(),
        contextmanager(generator),
        asynccontextmanager(async_generator),
    ],
)
def test_a_yield_is_found_under_its_wrappings(function: Any) -> None:
    assert generates(function)


@pytest.mark.parametrize("function", [native, Object(), Object().method])
def test_what_makes_a_coroutine_by_itself(function: Any) -> None:
    assert makes_coroutine(function)


@pytest.mark.parametrize(
    "function", [passing(native), functools.partial(native), wrapping, Decorator(native), *IN_THREAD, print, Object]
)
def test_what_may_make_something_else(function: Any) -> None:
    assert not makes_coroutine(function)


def test_wrappings_that_lead_to_themselves_end() -> None:
    def circle() -> None: ...

    circle.__wrapped__ = circle  # type: ignore[attr-defined]
    assert list(layers(circle)) == [circle]


async def test_a_coroutine_that_gives_a_coroutine_is_awaited_to_its_end() -> None:
    async def outer() -> Any:
        return native()

    async def outermost() -> Any:
        return outer()

    assert await settled(outermost()) == "answer"
    assert await settled("answer") == "answer"
    assert await settled(asyncio.ensure_future(native())) == "answer"


async def test_what_gives_itself_is_awaited_once() -> None:
    """As a pool of database connections does, which can be awaited to be opened."""

    class Pool:
        opened = 0

        def __await__(self) -> Iterator[Any]:
            self.opened += 1
            yield from asyncio.sleep(0).__await__()
            return self

    pool = Pool()
    assert await settled(pool) is pool
    assert pool.opened == 1


async def test_arguments_may_have_any_name() -> None:
    def function(func: int, function: int, limiter: int) -> tuple[int, ...]:
        return func, function, limiter

    assert await awaiting(function)(func=1, function=2, limiter=3) == (1, 2, 3)


async def test_a_coroutine_that_gives_a_task_is_awaited_to_its_end() -> None:
    async def begun() -> Any:
        return asyncio.ensure_future(native())

    assert await settled(begun()) == "answer"
