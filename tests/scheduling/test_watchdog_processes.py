"""What blocks is told of a process that is stuck, and nothing of one that is stopped or has no processor."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from tests.kit.waiting import until, wait_for

APP = """
import logging, sys, threading, time
from fastapi import FastAPI
from hubbub import Hub
import uvicorn

hub, app = Hub(broker="memory"), FastAPI()
other = Hub(broker="memory", path="/other")
app.include_router(hub.router)
app.include_router(other.router)
lock = threading.Lock()

@app.get("/")
async def root():
    return [each.name for each in threading.enumerate()]

@app.get("/deadlock")
async def deadlock():
    lock.acquire()
    threading.Timer(float(sys.argv[1]), lock.release).start()
    lock.acquire()  # here
    lock.release()

@app.get("/alone")
async def alone():
    sum(range(20_000_000))  # alone

logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
server = uvicorn.Server(uvicorn.Config(app, port=0, loop=sys.argv[2], log_config=None))

def serve():
    server.run()

if sys.argv[3] == "thread":
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
else:
    threading.Thread(target=lambda: None).start()
def tell():
    while not server.started:
        time.sleep(0.01)
    print("port", server.servers[0].sockets[0].getsockname()[1], flush=True)
threading.Thread(target=tell, daemon=True).start()
if sys.argv[3] == "thread":
    thread.join()
else:
    serve()
"""


@asynccontextmanager
async def _process(tmp_path: Path, *arguments: str) -> AsyncIterator[tuple[Any, str, Path]]:
    (tmp_path / "main.py").write_text(APP)
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - at once
            [sys.executable, "main.py", *arguments], cwd=tmp_path, stdout=out, stderr=out
        )
    try:
        found = wait_for(lambda: re.search(r"port (\d+)", log.read_text()), what="a port")
        yield process, f"http://127.0.0.1:{found[1]}", log
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize(("loop", "thread"), [("asyncio", "main"), ("uvloop", "thread")])
async def test_a_deadlock_is_seen_while_it_lasts_and_again_when_it_ended(
    tmp_path: Path, loop: str, thread: str
) -> None:
    assert uvloop
    line = next(number for number, line in enumerate(APP.splitlines(), 1) if line.endswith("# here"))
    async with _process(tmp_path, "2.5", loop, thread) as (_, url, log), httpx.AsyncClient(timeout=60) as client:
        assert (await client.get(url)).json().count("hubbub-watchdog") == 1
        asking = asyncio.create_task(client.get(f"{url}/deadlock"))
        await until(lambda: "WARNING hubbub.loop" in log.read_text(), "it is told")
        assert re.search(rf"has been blocked for \d+\.\d s by __main__.deadlock \(main.py:{line}\)", log.read_text())
        assert not asking.done()
        await asking
        await until(lambda: log.read_text().count("WARNING hubbub.loop") == 2, "its end")
        assert re.search(rf"was blocked for \d+\.\d s by __main__.deadlock \(main.py:{line}\)", log.read_text())
        await client.get(f"{url}/alone")
        await until(lambda: log.read_text().count("WARNING hubbub.loop") == 3, "what lets nobody else run")


@pytest.mark.skipif(sys.platform != "linux", reason="by processor")
async def test_a_stopped_process_and_one_without_a_processor_are_nobodys_fault(tmp_path: Path) -> None:
    async with (
        _process(tmp_path, "1", "asyncio", "main") as (process, url, log),
        httpx.AsyncClient(timeout=60) as client,
    ):
        for _ in range(3):
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGCONT)
            await client.get(url)
        core = min(os.sched_getaffinity(0))
        os.sched_setaffinity(process.pid, {core})
        burn = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"
        burners = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(6)]  # noqa: ASYNC220 - at once
        try:
            for _ in range(10):
                await client.get(url)
                await asyncio.sleep(0.1)
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()
        assert "hubbub.loop" not in log.read_text()
