"""The first step of a coroutine, in C and in Python."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest

from hubbub.handlers.first_step import FirstStep, python_first_step
from tests.kit.blocks import kept
from tests.protocol.implementations import c


@pytest.fixture(params=["C", "Python"])
def first_step(request: pytest.FixtureRequest) -> FirstStep:
    implementation: FirstStep = c().first_step if request.param == "C" else python_first_step
    return implementation


async def returns(result: object) -> object:
    return result


async def waits(until: "asyncio.Future[str] | None") -> object:
    await asyncio.sleep(0) if until is None else await until
    return "late"


async def fails() -> None:
    raise LookupError("wrong")


class Driven(Coroutine[Any, Any, Any]):
    """A coroutine that is no coroutine of Python's own, as compilers make them."""

    def __init__(self, result: object) -> None:
        self.result = result

    def send(self, value: Any) -> Any:
        raise StopIteration(self.result)

    def throw(self, *error: Any) -> Any:
        raise NotImplementedError

    def __await__(self) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("result", [None, 1, (), (True, 1), StopIteration(1)])
def test_what_it_returned(first_step: FirstStep, result: object) -> None:
    assert first_step(returns(result)) == (True, result)
    if not isinstance(result, tuple):
        assert first_step(Driven(result)) == (True, result)


async def test_what_it_waits_for(first_step: FirstStep) -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    for until in (None, future):
        coroutine = waits(until)
        assert first_step(coroutine) == (False, until)
        coroutine.close()


def test_what_it_raises_is_raised(first_step: FirstStep) -> None:
    with pytest.raises(LookupError, match="wrong"):
        first_step(fails())


def test_nothing_is_kept(first_step: FirstStep) -> None:
    def fail() -> None:
        with suppress(LookupError):
            first_step(fails())

    assert kept(lambda: first_step(returns(["x"]))) < 200
    assert kept(fail) < 200
