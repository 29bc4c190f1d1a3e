import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest

from tests.kit import preloaded
from tests.kit.running import HUBBUB, Served, clean_environment

APP = """
import asyncio, json, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    said = {"pid": os.getpid(), **{k: v for k, v in os.environ.items() if k.startswith(("HUBBUB_", "WEB_"))}}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})
"""

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def ask(server: Served, path: str = "/") -> dict[str, str]:
    """Each on a connection of its own, so that any worker may take it."""
    answer: dict[str, str] = httpx.get(server.url + path, trust_env=False, timeout=30).json()
    return answer


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with app.py, which answers with its process and its HUBBUB_ variables."""
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def hubbub(here: Path) -> Command:
    """Runs `hubbub ARGS` there to its end."""

    def run(
        *args: str, env: Mapping[str, str | None] | None = None, stdin: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        return preloaded.run([HUBBUB, *args], env=clean_environment(env), cwd=here, stdin=stdin)

    return run


@pytest.fixture
def without_hubbub_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("HUBBUB_")]:
        monkeypatch.delenv(name)
