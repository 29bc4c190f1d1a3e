"""Workers that end themselves, because they have served as many requests as they may: as at a restart, nobody told."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from hubbub.brokers.embedded import EmbeddedValkey
from hubbub.transports import HTTP, PROTOCOL
from tests.kit.client import Tab
from tests.kit.commanded import APPLICATION, Commanded, commanded

#: Requests; those that ask whether it is ready count.
LIMIT = 60
OURS = ["--ws", PROTOCOL, "--http", HTTP]
UVICORN = ["uvicorn", "tired:app", "--port", "{port}", "--no-access-log"]
LIMITED = [*UVICORN, "--limit-max-requests", str(LIMIT)]
GUNICORN = ["gunicorn", "tired:app", "--bind", "127.0.0.1:{port}", "-k", "uvicorn_worker.UvicornWorker"]


@pytest.fixture
def tired(tmp_path: Path) -> Path:
    (tmp_path / "tired.py").write_text(APPLICATION)
    return tmp_path


async def serve_enough(server: Commanded) -> None:
    """It may be gone before all are asked: it was asked before whether it is ready."""
    async with httpx.AsyncClient(trust_env=False) as client:
        with contextlib.suppress(httpx.TransportError):
            for _ in range(LIMIT):
                await client.get(server.url + "/health/live")


@pytest.mark.parametrize(
    "command",
    [LIMITED, [*LIMITED, *OURS], [*GUNICORN, "--max-requests", str(LIMIT)]],
    ids=["uvicorn", "ours", "gunicorn"],
)
async def test_its_clients_are_told_before_their_sockets_close(tired: Path, command: Sequence[str]) -> None:
    with commanded(command, cwd=tired, env={"HUBBUB_DRAIN": "1"}) as server:
        async with contextlib.AsyncExitStack() as stack:
            tabs = [await stack.enter_async_context(Tab(server.ws, token=f"u{each}")) for each in range(8)]
            await serve_enough(server)
            assert [await tab.closed() for tab in tabs] == [1012] * 8
            told = [tab.received("closing") for tab in tabs]
            assert [(len(each), each[0]["code"]) for each in told] == [(1, 1012)] * 8
            assert len({each[0]["retry_after"] for each in told}) == 8
        if "uvicorn" in command:
            assert await asyncio.to_thread(server.process.wait, 30) == 0
        assert server.output.count("Maximum request limit") == 1
        assert "Traceback" not in server.output


async def test_its_users_are_not_announced_as_gone(tired: Path) -> None:
    with EmbeddedValkey() as valkey:
        env = {"HUBBUB_DRAIN": "1", "HUBBUB_BROKER": valkey.url}
        with commanded(UVICORN, cwd=tired, env=env) as other, commanded(LIMITED, cwd=tired, env=env) as server:
            async with Tab(other.ws, token="watcher") as watcher:
                async with Tab(server.ws, token="ann") as ann:
                    await ann.join("tea")
                    await watcher.join("tea")
                    await serve_enough(server)
                    assert await ann.closed() == 1012
                assert await asyncio.to_thread(server.process.wait, 30) == 0
                async with Tab(other.ws, token="ann") as again:
                    await again.join("tea")
                    await watcher.nothing()
                    assert not watcher.received("user_left_room")
