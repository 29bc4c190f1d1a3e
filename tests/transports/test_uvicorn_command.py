"""`uvicorn app:app --ws …`, as somebody types it who does not use `hubbub serve`."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.kit.running import clean_environment
from tests.kit.waiting import wait_for

APPLICATION = """
import asyncio
import gc
from fastapi import FastAPI, WebSocket
from hubbub import Hub, User
from hubbub.transports.direct import DirectTransport

class Names:
    cookie, bearer = None, True
    async def authenticate(self, credential):
        return User(credential.value)

hub = Hub(auth=Names())

@hub.rooms("open:{name}")
async def anybody(name: str) -> bool:
    return True

app = FastAPI()
app.include_router(hub.router)

@app.websocket("/how")
async def how(websocket: WebSocket):
    await websocket.accept()
    found = [each for each in gc.get_objects() if type(each) is DirectTransport]
    await websocket.send_json({"direct": len(found), "loop": type(asyncio.get_running_loop()).__module__})
    await websocket.close()
"""


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture(
    params=[["--loop", "asyncio"], ["--loop", "uvloop", "--http", "hubbub.transports.http:HubbubH11"], ["--reload"]]
)
def command(request: pytest.FixtureRequest, tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "main.py").write_text(APPLICATION)
    arguments = ["main:app", "--port", str(port), "--ws", "hubbub.transports.uvicorn:HubbubProtocol"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                *arguments,
                "--http",
                "hubbub.transports.http:HubbubHTTP",
                *request.param,
            ],
            cwd=tmp_path,
            env=clean_environment({"WEB_CONCURRENCY": None}),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(20)


def test_the_flags(command: subprocess.Popen[bytes], port: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for line in (b"Application startup complete", b"Uvicorn running on"):
        wait_for(lambda line=line: line in log.read_bytes(), within=30, what="started")

    def said(tab: Any) -> Any:
        return json.loads(tab.recv(10))

    with connect(f"ws://127.0.0.1:{port}/ws?token=ann") as tab:
        assert said(tab)["type"] == "welcome"
        tab.send('{"type": "join_room", "room": "open:a"}')
        assert said(tab)["type"] == "room_joined"
        with connect(f"ws://127.0.0.1:{port}/how") as how:
            told = said(how)
            assert told["direct"] == 1
            arguments = command.args
            assert isinstance(arguments, list)
            if "--loop" in arguments:
                assert told["loop"].split(".")[0] == arguments[arguments.index("--loop") + 1]
    assert b"ERROR" not in log.read_bytes()
