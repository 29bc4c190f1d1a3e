"""`docs/howto/lifespan-and-mounting.md`, on a real server."""

from collections.abc import Callable
from types import ModuleType

import httpx
import pytest

from hubbub import Hub
from tests.docs.pages import read
from tests.kit.client import Tab
from tests.kit.serving import Names, serving, simple

PAGE = "docs/howto/lifespan-and-mounting.md"
Example = Callable[[str, str], ModuleType]


async def test_what_is_sent_at_start_up_and_at_shutdown_reaches_the_others(
    example: Example, token: Callable[[str], str], valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBBUB_BROKER", valkey)
    module = example(PAGE, "lifespan.py")
    other = Hub(auth=Names())

    @other.rooms("ops")
    async def anybody() -> bool:
        return True

    async with serving(simple(other)) as elsewhere, Tab(elsewhere.ws, token="bob") as bob:
        await bob.join("ops")
        async with serving(module.app) as server, Tab(server.ws, token=token("ann")) as ann:
            await ann.join("ops")
            node = module.hub.node
            await bob.receive("deployed")
        assert (await bob.receive("worker_stopped"))["worker"] == node
        assert not module.hub.ready


async def test_a_mounted_application(example: Example, token: Callable[[str], str]) -> None:
    module = example(PAGE, "mounted.py")
    async with (
        serving(module.app) as server,
        httpx.AsyncClient(trust_env=False, base_url=server.url) as http,
        Tab(server.ws, "/rt/ws", token=token("ann")) as ann,
    ):
        assert (await http.get("/health/ready")).json() == {"status": "ready", "node": ann.node}
        assert (await http.post("/announce")).status_code == 200
        await ann.receive("announcement")
    assert not module.hub.ready


def test_the_page_has_the_words_of_the_errors() -> None:
    """Who searches for what an error says finds it here. That it says so is in `tests/hub/test_not_running.py`."""
    page = read(PAGE)
    for words in (
        "the application's own lifespan is around the router's",
        "its application is mounted at",
        "the application does not include its router",
        "does not know the router",
        "no event loop runs",
    ):
        assert words in page
