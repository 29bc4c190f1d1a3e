"""That a test fails by what its server says: the kit that looks at it, by servers that say such things."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tests.kit.commanded import commanded
from tests.kit.complaints import COMPLAINTS, Complaints, complaints_in, entries
from tests.kit.serving import serving

APP = """
import asyncio
from fastapi import FastAPI

app = FastAPI()

async def fails():
    raise LookupError("planted")

@app.get("/{what}")
async def planted(what: str) -> None:
    loop = asyncio.get_running_loop()
    match what:
        case "raises":
            await fails()
        case "task":
            task = asyncio.ensure_future(fails())
            await asyncio.sleep(0.01)
            del task
        case "callback":
            loop.call_soon(int, "planted")
        case "never":
            fails()
"""
SAID = {
    "raises": "Exception in ASGI application",
    "task": "Task exception was never retrieved",
    "callback": "Exception in callback",
    "never": "was never awaited",
}


def test_entries_of_the_servers_there_are() -> None:
    log = """INFO:     started
ERROR:    Exception in ASGI application
Traceback (most recent call last):
  File "a.py", line 1, in b
LookupError: planted
127.0.0.1:55032 - "GET / HTTP/1.1" 200
[2026-11-28 05:04:43 +0000] [9846] [ERROR] it failed
[INFO] Started worker-1
2026-11-28 05:05:03,674 ERROR    it failed
WARNING:  no ERROR: at all
{"time": "2026-11-28T05:05:03.674+00:00", "level": "INFO", "logger": "x", "message": "level ERROR"}
{"time": "2026-11-28T05:05:03.675+00:00", "level": "ERROR", "logger": "x", "message": "it failed"}
INFO:     the last"""
    assert [each.partition("\n")[0] for each in complaints_in(log)] == [
        "ERROR:    Exception in ASGI application",
        "[2026-11-28 05:04:43 +0000] [9846] [ERROR] it failed",
        "2026-11-28 05:05:03,674 ERROR    it failed",
        '{"time": "2026-11-28T05:05:03.675+00:00", "level": "ERROR", "logger": "x", "message": "it failed"}',
    ]
    assert len(entries(log)) == 10
    assert complaints_in("ERROR:    ASGI callable returned without completing handshake.") == []


@pytest.mark.complains("planted", *SAID.values())
@pytest.mark.parametrize("what", SAID)
def test_what_a_server_of_its_own_process_says_is_seen_while_it_runs_and_at_its_end(what: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    mine = Complaints()
    with commanded(["uvicorn", "main:app", "--port", "{port}"], cwd=tmp_path, ready="/nothing") as server:
        source = mine.watch("mine", lambda: server.output)
        mine.begin()
        httpx.get(f"{server.url}/{what}", trust_env=False)
        server.process.terminate()
        server.process.wait(30)
        with pytest.raises(AssertionError, match=SAID[what]):
            mine.end([])
        mine.begin()
        mine.ended(source)
        mine.end([])


@pytest.mark.complains("planted")
async def test_what_one_in_this_process_says_is_seen() -> None:
    """What is nobody's, as a task that failed, anyio's test runner raises by itself."""
    app, mine = FastAPI(), Complaints()

    @app.get("/")
    async def root() -> None:
        raise LookupError("planted")

    with mine.in_this_process():
        mine.begin()
        async with serving(app) as server, httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(server.url)).status_code == 500
    with pytest.raises(AssertionError, match=r"does not declare[^:]*:\nERROR uvicorn.error: Exception in ASGI"):
        mine.end(["declared"])


@pytest.mark.complains("planted")
def test_what_is_declared_is_let_pass_and_nothing_else() -> None:
    mine = Complaints()
    for declared in ([], ["another"], ["planted"]):
        COMPLAINTS.ended(COMPLAINTS.watch("this test's", lambda: "ERROR:    planted"))
        mine.watch("mine", lambda: "ERROR:    planted")
        mine.begin()
        if "planted" in declared:
            mine.end(declared)
        else:
            with pytest.raises(AssertionError, match="mine: ERROR:    planted"):
                mine.end(declared)


def test_what_is_said_last_of_a_server_that_several_share_fails_whoever_ends_it() -> None:
    mine = Complaints()
    source = mine.watch("shared", lambda: "CRITICAL: at the end")
    with pytest.raises(AssertionError, match="shared: CRITICAL"):
        mine.ended(source)
