"""What the server reads is bounded before the hub sees it, and an application with larger messages can say so."""

from pathlib import Path

from tests.kit.client import Tab
from tests.kit.running import Served

APP = """
from fastapi import FastAPI, WebSocket
from hubbub import Hub, Limits

hub = Hub(limits=Limits(message=200_000))
app = FastAPI()
app.include_router(hub.router)

@app.websocket("/talk/{name}")
async def talk(websocket: WebSocket, name: str):
    async with hub.connect(websocket, user=name) as connection:
        async for message in connection:
            await connection.send({"type": "length", "length": len(message["text"])})
"""


def application(directory: Path) -> Path:
    (directory / "large.py").write_text(APP)
    return directory


async def test_the_server_reads_no_more_than_64_kib_unless_told(tmp_path: Path) -> None:
    with Served("large:app", cwd=application(tmp_path)) as server:
        async with Tab(server.ws, "/talk/ann") as tab:
            await tab.send({"type": "say", "text": "x" * 100_000})
            assert await tab.closed() == 1009
        assert "Limits.message is 200000 bytes, but the server reads no message of more than 65536" in server.output


async def test_an_application_with_larger_messages_raises_both_limits(tmp_path: Path) -> None:
    with Served("large:app", "--max-message", "200000", cwd=application(tmp_path)) as server:
        async with Tab(server.ws, "/talk/ann") as tab:
            await tab.send({"type": "say", "text": "x" * 100_000})
            assert (await tab.receive("length"))["length"] == 100_000
            await tab.send({"type": "say", "text": "x" * 200_000})
            assert await tab.closed() == 1009
        assert "Limits.message" not in server.output
