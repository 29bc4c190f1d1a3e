"""What handlers return, however they are written: it is awaited, and told as the result."""

import asyncio
import functools
import threading
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends
from pydantic import BaseModel

from hubbub import User
from tests.integration.hub.answering import Later, each_at_its_path, logged
from tests.kit.client import Tab
from tests.kit.decorators import awaiting, forgetting, passing
from tests.kit.serving import serving


class Say(BaseModel):
    type: Literal["say"] = "say"
    what: Any = None


async def hello(message: Say, user: User) -> str:
    await asyncio.sleep(0)
    return f"{user.id} {message.what}"


def hello_in_a_thread(message: Say, user: User) -> str:
    assert threading.current_thread() is not threading.main_thread()
    return f"{user.id} {message.what}"


async def hello_forgotten(message: Say, user: User) -> Any:
    return hello(message, user)


async def hello_at_last_forgotten(message: Say, user: User) -> Any:
    await asyncio.sleep(0.001)
    return hello(message, user)


async def hello_begun(message: Say, user: User) -> Any:
    return asyncio.create_task(hello(message, user))


async def hello_at_last_begun(message: Say, user: User) -> Any:
    await asyncio.sleep(0.001)
    return asyncio.create_task(hello(message, user))


async def hello_later(message: Say, user: User) -> Any:
    return Later(await hello(message, user))


async def hello_later_at_once(message: Say, user: User) -> Any:
    return Later(f"{user.id} {message.what}")


@types.coroutine
def hello_by_a_generator(message: Say, user: User) -> Iterator[Any]:
    yield from asyncio.sleep(0).__await__()
    return f"{user.id} {message.what}"


async def hello_generated(message: Say, user: User) -> Any:
    return hello_by_a_generator(message, user)


def hello_handed_on(message: Say, user: User) -> Any:
    return hello(message, user)


async def hello_of(greeting: str, message: Say, user: User) -> str:
    return await hello(message, user) if greeting == "hello" else greeting


async def who(user_id: str = "nobody") -> str:
    return user_id


async def hello_depending(message: Say, user: User, name: Annotated[str, Depends(who)]) -> str:
    return await hello(message, user) if name == "nobody" else name


class Greeter:
    async def __call__(self, message: Say, user: User) -> str:
        return await hello(message, user)

    def method(self, message: Say, user: User) -> Any:
        return hello(message, user)


def looking_by_name(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that takes what it needs by name, as those for FastAPI do."""

    @functools.wraps(function)
    async def wrapper(*arguments: Any, **named: Any) -> Any:
        assert named["message"].what
        return await function(*arguments, **named)

    return wrapper


HANDLERS: dict[str, Callable[..., Any]] = {
    "plain": hello,
    "passing": passing(hello),
    "awaiting": awaiting(hello),
    "by-name": looking_by_name(hello),
    "forgetting": forgetting(hello),
    "forgotten": hello_forgotten,
    "at-last-forgotten": hello_at_last_forgotten,
    "begun": hello_begun,
    "at-last-begun": hello_at_last_begun,
    "generated": hello_generated,
    "later": hello_later,
    "later-at-once": hello_later_at_once,
    "thread": hello_in_a_thread,
    "passing-thread": passing(hello_in_a_thread),
    "handed-on": hello_handed_on,
    "partial": functools.partial(hello_of, "hello"),
    "named-partial": functools.partial(hello_of, greeting="hello"),
    "object": Greeter(),
    "method": Greeter().method,
    "depending": hello_depending,
    "passing-depending": passing(hello_depending),
}


async def test_a_handler_is_called_however_it_is_written(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(each_at_its_path(HANDLERS, Say)) as server:
        for kind in HANDLERS:
            async with Tab(server.ws, f"/{kind}", token="ann") as tab:
                assert (await tab.request("say", what=kind)).get("result") == f"ann {kind}", kind
    assert not logged(caplog)
