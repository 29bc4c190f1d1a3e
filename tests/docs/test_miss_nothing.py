"""`docs/howto/miss-nothing.md`: its Python on a real server, its JavaScript in a browser that drops and comes back."""

import ast
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import Page

import hubbub
from hubbub.options import Limits
from hubbub.ports.broker import KEY_KNOWN
from tests.docs.conftest import SECRET
from tests.docs.pages import blocks, read
from tests.integration.browser.conftest import Tabs, browser, tabs, until
from tests.kit.client import Tab
from tests.kit.running import Served
from tests.kit.serving import serving

__all__ = ["browser", "tabs"]  # fixtures

PAGE = "docs/howto/miss-nothing.md"
ROOMS, INBOX, READING, SENDING, EPHEMERAL = blocks(PAGE, "python")


async def run(code: str, names: dict[str, Any]) -> None:
    result = eval(compile(code, PAGE, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307 - shown
    if inspect.isawaitable(result):
        await result


async def test_its_python(token: Callable[[str], str]) -> None:
    names: dict[str, Any] = vars(hubbub).copy()
    make, send = INBOX.split("\n\n")
    await run(make, names)
    await run(ROOMS, names)
    hub, app = names["hub"], FastAPI()
    app.include_router(hub.router)
    async with serving(app) as server:
        await run(send, names)  # before she is there
        async with Tab(server.ws, token=token("alice")) as alice:
            await alice.join("@me", since={"offset": 0})
            shipped = {"type": "order_shipped", "order": 7, "room": "@me", "offset": 1}
            assert await alice.receive() == shipped
            await alice.join("team:7")
            await hub.room("team:7").send({"type": "said", "by": "alice", "text": "hello"})
            [shown] = blocks(PAGE, "json")
            assert await alice.receive() == json.loads(shown) | {"offset": 1}
            names |= {"room": hub.room("team:7"), "order": SimpleNamespace(id=7), "message": {"type": "shipped"}}
            await run(SENDING, names)
            await run(SENDING, names)
            await run(EPHEMERAL, names)
            await names["room"].send({"type": "end"})
            assert (await alice.receive())["type"] == "shipped"
            assert await alice.receive() == {"type": "typing", "by": "alice", "room": "team:7"}
            assert (await alice.receive())["type"] == "end"
            await run(READING, names)
            assert [message["type"] for message in names["page"].messages] == ["end", "shipped", "said"]
            assert names["page"].position.offset == 3


def test_its_figures() -> None:
    text, limits = read(PAGE), Limits()
    assert f"More than {limits.replay} missed messages" in text
    assert f"at most {limits.queued:,} messages a\nworker" in text
    assert KEY_KNOWN == 5 * 60
    assert "Within five minutes" in text


MAIN = """
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from hubbub import Hub, JWTAuth, User
from hubbub.integrations.publishing import publishing

hub = Hub(auth=JWTAuth())
app = FastAPI()
app.include_router(hub.router)
app.include_router(publishing(keys=[], anyone=True))

@app.get("/", response_class=HTMLResponse)
def page() -> str:
    return '<!doctype html><link rel="icon" href="data:,"><title>a client</title>'

"""

#: Around the page's own lines: a socket of theirs, and a hand that breaks it.
CLIENT = """
(token) => {
  const shown = [], lost = []
  const reload = (room) => lost.push(room)
  const connect = () => new WebSocket(`ws://${location.host}/ws`, ["hubbub.v1", "hubbub.bearer." + token])
  let socket = connect()
  %s
  const { onopen } = socket
  const listen = () => {
    socket.onopen = onopen
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data)
      shown.push(message)
      keepPosition(message)
    }
  }
  listen()
  window.client = {
    shown, lost, positions,
    drop: () => new Promise((gone) => { socket.onclose = gone; socket.close() }),
    back: () => { socket = connect(); listen() },
  }
}
"""


@pytest.mark.browser
def test_its_javascript_drops_and_comes_back(tabs: Tabs, token: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(MAIN + ROOMS)
    [script] = blocks(PAGE, "js")
    with (
        Served("main:app", env={"HUBBUB_SECRET": SECRET}, cwd=tmp_path) as server,
        httpx.Client(trust_env=False) as http,
    ):
        page = tabs.open()
        page.goto(server.url)

        def say(*numbers: int) -> None:
            for number in numbers:
                body = {"type": "said", "n": number}
                assert http.post(f"{server.url}/api/rooms/team:7/messages", json=body).status_code == 200

        def joined(times: int) -> dict[str, Any]:
            until(page, lambda: len(received(page, "room_joined")) == times, what=f"join number {times}")
            return received(page, "room_joined")[-1]

        def numbers() -> list[int]:
            return [message["n"] for message in received(page, "said")]

        page.evaluate(CLIENT % script, token("ann"))
        assert "recovered" not in joined(1)
        say(1, 2)
        until(page, lambda: numbers() == [1, 2], what="two live")
        for times, missed in ((2, (3, 4)), (3, ()), (4, (5,))):
            page.evaluate("client.drop()")
            say(*missed)
            page.evaluate("client.back()")
            assert joined(times)["recovered"] is True
            until(page, lambda missed=missed: not missed or numbers()[-1] == missed[-1], what="what was missed")  # type: ignore[misc]
        assert numbers() == [1, 2, 3, 4, 5]
        assert page.evaluate("client.lost") == []
        page.evaluate("client.drop()")
        say(*range(6, 6 + 201))  # one more than the room keeps
        page.evaluate("client.back()")
        assert joined(5)["recovered"] is False
        say(300)
        until(page, lambda: numbers()[-1] == 300, what="the next live one")
        assert numbers() == [1, 2, 3, 4, 5, 300]
        assert page.evaluate("client.lost") == ["team:7"]
        assert page.evaluate("client.positions['team:7'].offset") == 207


def received(page: Page, type: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("(type) => client.shown.filter((each) => each.type === type)", type)
    return found
