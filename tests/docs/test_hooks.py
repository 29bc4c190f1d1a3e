"""`docs/howto/hooks.md`, on a real server."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from hubbub import Edge
from hubbub.hub.edges import DEADLINE
from hubbub.ports.broker import EDGES_KEPT, EDGES_KNOWN, LEFT_KNOWN
from tests.docs.pages import read
from tests.kit.client import Tab
from tests.kit.serving import at_rest, serving
from tests.kit.waiting import until

PAGE = "docs/howto/hooks.md"
Example = Callable[[str, str], ModuleType]
Token = Callable[[str], str]


async def test_who_comes_is_let_in_or_not_and_who_goes_is_noted(example: Example, token: Token) -> None:
    module = example(PAGE, "doorman.py")
    async with serving(module.app) as server:
        mallory = await Tab(server.ws, token=token("mallory")).connect()
        assert await mallory.closed() == 4003
        assert mallory.socket.protocol.close_reason == "you were banned"
        assert mallory.log == []
        await mallory.close()
        async with Tab(server.ws, token=token("ann")) as ann:
            await ann.receive("news")
            assert (await ann.receive("room_joined"))["members"] == ["ann"]
            assert (await ann.receive("greeting"))["text"] == "This is everybody."
        await at_rest(module.hub)
        await until(lambda: module.visits == ["ann 1000 0"], "it is noted")


async def test_edges_are_told_once_for_all_tabs(example: Example, token: Token) -> None:
    module = example(PAGE, "desk.py")
    async with (
        serving(module.app) as server,
        Tab(server.ws, token=token("ann")) as ann,
        Tab(server.ws, token=token("ann")) as other,
    ):
        for tab in (ann, other):
            await tab.join("game:7")
        await until(lambda: "game 7 starts" in module.log, "both are told")
        came, started = module.log
        assert re.fullmatch(r"ann came at \d\d:\d\d", came)
        for tab in (ann, other):
            await tab.leave("game:7")
        await until(lambda: module.log == [came, started, "game 7 ends"], "that it ends")


async def test_who_is_online_is_in_the_table(
    example: Example, token: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dots: Any = example(PAGE, "dots.py")

    async def online() -> dict[str, bool]:
        async with dots.sessions() as db:
            return {account.id: account.online for account in await db.scalars(select(dots.Account))}

    async with dots.engine.begin() as connection:
        await connection.run_sync(dots.Base.metadata.create_all)
    async with dots.sessions.begin() as db:
        db.add_all([dots.Account(id="ann"), dots.Account(id="bob", online=True)])
    async with serving(dots.app) as server:
        assert await online() == {"ann": False, "bob": False}, "bob went with the broker"
        async with Tab(server.ws, token=token("ann")) as ann:
            assert (await ann.receive("online"))["user"] == "ann"
            assert await online() == {"ann": True, "bob": False}
            async with dots.sessions() as db:
                newest = (await db.get(dots.Account, "ann")).edge
            for number, is_still in ((newest, True), (newest + 1, False)):
                await dots.write(Edge(number=number, name="ann", at=datetime.now(UTC)), online=False)
                assert (await online())["ann"] is is_still, "an edge that is told twice is written once"


async def test_when_somebody_was_here_last(example: Example, token: Token) -> None:
    module = example(PAGE, "last_seen.py")
    async with serving(module.app) as server, httpx.AsyncClient(base_url=server.url, trust_env=False) as client:

        async def seen() -> datetime | None:
            said = (await client.get("/users/ann/seen")).json()["seen"]
            return None if said is None else datetime.fromisoformat(said)

        assert await seen() is None
        async with Tab(server.ws, token=token("ann")):
            here = await seen()
        await at_rest(module.hub)
        left = await seen()
        assert here is not None
        assert left is not None
        assert timedelta() <= datetime.now(UTC) - left < timedelta(minutes=1)


async def test_into_a_room_from_anywhere(example: Example, token: Token) -> None:
    module = example(PAGE, "teams.py")
    async with (
        serving(module.app) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as client,
        Tab(server.ws, token=token("ann")) as ann,
    ):
        assert (await ann.request("join_room", room="team:red"))["code"] == "forbidden"
        assert (await client.put("/teams/red/members/ann")).status_code == 200
        assert (await ann.receive("room_joined"))["members"] == ["ann"]
        assert (await client.delete("/teams/red/members/ann")).status_code == 200
        assert (await ann.receive("room_left")) == {"type": "room_left", "room": "team:red"}


def test_the_figures_it_tells() -> None:
    text = read(PAGE)
    assert f"takes longer than {DEADLINE:g} s is given up" in text
    assert f"At most {EDGES_KEPT:,} wait, for a day" in text
    assert (EDGES_KNOWN, LEFT_KNOWN) == (24 * 3600, 30 * 24 * 3600)
    assert "each user of the last 30 days" in text
