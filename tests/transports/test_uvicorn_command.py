"""`uvicorn app:app --ws …`, as somebody types it who does not use `hubbub serve`."""

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from hubbub.transports import HTTP, PROTOCOL
from tests.kit.commanded import APPLICATION, commanded

APP = f"""{APPLICATION}
import asyncio
import gc
from fastapi import WebSocket
from hubbub.transports.direct import DirectTransport

@app.websocket("/how")
async def how(websocket: WebSocket):
    await websocket.accept()
    found = [each for each in gc.get_objects() if type(each) is DirectTransport]
    await websocket.send_json({{"direct": len(found), "loop": type(asyncio.get_running_loop()).__module__}})
    await websocket.close()
"""


@pytest.mark.parametrize(
    "flags",
    [["--loop", "asyncio"], ["--loop", "uvloop", "--http", "hubbub.transports.http:HubbubH11"], ["--reload"]],
    ids=["asyncio", "uvloop", "reload"],
)
def test_the_flags(flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    command = ["uvicorn", "main:app", "--port", "{port}", "--ws", PROTOCOL, "--http", HTTP, *flags]

    def said(tab: Any) -> Any:
        return json.loads(tab.recv(10))

    with commanded(command, cwd=tmp_path, env={"WEB_CONCURRENCY": None}) as server:
        with connect(f"{server.ws}/ws?token=ann") as tab:
            assert said(tab)["type"] == "welcome"
            tab.send('{"type": "join_room", "room": "tea"}')
            assert said(tab)["type"] == "room_joined"
            with connect(f"{server.ws}/how") as how:
                told = said(how)
            assert told["direct"] == 1
            if "--loop" in flags:
                assert told["loop"].split(".")[0] == flags[1]
        assert "ERROR" not in server.output
