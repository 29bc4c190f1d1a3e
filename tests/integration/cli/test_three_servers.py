"""Three servers that know nothing of each other, on ports of their own, and a Valkey on another: one hub.

Not children of one command: one is `hubbub serve`, one `uvicorn`, one gunicorn, as three machines might have them.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hubbub.client.publisher import AsyncPublisher, Publisher
from tests.kit.client import Tab
from tests.kit.commanded import Commanded, commanded
from tests.kit.stopwatch import Stopwatch
from tests.kit.valkey import Valkey
from tests.kit.waiting import until

APP = """
from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel
from hubbub import Connection, Hub, HubDep, Leaving, User
from hubbub.integrations.operations import operations

class Names:
    cookie, bearer = None, True

    async def authenticate(self, credential):
        return User(credential.value)

hub = Hub(auth=Names(), announce_users=True, leaving=Leaving(lease=3.0))

@hub.rooms("open:{name}", presence=True)
async def anybody(name: str) -> bool:
    return True

class Say(BaseModel):
    type: Literal["say"] = "say"
    to: Literal["room", "rooms", "all", "user"]
    n: int
    without: list[str] = []
    without_me: bool = False

@hub.on(Say)
async def say(said: Say, connection: Connection, hub: HubDep) -> None:
    target = {
        "room": lambda: connection.room("open:a"),
        "rooms": lambda: hub.each_room(["open:a", "open:b"]),
        "user": lambda: hub.user("ann"),
        "all": lambda: None,
    }[said.to]()
    exclude = [*said.without, *([connection] if said.without_me else [])]
    send = hub.broadcast if target is None else target.send
    await send({"type": "said", "n": said.n}, exclude=exclude)

app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())

@app.get("/people")
async def people(room: str, user: str):
    found = hub.user(user)
    return {"members": await hub.room(room).members(), "online": await found.is_online()}
