"""What checks of rooms answer, however they are written: awaited, and never taken by its truth."""

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends

from hubbub import Hub, User
from tests.integration.hub.answering import WRONG, Later, logged
from tests.kit.client import Tab
from tests.kit.decorators import awaiting, forgetting, passing
from tests.kit.serving import Names, serving, simple


async def member(name: str, user: User) -> bool:
    await asyncio.sleep(0)
    return name == user.id


def in_a_thread(name: str, user: User) -> bool:
    assert threading.current_thread() is not threading.main_thread()
    return name == user.id


def handing_on(name: str, user: User) -> Any:
    return member(name, user)


async def forgotten(name: str, user: User) -> Any:
    return member(name, user)


async def begun(name: str, user: User) -> Any:
    return asyncio.create_task(member(name, user))


async def begun_twice(name: str, user: User) -> Any:
    return asyncio.create_task(begun(name, user))


def a_task(name: str, user: User) -> Any:
    return asyncio.run_coroutine_threadsafe(member(name, user), loops[0]).result()


loops: list[asyncio.AbstractEventLoop] = []


async def among(allowed: set[str], name: str, user: User) -> bool:
    return user.id in allowed and await member(name, user)


async def allowed_users() -> set[str]:
    return {"ann"}


async def depending(name: str, user: User, allowed: Annotated[set[str], Depends(allowed_users)]) -> bool:
    return await among(allowed, name, user)


class Policy:
    async def __call__(self, name: str, user: User) -> bool:
        return await member(name, user)

    async def method(self, name: str, user: User) -> bool:
        return await member(name, user)

    @passing
    async def decorated(self, name: str, user: User) -> bool:
        return await member(name, user)


def later(name: str, user: User) -> Any:
    return Later(name == user.id)


async def at_last_later(name: str, user: User) -> Any:
    await asyncio.sleep(0)
    return later(name, user)


#: All of them admit whose name the room has, and nobody else.
CHECKS: dict[str, Callable[..., Any]] = {
    "plain": member,
    "passing": passing(member),
    "twice": passing(passing(member)),
    "awaiting": awaiting(member),
    "forgetting": forgetting(member),
    "forgotten": forgotten,
    "begun": begun,
    "begun-twice": begun_twice,
    "thread": in_a_thread,
    "passing-thread": passing(in_a_thread),
    "handing-on": handing_on,
    "later": later,
    "at-last-later": at_last_later,
    "from-a-thread": a_task,
    "partial": functools.partial(among, {"ann"}),
    "named-partial": functools.partial(among, allowed={"ann"}),
    "passing-partial": passing(functools.partial(among, allowed={"ann"})),
    "partial-passing": functools.partial(passing(among), {"ann"}),
    "object": Policy(),
    "partial-object": functools.partial(Policy()),
    "method": Policy().method,
    "decorated-method": Policy().decorated,
    "depending": depending,
    "passing-depending": passing(depending),
}


async def test_a_check_is_asked_however_it_is_written(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Names())
    for kind, check in CHECKS.items():
        hub.rooms(f"{kind}:{{name}}")(check)
    async with serving(simple(hub)) as server, Tab(server.ws, "/ws?allowed=bob", token="ann") as tab:
        loops[:] = [asyncio.get_running_loop()]
        for kind in CHECKS:
            assert (await tab.request("join_room", room=f"{kind}:ann"))["type"] == "room_joined", kind
            refused = await tab.request("join_room", room=f"{kind}:bob")
            assert (refused.get("code"), refused["type"]) == ("forbidden", "error"), kind
        async with Tab(server.ws, "/ws?allowed=bob", token="bob") as bob:
            # What a partial has filled is not the client's to fill.
            for kind in ("partial", "named-partial", "passing-partial", "partial-passing"):
                assert (await bob.request("join_room", room=f"{kind}:bob"))["code"] == "forbidden", kind
    assert not logged(caplog)


@pytest.mark.complains("failed for connection")
async def test_only_true_admits_and_what_is_neither_is_told_by_its_type(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(auth=Names())

    @hub.rooms("async:{what}")
    async def one(what: str) -> Any:
        return WRONG[what][0]

    @hub.rooms("plain:{what}")
    def other(what: str) -> Any:
        return WRONG[what][0]

    @hub.rooms("annotated:{what}")
    async def annotated(what: str) -> bool:
        return WRONG[what][0]  # type: ignore[no-any-return]

    async with serving(simple(hub)) as server, Tab(server.ws, token="ann") as tab:
        for kind in ("async", "plain", "annotated"):
            for what, (_, name) in WRONG.items():
                caplog.clear()
                refused = await tab.request("join_room", room=f"{kind}:{what}")
                assert (refused["type"], refused["code"]) == ("error", "internal"), (kind, what)
                [line] = logged(caplog)
                assert tab.welcome["connection"] in line
                said = line.rpartition(": a check returns True or False, not ")[2]
                assert said == (f"{name}: does a way through it end without `return`?" if what == "nothing" else name)
                assert "secret" not in caplog.text
                assert not (await hub.room(f"{kind}:{what}").members())
        assert (await tab.request("leave_room", room="async:one"))["code"] == "not_joined"
