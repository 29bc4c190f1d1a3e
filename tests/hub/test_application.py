"""Two applications that got into one another's rooms are told so; workers and releases of one are not."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Literal

import pytest
from fastapi import FastAPI
from pydantic import create_model

from hubbub import Hub
from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.brokers.redis import RedisBroker
from hubbub.hub.application import Application
from hubbub.hub.declarations import Declarations
from hubbub.testing import Node
from tests.kit.waiting import until

SHOP = ("cart:{id}", "orders", "buy", "pay")
CHAT = ("room:{name}", "say", "typing")


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    with EmbeddedValkey() as server:
        yield server.url


def declared(words: Sequence[str], on: Hub | Declarations) -> None:
    for word in words:
        if ":" in word or word == "orders":

            @on.rooms(word)
            async def check() -> bool:
                return True
        else:
            model = create_model("Message", type=(Literal[word], word))

            @on.on(model)
            async def handle() -> None: ...


def application(words: Sequence[str], *, title: str = "FastAPI") -> Application:
    declarations = Declarations()
    declared(words, declarations)
    return Application.of(title, declarations)


async def start(
    stack: AsyncExitStack, url: str, words: Sequence[str], *, title: str = "FastAPI", name: str | None = None
) -> None:
    hub = Hub(url, name=name)
    declared(words, hub)
    app = FastAPI(title=title)
    app.include_router(hub.router)
    await stack.enter_async_context(Node(app))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if "two applications share" in each.getMessage()]


async def test_the_later_of_two_warns_once_with_both_names(valkey: str, caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await start(stack, valkey, SHOP, title="Shop")
        await start(stack, valkey, ("cart:{id}", "buy", "refund"), title="Shop, the next release")
        assert warnings(caplog) == []
        await start(stack, valkey, CHAT)
        await until(lambda: warnings(caplog), "it is told")
    first, *more = warnings(caplog)
    assert "one that declares message say, message typing, room room:{} and 'Shop'" in first
    assert "Hub(name=…)" in first
    # The next release has another title, so it may be a third; it is told of in a line of its own.
    assert all("'Shop, the next release'" in each for each in more)


@pytest.mark.parametrize("who", ["a name of its own", "the same name, chosen", "the broker's name"])
async def test_whose_name_was_chosen_is_not_warned(valkey: str, caplog: pytest.LogCaptureFixture, who: str) -> None:
    caplog.set_level(logging.WARNING)
    async with AsyncExitStack() as stack:
        await start(stack, valkey, SHOP)
        if who == "the broker's name":
            hub = Hub(RedisBroker(valkey, name="chat"))
            await stack.enter_async_context(hub.running())
        else:
            await start(stack, valkey, CHAT, name="chat" if who == "a name of its own" else "hubbub")
        # Whoever comes after it, and has to be warned of the first, is not warned of this one, nor was this one.
        await start(stack, valkey, ("news:{topic}", "subscribe"))
        await until(lambda: warnings(caplog), "it is told")
    assert len(warnings(caplog)) == 1
    assert "say" not in warnings(caplog)[0]


@pytest.mark.parametrize(
    ("one", "other", "another"),
    [
        (application(SHOP), application(CHAT), True),
        (application(SHOP, title="Shop"), application(CHAT, title="Chat"), True),
        (application(SHOP, title="Shop"), application(CHAT, title="Shop"), False),
        (application(SHOP), application(SHOP[:1]), False),
        (application(SHOP, title="Shop"), application(SHOP[:2], title="Worker"), False),
        (application(SHOP), application(("cart:{number}", "orders", "x", "y")), False),
        (application(SHOP), application((SHOP[0], "x", "y", "z")), True),
        (application(()), application(CHAT), False),
        (application((), title="Worker"), application(CHAT, title="Chat"), False),
    ],
)
def test_which_are_two(one: Application, other: Application, another: bool) -> None:
    for mine, theirs in ((one, other), (other, one)):
        assert mine.is_another(theirs) is another
        assert mine.is_another(Application.read(theirs.said())) is another


def test_what_is_told_of_an_application_is_bounded() -> None:
    many = application([f"word_{number}" for number in range(500)], title="x" * 500)
    assert len(many.marks) == 32
    assert len(many.called) <= 60
    # Of many the same are told everywhere.
    assert not many.is_another(application([f"word_{number}" for number in range(480)]))