"""

SERVERS = [
    ["hubbub", "serve", "main:app", "--port", "{port}"],
    ["uvicorn", "main:app", "--port", "{port}"],
    ["gunicorn", "main:app", "--bind", "127.0.0.1:{port}", "-k", "uvicorn_worker.UvicornWorker"],
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    valkey = Valkey(tmp_path_factory.mktemp("valkey"), durable=False)
    valkey.start()
    try:
        yield f"redis://127.0.0.1:{valkey.port}"
    finally:
        valkey.stop()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("application")
    (where / "main.py").write_text(APP)
    return where


@pytest.fixture(scope="module")
def three(directory: Path, url: str) -> Iterator[list[Commanded]]:
    with contextlib.ExitStack() as stack:
        env = {"HUBBUB_BROKER": url, "HUBBUB_DRAIN": "0.2"}
        yield [stack.enter_context(commanded(each, cwd=directory, env=env)) for each in SERVERS]


@pytest.fixture
async def tabs(three: list[Commanded]) -> AsyncIterator[dict[str, Tab]]:
    """Two of ann's, on two servers, one of bob's and one of cy's, on others than ann's first; all in two rooms."""
    where = {"ann": ("ann", 0), "ann-2": ("ann", 1), "bob": ("bob", 1), "cy": ("cy", 2)}
    async with contextlib.AsyncExitStack() as stack:
        found = {}
        for name, (user, at) in where.items():
            found[name] = await stack.enter_async_context(Tab(three[at].ws, token=user))
        assert len({tab.node for tab in found.values()}) == 3
        for tab in found.values():
            for room in ("open:a", "open:b"):
                await tab.join(room)
        for tab in found.values():
            await until(lambda tab=tab: not left_to_come(tab), "all is told")  # type: ignore[misc]
        yield found


def left_to_come(tab: Tab) -> set[str]:
    """Who has come since, and was not told of yet."""
    joined = [each["members"] for each in tab.received("room_joined") if each["room"] == "open:b"]
    return {"ann", "bob", "cy"} - set(joined[0]) - {each["user"] for each in tab.received("user_joined_room")}


def gone(tab: Tab, user: str) -> list[str | None]:
    """The rooms it was told that the user has left; None: for having disconnected."""
    told = [*tab.received("user_left_room"), *tab.received("user_disconnected")]
    return sorted((each.get("room") for each in told if each["user"] == user), key=lambda room: room or "~")


async def who_hears(tabs: dict[str, Tab], sends: Any, number: int) -> dict[str, int]:
    """How often each tab has got that message, when another one to all has come behind it."""
    await sends
    await tabs["cy"].send({"type": "say", "to": "all", "n": -number})
    for tab in tabs.values():
        await tab.receive("said", n=-number)
    return {name: len([1 for each in tab.received("said") if each["n"] == number]) for name, tab in tabs.items()}


@pytest.mark.parametrize("sender", ["ann", "bob", "cy"])
async def test_who_is_excluded_hears_nothing_wherever_the_sender_is(tabs: dict[str, Tab], sender: str) -> None:
    number = 0
    everyone, anns = set(tabs), {"ann", "ann-2"}
    for to, times in (("room", 1), ("rooms", 2), ("all", 1), ("user", 1)):
        reached = anns if to == "user" else everyone
        for without, without_me, spared in (
            ([], False, set()),
            (["ann"], False, anns),
            (["bob", "cy"], False, {"bob", "cy"}),
            ([], True, {sender}),
            (["cy"], True, {sender, "cy"}),
            (["nobody"], False, set()),
        ):
            number += 1
            said = {"type": "say", "to": to, "n": number, "without": without, "without_me": without_me}
            heard = await who_hears(tabs, tabs[sender].ask(said), number)
            assert heard == {name: times * (name in reached - spared) for name in tabs}, (to, without, without_me)


async def test_a_publisher_excludes_users_too(tabs: dict[str, Tab], url: str) -> None:
    async with AsyncPublisher(url) as publisher:
        message = {"type": "said", "n": 1}
        assert await who_hears(tabs, publisher.room("open:a").send(message, exclude="ann"), 1) == {
            **dict.fromkeys(tabs, 1),
            "ann": 0,
            "ann-2": 0,
        }
        message["n"] = 2
        rooms = publisher.each_room(["open:a", "open:b"])
        heard = await who_hears(tabs, rooms.send(message, exclude=["bob", "cy"]), 2)
        assert heard == {"ann": 2, "ann-2": 2, "bob": 0, "cy": 0}
    with Publisher(url) as plain:
        message["n"] = 3
        heard = await who_hears(tabs, asyncio.to_thread(plain.broadcast, message, exclude=["bob"]), 3)
        assert heard == {"ann": 1, "ann-2": 1, "bob": 0, "cy": 1}
        with pytest.raises(TypeError, match="exclude"):
            plain.user("ann").send(message, exclude=7)  # type: ignore[arg-type]


async def test_rooms_users_and_presence_are_one(three: list[Commanded], tabs: dict[str, Tab]) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for server in three:
            said = (await http.get(f"{server.url}/people", params={"room": "open:a", "user": "cy"})).json()
            assert said == {"members": ["ann", "bob", "cy"], "online": True}
            said = (await http.get(f"{server.url}/people", params={"room": "open:z", "user": "dan"})).json()
            assert said == {"members": [], "online": False}
        # The first of two tabs that goes is no news, and the last is told once, everywhere.
        await tabs["ann"].drop()
        await tabs["bob"].nothing("user_left_room")
        await tabs["ann-2"].drop()
        for name in ("bob", "cy"):
            await until(lambda name=name: len(gone(tabs[name], "ann")) == 3, "both rooms and all are told")  # type: ignore[misc]
            await tabs[name].nothing(during=0.1)
            assert gone(tabs[name], "ann") == ["open:a", "open:b", None]
        for server in three:
            said = (await http.get(f"{server.url}/people", params={"room": "open:a", "user": "ann"})).json()
            assert said == {"members": ["bob", "cy"], "online": False}


@pytest.mark.slow
async def test_one_that_is_killed_takes_its_users_and_nothing_else(
    three: list[Commanded], directory: Path, url: str
) -> None:
    env = {"HUBBUB_BROKER": url}
    with commanded(SERVERS[1], cwd=directory, env=env) as fourth:
        async with Tab(fourth.ws, token="eve") as eve, Tab(three[0].ws, token="ann") as ann:
            await eve.join("open:k")
            await ann.join("open:k")
            os.kill(fourth.process.pid, signal.SIGKILL)
            watch = Stopwatch()
            await ann.receive("user_left_room", user="eve", room="open:k")
            assert watch.own < 3.0 + 2.0
            await ann.nothing("user_left_room")
            async with Tab(three[2].ws, token="fay") as fay:
                assert (await fay.join("open:k"))["members"] == ["ann", "fay"]
                await ann.receive("user_joined_room", user="fay")
