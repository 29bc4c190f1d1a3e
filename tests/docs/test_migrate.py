"""`docs/howto/migrate-from-a-connection-manager.md`. What its examples do is tested in `tests/examples`."""

import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import websockets
from examples.__main__ import EXAMPLES

from tests.docs.pages import ROOT, consoles, plain, read, rows, sections, titled
from tests.kit.serving import serving

PAGE = "docs/howto/migrate-from-a-connection-manager.md"

#: How many pieces the page shows of each file.
SHOWN = {
    "examples/client_id/before.py": 2,
    "examples/client_id/after.py": 2,
    "examples/client_id/after.html": 1,
    "examples/notifications/before.py": 2,
    "examples/notifications/after.py": 2,
    "examples/notifications/after.html": 1,
    "examples/redis_pubsub/before.py": 2,
    "examples/redis_pubsub/after.py": 2,
}


def test_what_it_shows_of_the_examples_are_their_own_lines() -> None:
    pieces = [(title, code) for title, code in titled(PAGE) if title.startswith("examples/")]
    assert Counter(title for title, _ in pieces) == SHOWN
    for title, code in pieces:
        assert f"\n{code}" in (ROOT / title).read_text(), f"{title}: {code}"


def test_the_lines_that_go_are_all_there_were() -> None:
    """But for imports, the page and what stays as it is: whoever follows the page forgets nothing."""
    for name in EXAMPLES:
        path = f"examples/{name}/before.py"
        left = (ROOT / path).read_text()
        for title, code in titled(PAGE):
            if title == path:
                left = left.replace(code, "")
        assert "WebSocket(" not in left
        assert "websocket" not in left.replace("WebSocket", "")


def test_the_command_is_what_the_makefile_has() -> None:
    assert "make examples" in consoles(PAGE)
    assert "python -m examples $(EXAMPLE)" in read("Makefile")
    for name in EXAMPLES:
        assert f"{name:13} before http://127.0.0.1:" in read(PAGE)
        assert Path(ROOT, "examples", name).is_dir()


def test_what_replaces_what_is_there() -> None:
    table = [*rows(sections(PAGE)["What replaces what"])]
    words = " ".join(plain(before) for before, _ in table)
    for word in ("ConnectionManager()", "connect(", "disconnect(", "broadcast(", "active_connections", "receive_text"):
        assert word in words
    assert {len(row) for row in rows(sections(PAGE)["The words, for those who come from elsewhere"])} == {4}


async def test_clients_that_know_text_alone(example: Any) -> None:
    module: ModuleType = example(PAGE, "text.py")

    async def hello(socket: websockets.ClientConnection, number: int) -> dict[str, Any]:
        await socket.send("hello")
        assert await socket.recv() == "You: hello"
        said = {"type": "said", "by": number, "text": "hello", "room": "chat"}
        assert json.loads(await socket.recv()) == said
        return said

    async with serving(module.app) as server, websockets.connect(f"{server.ws}/ws/1") as ann:
        await hello(ann, 1)
        async with websockets.connect(f"{server.ws}/ws/2") as bob:
            said = await hello(bob, 2)
            assert json.loads(await ann.recv()) == said


@pytest.mark.parametrize("title", SHOWN)
def test_every_example_has_its_page_and_both_sides(title: str) -> None:
    folder = (ROOT / title).parent
    assert {"before.py", "after.py", "before.html", "after.html"} <= {path.name for path in folder.iterdir()}
