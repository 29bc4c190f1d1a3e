"""`docs/howto/presence.md`: its application on a real server, its JavaScript beside it in a browser."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from hubbub.options import Limits
from tests.docs.conftest import SECRET
from tests.docs.pages import blocks, examples, read
from tests.integration.browser.conftest import Tabs, browser, tabs, until
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.serving import serving

__all__ = ["browser", "tabs"]  # fixtures

PAGE = "docs/howto/presence.md"
ALICE = {"name": "Alice Liddell", "avatar": "/faces/alice.png"}


async def test_its_application(example: Callable[[str, str], ModuleType], token: Callable[[str], str]) -> None:
    module = example(PAGE, "here.py")
    async with (
        serving(module.app) as server,
        Tab(server.ws, token=token("bob"), features=["presence"]) as bob,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        await bob.join("team:7")
        async with Tab(server.ws, token=token("alice")) as alice:
            assert "features" not in alice.welcome
            assert "presence" not in await alice.join("team:7")
            assert (await bob.receive("user_joined_room"))["presence"] == {"alice": ALICE}
            await alice.ask({"type": "status", "status": "busy"})
            assert (await bob.receive("user_presence"))["presence"] == {"alice": ALICE | {"status": "busy"}}
            assert (await http.get("/teams/7/here")).json() == {"alice": ALICE | {"status": "busy"}, "bob": {}}
        await bob.ask({"type": "set_presence", "presence": {"name": "Bob"}, "room": "team:7"})
        assert (await http.get("/teams/7/here")).json() == {"bob": {"name": "Bob"}}


def test_its_figures() -> None:
    text, limits = read(PAGE), Limits()
    assert f"at most {limits.presence // 1024} KiB as JSON" in text
    assert f"`Limits.payload`, {limits.payload // 1024} KiB:" in text


#: Beside it, a page for the browser to stand on.
MAIN = """
from fastapi.responses import HTMLResponse
from here import app

@app.get("/", response_class=HTMLResponse)
def page() -> str:
    return '<!doctype html><link rel="icon" href="data:,"><title>a client</title>'
"""

CLIENT = """
(token) => {
  %s
  const socket = new WebSocket(`ws://${location.host}/ws`, protocols)
  const send = (message) => socket.send(JSON.stringify(message))
  socket.onmessage = ({ data }) => keepHere(JSON.parse(data))
  socket.onopen = () => send({ type: "join_room", room: "team:7" })
  window.client = { here: () => here["team:7"] ?? {}, send }
}
"""


@pytest.mark.browser
def test_its_javascript(tabs: Tabs, token: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "here.py").write_text(examples(PAGE)["here.py"])
    (tmp_path / "main.py").write_text(MAIN)
    [script] = blocks(PAGE, "js")
    with Served("main:app", env={"HUBBUB_SECRET": SECRET}, cwd=tmp_path) as server:
        pages = {}
        for user in ("alice", "bob"):
            page = pages[user] = tabs.open()
            page.goto(server.url)
            page.evaluate(CLIENT % script, token(user))

        def sees(user: str, what: dict[str, Any]) -> None:
            page = pages[user]
            until(page, lambda: page.evaluate("client.here()") == what, what=f"{user} sees {what}")

        sees("bob", {"alice": ALICE, "bob": {}})
        sees("alice", {"alice": ALICE, "bob": {}})
        pages["bob"].evaluate("client.send({ type: 'set_presence', presence: { name: 'Bob' } })")
        for user in pages:
            sees(user, {"alice": ALICE, "bob": {"name": "Bob"}})
        pages["alice"].close()
        sees("bob", {"bob": {"name": "Bob"}})
