import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.kit.complaints import COMPLAINTS
from tests.kit.waiting import wait_for

SECRET = "S3CRET"

#: All that it says is looked at here.
pytestmark = pytest.mark.complains("")

# Installed on import, so before the server's start; whether the filter survives it is part of what is tested.
APP = """
import sys
from hubbub.auth.redaction import install
if "with" in sys.argv[1:]:
    install()

async def app(scope, receive, send):
    await receive()
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", b"session=S3CRET")]})
        return await send({"type": "http.response.body", "body": b"ok"})
    offered = "hubbub.v1" if "hubbub.v1" in scope["subprotocols"] else None
    headers = [(b"set-cookie", b"session=S3CRET; HttpOnly")]
    await send({"type": "websocket.accept", "subprotocol": offered, "headers": headers})
    if scope["path"] == "/raise":
        raise RuntimeError(f"no way to /raise?{scope['query_string'].decode()}")
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": '{"token":"S3CRET-back"}'})

if __name__ == "__main__":
    import uvicorn
    _, _, level, implementation = sys.argv
    uvicorn.run(app, port=0, log_level=level, ws=implementation, lifespan="off")
"""


@contextmanager
def server(folder: Path, *, filtered: bool, level: str, implementation: str) -> Iterator[tuple[int, Path]]:
    """A uvicorn in a process of its own: its port, and the file that has everything it prints."""
    program, log = folder / "program.py", folder / "output"
    program.write_text(APP)
    arguments = [sys.executable, "-W", "ignore", str(program), "with" if filtered else "without", level, implementation]
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
    source = COMPLAINTS.watch("uvicorn", log.read_text)
    try:

        def port() -> int:
            assert process.poll() is None, log.read_text()
            started = re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text())
            return int(started[1]) if started else 0

        yield wait_for(port, within=60, what="a start line"), log
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        COMPLAINTS.ended(source)


def visit(port: int) -> None:
    """Present the secret in every way there is."""
    address = f"ws://127.0.0.1:{port}"
    bearer = [Subprotocol("hubbub.v1"), Subprotocol(f"hubbub.bearer.{SECRET}")]
    headers = {"Cookie": f"a=b; session={SECRET}", "Authorization": f"Bearer {SECRET}"}
    visits: list[tuple[str, dict[str, Any]]] = [
        (f"/ws?token={SECRET}", {}),
        (f"/ws?room=1&token={SECRET}&x=2", {}),
        (f"/ws?%74oke%6E={SECRET}", {}),
        ("/ws", {"subprotocols": bearer}),
        ("/ws", {"additional_headers": headers}),
    ]
    for path, options in visits:
        with connect(address + path, proxy=None, open_timeout=30, **options) as socket:
            # Long enough for the server to cut it in the middle.
            socket.send(f'{{"type": "auth", "token": "{SECRET}{"x" * 100}{SECRET}"}}')
            assert socket.recv(timeout=30)
            socket.send([f'{{"token": "{SECRET[:3]}', f'{SECRET[3:]}", "again": "{SECRET}"}}'])
            assert socket.recv(timeout=30)
            socket.send(f"binary {SECRET}".encode())
            assert socket.recv(timeout=30)
    with (
        connect(f"{address}/raise?token={SECRET}", proxy=None, open_timeout=30) as socket,
        pytest.raises(ConnectionClosed),
    ):
        socket.recv(timeout=30)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/page?token={SECRET}", headers=headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        assert answer.read() == b"ok"


@pytest.mark.parametrize("implementation", ["websockets-sansio", "websockets"])
@pytest.mark.parametrize("level", ["info", "debug", "trace"])
def test_a_real_server_logs_no_credential(tmp_path: Path, level: str, implementation: str) -> None:
    with server(tmp_path, filtered=True, level=level, implementation=implementation) as (port, log):
        visit(port)
        wait_for(lambda: "/page" in log.read_text(), within=30, what="the last visit's line")
    said = log.read_text()
    assert SECRET not in said, "\n".join(line for line in said.splitlines() if SECRET in line)
    # And what is worth reading is still there.
    assert '"WebSocket /ws?room=1&token=REDACTED&x=2" [accepted]' in said
    assert re.search(r'"GET /page\?token=REDACTED HTTP/1\.1" 200 OK', said)
    assert "RuntimeError: no way to /raise?token=REDACTED" in said
    assert "Logging error" not in said
    if level != "info":
        assert re.search(r"< cookie: REDACTED$", said, re.MULTILINE | re.IGNORECASE)
        assert re.search(r"< TEXT REDACTED \[\d+ bytes\]$", said, re.MULTILINE)
        assert re.search(r"protocol: hubbub\.v1, ?hubbub\.bearer\.REDACTED$", said, re.MULTILINE | re.IGNORECASE)
    if level == "trace":
        assert "'query_string': b'token=REDACTED', " in said
        assert "'subprotocols': ['hubbub.v1', 'hubbub.bearer.REDACTED'], " in said


@pytest.mark.parametrize("level", ["info", "debug", "trace"])
def test_without_the_filter_it_would(tmp_path: Path, level: str) -> None:
    with server(tmp_path, filtered=False, level=level, implementation="websockets-sansio") as (port, log):
        visit(port)
        wait_for(lambda: "/page" in log.read_text(), within=30, what="the last visit's line")
    said = log.read_text()
    assert f"?token={SECRET}" in said
    assert (f"hubbub.bearer.{SECRET}" in said) == (level != "info")
