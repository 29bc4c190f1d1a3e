"""What a client presents, in whatever an application raises, is in nothing that a real server prints, at DEBUG."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.typing import Subprotocol

from tests.kit.client import Tab
from tests.kit.complaints import COMPLAINTS
from tests.kit.waiting import wait_for

SECRETS = {
    "query": "S3CRET-in-the-query",
    "bearer": "S3CRET-in-a-subprotocol",
    "cookie": "S3CRET-in-a-cookie",
    "header": "S3CRET-in-a-header",
    "message": "S3CRET-in-a-first-message",
    "renewal": "S3CRET-in-a-renewal",
    "broker": "S3CRET-of-the-broker",
}

APP = """
import asyncio, gc, logging, sys
from typing import Annotated, Literal
from fastapi import Depends, FastAPI, Request
from fastapi.requests import HTTPConnection
from pydantic import BaseModel
import uvicorn
from hubbub import Connection, Hub, InvalidCredential, User
from hubbub.scheduling.limited_log import LimitedLog

class Believes:
    cookie, bearer = "sid", True
    async def authenticate(self, credential):
        if credential.value.endswith("bad"):
            raise InvalidCredential(f"no such key: {credential.value}")
        if credential.value.endswith("worse"):
            raise RuntimeError(f"the table of {credential.value} is locked")
        return User("alice", claims={"token": credential.value})

hub, app = Hub(auth=Believes(), broker="memory://"), FastAPI()
app.include_router(hub.router)

def quoted(connection: HTTPConnection) -> dict[str, str]:
    cookies, headers = connection.cookies, connection.headers
    return {
        "url": f"{connection.url}", "headers": f"{headers!r}", "raw": f"{headers.raw}", "cookies": f"{cookies}",
        "session": f"no session {cookies.get('sid')}", "query": f"{connection.query_params}",
        "query_string": f"{connection.scope['query_string']}", "scope": f"{connection.scope}",
        "authorization": headers["authorization"], "basic": headers["authorization"].split()[1],
        "subprotocols": f"{connection.scope['subprotocols']}", "broker": "redis://:S3CRET-of-the-broker@host/0 is away",
    }

Quoted = Annotated[dict[str, str], Depends(quoted)]

class Fail(BaseModel):
    type: Literal["fail"] = "fail"
    how: str
    what: str

def chained(text):
    try:
        raise KeyError(text)
    except KeyError as error:
        raise RuntimeError("no way") from error

@hub.on(Fail)
async def fail(message: Fail, connection: Connection, texts: Quoted) -> None:
    text = texts[message.what]
    if message.how == "chained":
        chained(text)
    if message.how == "group":
        raise ExceptionGroup(text, [ValueError(text), TypeError(text)])
    if message.how == "note":
        error = ValueError("see the note")
        error.add_note(text)
        raise error
    if message.how == "repr":
        raise ValueError(f"{connection!r} {connection.user!r} {connection.handshake!r} {connection.user}")
    if message.how == "result":
        return {text: object()}
    if message.how == "spawned":
        async def work() -> None:
            raise ValueError(text)
        connection.spawn(work())
        return
    if message.how == "logged":
        logging.getLogger("uvicorn.error").error("an application's own line: %s", text)
        return
    raise ValueError(text)

@hub.rooms("fail:{what}")
async def check(what: str, texts: Quoted) -> bool:
    raise ValueError(texts[what])

@hub.on_join
async def joined(texts: Quoted) -> None:
    raise LookupError(texts["session"])

@hub.rooms("general")
async def general() -> bool:
    return True

@app.websocket("/plain")
async def plain(connection: Annotated[Connection, Depends(hub.accept)], texts: Quoted) -> None:
    raise RuntimeError(f"{texts['session']} {texts['headers']} {texts['url']}")

if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG)
    LimitedLog.__init__.__kwdefaults__["burst"] = sys.maxsize  # all of them are looked at
    uvicorn.run(app, port=0, log_level="debug", ws=sys.argv[1])
"""
WHAT = (
    *("url", "headers", "raw", "cookies", "session", "query", "query_string", "scope"),
    *("authorization", "basic", "subprotocols", "broker"),
)
HOW = ("raised", "chained", "group", "note", "repr", "result", "spawned")


async def talk(ws: str) -> None:
    """Present it in every way, and have every way of raising quote it."""
    headers = {"Cookie": f"lang=en; sid={SECRETS['cookie']}", "Authorization": f"Custom {SECRETS['header']}"}
    offered = [Subprotocol("hubbub.v1"), Subprotocol(f"hubbub.bearer.{SECRETS['bearer']}")]
    ways: list[tuple[str, dict[str, Any]]] = [
        (f"?token={SECRETS['query']}", {}),
        ("", {"subprotocols": offered}),
        ("", {}),
    ]
    host = ws.removeprefix("ws")
    for query, options in ways:
        async with Tab(ws, f"/ws{query}", additional_headers=headers, origin=f"http{host}", **options) as tab:
            # All that can be quoted, however it is raised, once; then what another carrier changes.
            for how in HOW if "token" in query else HOW[:1]:
                for what in WHAT:
                    await tab.send({"type": "fail", "how": how, "what": what, "id": 1})
                    await tab.receive("ack" if how == "spawned" else "error")
            for what in WHAT:
                assert (await tab.request("join_room", room=f"fail:{what}"))["code"] == "internal"
            assert (await tab.request("join_room", room="general"))["type"] == "room_joined"
            for token in (f"{SECRETS['renewal']}-bad", f"{SECRETS['renewal']}-worse", SECRETS["renewal"]):
                await tab.request("auth", token=token)
        plain = Tab(ws, f"/plain{query}", additional_headers=headers, origin=f"http{host}", **options)
        await (await plain.connect()).closed()
    for token in (f"{SECRETS['message']}-bad", f"{SECRETS['message']}-worse", SECRETS["message"]):
        tab = await Tab(ws).connect()
        await tab.send({"type": "auth", "token": token})
        if token == SECRETS["message"]:
            await tab.receive("welcome")
        await tab.close()
        with pytest.raises(websockets.InvalidStatus):
            await Tab(ws, f"/ws?token={SECRETS['query']}-worse").connect()


@pytest.mark.complains("")  # all that it says is looked at here
@pytest.mark.parametrize("transport", ["hubbub.transports.uvicorn:HubbubProtocol", "websockets-sansio"])
def test_no_log_has_what_a_client_presented(tmp_path: Path, transport: str) -> None:
    program, log = tmp_path / "program.py", tmp_path / "output"
    program.write_text(APP)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(program), transport],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    source = COMPLAINTS.watch("uvicorn", log.read_text)
    try:

        def port() -> str:
            assert process.poll() is None, log.read_text()
            started = re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text())
            return started[1] if started else ""

        ws = f"ws://127.0.0.1:{wait_for(port, within=60, what='a start line')}"
        asyncio.run(talk(ws))
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        COMPLAINTS.ended(source)
    said = log.read_text()
    leaks = [line for line in said.splitlines() if "S3CRET" in line]
    assert not leaks, "\n".join(leaks[:20])
    assert "Logging error" not in said
    # And what is worth reading is still there.
    for words in ("ValueError: no session REDACTED", "KeyError: ", "ExceptionGroup", "LookupError: ", "RuntimeError: "):
        assert words in said
    assert said.count("Traceback") >= len(HOW) * len(WHAT)
