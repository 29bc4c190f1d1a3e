"""`docs/howto/publish-from-elsewhere.md`. The publishers themselves are tested in `tests/client/test_publisher.py`."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from types import ModuleType

import httpx
import pytest

from hubbub import Hub, Limits
from tests.docs.pages import blocks, consoles, read
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.running import HUBBUB, clean_environment
from tests.kit.serving import Names, serving, simple

PAGE = "docs/howto/publish-from-elsewhere.md"
Example = Callable[[str, str], ModuleType]


def run(command: str) -> subprocess.CompletedProcess[str]:
    """A line of the page, as a reader pastes it into a shell."""
    env = clean_environment({"no_proxy": "*"})
    return subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True, timeout=30, check=False)


async def test_a_task_reports(example: Example, valkey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_BROKER", valkey)
    module = example(PAGE, "task.py")
    async with serving(simple(Hub(auth=Names()))) as server, Tab(server.ws, token="ann") as ann:
        await asyncio.to_thread(module.report_ready, "ann", 7)
        assert await ann.receive() == {"type": "report_ready", "report": 7}
        await module.report_ready_async("ann", 8)
        assert await ann.receive() == {"type": "report_ready", "report": 8}


async def test_the_routes(example: Example, token: Callable[[str], str]) -> None:
    module = example(PAGE, "routes.py")

    @module.hub.rooms("team:{number}")
    async def may_join(number: int) -> bool:
        return True

    key = {"Authorization": "Bearer a-long-random-key"}
    async with (
        serving(module.app) as server,
        Tab(server.ws, token=token("ann")) as ann,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        await ann.join("team:7")
        for path, room in (
            ("/api/rooms/team:7/messages", {"room": "team:7"}),
            ("/api/users/ann/messages", {}),
            ("/api/broadcast", {}),
        ):
            body = {"type": "said", "text": "hello"}
            answer = await http.post(path, json=body, headers=key)
            assert (answer.status_code, answer.json()) == (200, {"position": None})
            assert await ann.receive() == body | room
            assert (await http.post(path, json=body)).status_code == 401
            assert (await http.post(path, json=body, headers={"Authorization": "Bearer x"})).status_code == 401
            for bad in (b"{", b'{"text": "no type"}', b'{"type": "welcome"}', b"[]"):
                said = await http.post(path, content=bad, headers={**key, "Content-Type": "application/json"})
                assert said.status_code == 422
            assert (await http.post(path, content=b'{"type": "x"}', headers=key)).status_code == 422


async def test_several_rooms_at_once(example: Example, token: Callable[[str], str]) -> None:
    module = example(PAGE, "several.py")

    @module.hub.rooms("team:{number}")
    async def may_join(number: int) -> bool:
        return True

    async with (
        serving(module.app) as server,
        Tab(server.ws, token=token("ann")) as ann,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        for team in (7, 8):
            await ann.join(f"team:{team}")
        answer = await http.post("/announcements?text=tea", json=[8, 7, 9, 8])
        assert (answer.status_code, answer.json()) == (200, [None] * 4)
        got = [await ann.receive("announcement") for _ in range(2)]
        assert {each["room"] for each in got} == {"team:7", "team:8"}
        await inside(module.hub).broker.stop()
        answer = await http.post("/announcements?text=tea", json=[7, 8])
        assert (answer.status_code, answer.json()["detail"]) == (503, "may not be in team:7, team:8")


async def test_several_messages_in_one_request(example: Example, token: Callable[[str], str]) -> None:
    module = example(PAGE, "routes.py")

    @module.hub.rooms("team:{number}")
    async def may_join(number: int) -> bool:
        return True

    body, answer = map(json.loads, blocks(PAGE, "json"))
    async with (
        serving(module.app) as server,
        Tab(server.ws, token=token("ann")) as ann,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        await ann.join("team:7")
        got = await http.post("/api/messages", json=body, headers={"Authorization": "Bearer a-long-random-key"})
        assert (got.status_code, got.json()) == (200, answer)
        assert [(await ann.receive())["type"] for _ in range(2)] == ["said", "typing"]
    limits = Limits()
    assert f"up to {limits.batch:,} messages" in read(PAGE)
    assert f"At most {limits.batch:,} rooms" in read(PAGE)
    assert limits.batch_bytes == 1024 * 1024


async def test_the_commands_as_they_are_typed(example: Example, token: Callable[[str], str]) -> None:
    module = example(PAGE, "routes.py")

    @module.hub.rooms("team:{number}")
    async def may_join(number: int) -> bool:
        return True

    curl, publish = consoles(PAGE)
    async with serving(module.app) as server, Tab(server.ws, token=token("ann")) as ann:
        await ann.join("team:7")
        for command, by in (
            (curl.replace("localhost:8000", server.url), "curl"),
            (publish.replace("hubbub publish", f"{HUBBUB} publish --url {server.url}"), "hubbub"),
        ):
            ran = await asyncio.to_thread(run, command)
            assert ran.returncode == 0, ran.stderr
            assert ran.stdout.strip() == '{"position":null}'
            assert await ann.receive() == {"type": "said", "by": by, "text": "hello", "room": "team:7"}
