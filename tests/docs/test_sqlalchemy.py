"""`docs/howto/sqlalchemy.md`, on a real server and a database in a file."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.kit.client import Tab
from tests.kit.serving import serving
from tests.kit.waiting import until

PAGE = "docs/howto/sqlalchemy.md"


async def test_its_notes(
    example: Callable[[str, str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    notes: Any = example(PAGE, "notes.py")

    def held() -> int:
        return int(notes.engine.pool.checkedout())

    def tab(name: str) -> Tab:
        return Tab(server.ws, additional_headers={"Cookie": f"sid=of-{name}"}, origin=server.url)

    async with serving(notes.app) as server, httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        async with notes.sessions.begin() as db:
            db.add_all(
                notes.Account(id=name, team_id=team, session_id=f"of-{name}")
                for name, team in (("ann", 7), ("bob", 7), ("eve", 8))
            )
        async with tab("ann") as ann, tab("bob") as bob, tab("eve") as eve:
            for one in (ann, bob):
                await one.join("team:7")
            assert (await eve.request("join_room", room="team:7"))["code"] == "forbidden"
            assert (await ann.request("write", text="tea"))["result"] == {"id": 1, "text": "tea"}
            written = {"type": "written", "id": 1, "text": "tea", "room": "team:7"}
            assert await bob.receive("written") == written
            assert (await http.get("/teams/7/notes")).json() == [{"id": 1, "text": "tea"}]
            refused = await bob.request("write", text="tea")
            assert (refused["code"], refused["field"]) == ("conflict", "text")
            assert (await eve.request("write", text="tea"))["result"] == {"id": 2, "text": "tea"}
            assert (await bob.request("write", text="milk"))["type"] == "ack"
            assert (await ann.request("export"))["result"] == 2
            assert [each["text"] for each in ann.log if each["type"] == "exported"] == ["tea", "milk"]
            shown = (await http.get("/teams/7/notes")).json()
            assert [note["text"] for note in shown] == ["tea", "milk"]
            await until(lambda: held() == 0, "no idle socket holds a connection")
            async with notes.sessions.begin() as db:
                await db.delete(await db.get(notes.Account, "eve"))
            assert (await eve.request("write", text="late"))["code"] == "not_found"
