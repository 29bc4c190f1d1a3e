"""Credentials that are asked about again: about whom, when, how many at once, and what is made of the answer."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Annotated, Any

import pytest
from fastapi import Depends, HTTPException

from hubbub import ConfigurationError, Connection, Hub, Refused, Unavailable, User
from hubbub.hub.still_valid import AT_ONCE
from hubbub.ports.metrics import Count, Tally
from hubbub.testing import ManualClock, Node, Tab
from tests.kit.waiting import until


class Names:
    """The token is the user's name and, behind a slash, the session's."""

    cookie, bearer = None, True

    async def authenticate(self, credential: Any) -> User:
        name, _, session = credential.value.partition("/")
        return User(name, session=session or None)


class Asked:
    """A hub that asks `answer`, by default every 10 s, and the users it was asked about."""

    def __init__(self, answer: Callable[[User], Any], *, every: float = 10.0) -> None:
        self.clock, self.about = ManualClock(), Counter[str]()
        self.hub = Hub("memory", auth=Names(), clock=self.clock)

        @self.hub.still_valid(every=every)
        async def still_valid(user: User) -> Any:
            self.about[f"{user.id}/{user.session}"] += 1
            answer_ = answer(user)
            return await answer_ if asyncio.iscoroutine(answer_) else answer_

    async def tabs(self, stack: AsyncExitStack, *tokens: str) -> list[Tab]:
        node = await stack.enter_async_context(Node(self.hub))
        return [await stack.enter_async_context(Tab(node, token=token)) for token in tokens]


async def test_it_is_asked_once_for_all_tabs_of_the_same_and_no_closes_them() -> None:
    banned: set[str] = set()
    asked = Asked(lambda user: user.id not in banned)
    async with AsyncExitStack() as stack:
        *ann, other, bob = await asked.tabs(stack, "ann", "ann", "ann", "ann/phone", "bob")
        await asked.clock.advance(10.0)
        assert asked.about == {"ann/None": 1, "ann/phone": 1, "bob/None": 1}
        banned.add("ann")
        await asked.clock.advance(10.0)
        assert [await tab.closed() for tab in (*ann, other)] == [4005] * 4
        assert bob.open
        await asked.clock.advance(20.0)
        assert asked.about == {"ann/None": 2, "ann/phone": 2, "bob/None": 4}


async def test_the_users_are_spread_over_the_interval_and_each_is_asked_about_in_it() -> None:
    asked = Asked(lambda _: True, every=64.0)
    names = [f"u{number}" for number in range(100)]
    most = 0
    async with AsyncExitStack() as stack:
        await asked.tabs(stack, *names)
        for _ in range(64):
            before = asked.about.total()
            await asked.clock.advance(1.0)
            most = max(most, asked.about.total() - before)
    assert asked.about == {f"{name}/None": 1 for name in names}
    assert most < 25


async def test_few_are_asked_about_at_once() -> None:
    gate, running, most = asyncio.Event(), 0, 0

    async def slow(user: User) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return True

    asked = Asked(slow, every=1.0)
    async with AsyncExitStack() as stack:
        await asked.tabs(stack, *(f"u{number}" for number in range(2 * AT_ONCE + 3)))
        await asked.clock.advance(5.0)
        assert most == running == AT_ONCE
        gate.set()
        await until(lambda: len(asked.about) == 2 * AT_ONCE + 3, "all are asked about")
        assert most == AT_ONCE


def fails(error: Exception) -> Callable[[User], Any]:
    def answer(_: User) -> Any:
        raise error

    return answer


@pytest.mark.parametrize(
    "answer",
    [fails(RuntimeError("S3CRET")), fails(Unavailable()), fails(HTTPException(500)), fails(Refused("x"))]
    + [lambda _, said=said: said for said in (None, 1, "no", ())],
)
async def test_what_says_neither_yes_nor_no_closes_nobody_and_is_asked_again(
    answer: Callable[[User], Any], caplog: pytest.LogCaptureFixture
) -> None:
    asked = Asked(answer)
    with caplog.at_level(logging.ERROR, "hubbub.hooks"):
        async with AsyncExitStack() as stack:
            [ann] = await asked.tabs(stack, "ann")
            await asked.clock.advance(200.0)
            assert ann.open
            assert asked.about["ann/None"] == 20
    assert isinstance(asked.hub.metrics, Tally)
    assert asked.hub.metrics.counts[Count.HANDLER_FAILED] == 20
    assert "still_valid failed, and is asked again" in caplog.text
    assert "S3CRET" not in caplog.text


@pytest.mark.parametrize("status", [401, 403])
async def test_a_dependency_that_refuses_says_no(status: int) -> None:
    clock = ManualClock()
    hub = Hub("memory", auth=Names(), clock=clock)

    def account(user: User) -> str:
        if user.id == "ann":
            raise HTTPException(status)
        return user.id

    @hub.still_valid(every=1)
    def still_valid(name: Annotated[str, Depends(account)]) -> bool:
        return name == "bob"

    async with Node(hub) as node, Tab(node, token="ann") as ann, Tab(node, token="bob") as bob:
        await clock.advance(1.0)
        assert await ann.closed() == 4005
        assert bob.open


async def test_an_answer_about_what_was_renewed_meanwhile_counts_no_more() -> None:
    gate = asyncio.Event()

    async def no(user: User) -> bool:
        await gate.wait()
        return False

    asked = Asked(no, every=1.0)
    async with AsyncExitStack() as stack:
        renews, stays = await asked.tabs(stack, "ann", "ann")
        await asked.clock.advance(1.0)
        await until(lambda: asked.about, "it is asked")
        await renews.ask({"type": "auth", "token": "ann"})
        gate.set()
        assert await stays.closed() == 4005
        assert renews.open


@pytest.mark.parametrize("every", [0, 0.5, -1, float("inf"), float("nan"), "5", True, None])
def test_an_interval_that_is_none(every: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"still_valid\(every=…\)"):
        Hub("memory").still_valid(every=every)(lambda: True)


def test_a_connection_is_not_to_be_had() -> None:
    def still_valid(connection: Connection) -> bool:
        return True

    with pytest.raises(ConfigurationError, match="no Connection is the cause"):
        Hub("memory").still_valid(every=5)(still_valid)
