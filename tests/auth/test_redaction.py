import logging
import logging.config
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn.config
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from hubbub.auth.redaction import UVICORN_LOGGERS, RedactCredentials, install, redact
from tests.running import wait_for

SECRET = "S3CRET"

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


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        (
            '127.0.0.1:5 - "WebSocket /ws?token=abc" [accepted]',
            '127.0.0.1:5 - "WebSocket /ws?token=REDACTED" [accepted]',
        ),
        ('"GET /a?token=abc&b=c HTTP/1.1" 200', '"GET /a?token=REDACTED&b=c HTTP/1.1" 200'),
        ("/a?b=c&token=abc", "/a?b=c&token=REDACTED"),
        ("/a?token=a&token=b", "/a?token=REDACTED&token=REDACTED"),
        ("/a?TOKEN=abc", "/a?TOKEN=REDACTED"),
        ("/a?access_token=abc", "/a?access_token=REDACTED"),
        ("/a?%74%4F%6b%65%6E=abc", "/a?%74%4F%6b%65%6E=REDACTED"),
        ("/a?token=a'b\"c,d}e)f;g#h", "/a?token=REDACTED"),
        ("/a?token=", "/a?token=REDACTED"),
        ("{'query_string': b'token=abc', 'x': 1}", "{'query_string': b'token=REDACTED', 'x': 1}"),
        ("{'query_string': b'token=abc'}", "{'query_string': b'token=REDACTED'}"),
        (
            "< Sec-WebSocket-Protocol: hubbub.bearer.abc, hubbub.v1",
            "< Sec-WebSocket-Protocol: hubbub.bearer.REDACTED, hubbub.v1",
        ),
        (
            "< Sec-WebSocket-Protocol: hubbub.bearer.abc,hubbub.v1",
            "< Sec-WebSocket-Protocol: hubbub.bearer.REDACTED,hubbub.v1",
        ),
        ("['hubbub.v1', 'hubbub.bearer.a'b']", "['hubbub.v1', 'hubbub.bearer.REDACTED']"),
        ('hubbub.bearer.a"b]c, hubbub.v1', "hubbub.bearer.REDACTED, hubbub.v1"),
        ("< Cookie: a=b; c=d", "< Cookie: REDACTED"),
        ("> set-cookie: a=b; Path=/", "> set-cookie: REDACTED"),
        ("< AUTHORIZATION: Basic abc", "< AUTHORIZATION: REDACTED"),
        ("< proxy-authorization: Basic abc", "< proxy-authorization: REDACTED"),
        ("< TEXT '{\"a\": 1}' [8 bytes]", "< TEXT REDACTED [8 bytes]"),
        ("> TEXT 'a [1 byte] b' [text, 5 bytes]", "> TEXT REDACTED [text, 5 bytes]"),
        ("< CONT 'abc' [text, 3 bytes, continued]", "< CONT REDACTED [text, 3 bytes, continued]"),
        ("< BINARY 61 62 63 [3 bytes]", "< BINARY REDACTED [3 bytes]"),
    ],
)
def test_lines(line: str, clean: str) -> None:
    assert redact(line) == clean
    assert redact(clean) == clean


@pytest.mark.parametrize(
    "line",
    [
        '127.0.0.1:5 - "WebSocket /ws" [accepted]',
        '127.0.0.1:5 - "GET /a?b=c&tokens=3 HTTP/1.1" 200',
        "Application startup complete.",
        "the token of alice expired",
        "< Host: app.example",
        "< Cookie-Consent: yes",
        "> Sec-WebSocket-Protocol: hubbub.v1",
        "< PING 'abc' [3 bytes]",
        "> CLOSE 4001 (private use) credential invalid [20 bytes]",
        "< EOF",
    ],
)
def test_other_lines_stay_as_they_are(line: str) -> None:
    assert redact(line) == line


@given(st.from_regex(r"[^&\s\"',\]})]{1,20}[!-%'-~]{0,20}[A-Za-z0-9]", fullmatch=True))
def test_no_value_gets_through(value: str) -> None:
    for line in (f'"GET /a?token={value} HTTP/1.1" 200', f"/a?token={value}", f"/a?x=1&token={value}&y=2"):
        assert redact(line) == line.replace(f"token={value}", "token=REDACTED")


@pytest.mark.parametrize("filler", ["}", "'", ",", '"}', "a", "token=", "%", "hubbub.bearer.", "="])
def test_a_long_line_costs_no_more_than_its_length(filler: str) -> None:
    def cost(size: int) -> float:
        line = "< /a?token=hubbub.bearer." + (filler * size)[:size] + "\x00"
        best = float("inf")
        for _ in range(5):
            start = time.thread_time()
            redact(line)
            best = min(best, time.thread_time() - start)
        return best

    # Squared, it would be 256 times as much.
    assert cost(64_000) < 64 * max(cost(4_000), 1e-4)


@contextmanager
def recorded(name: str) -> Iterator[list[logging.LogRecord]]:
    """A logger's records, as a handler gets them that stands above it."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger, parent, handler = logging.getLogger(name), logging.getLogger(name.rpartition(".")[0]), Keep()
    level, filters = logger.level, list(logger.filters)
    logger.setLevel(1)
    parent.addHandler(handler)
    try:
        yield records
    finally:
        parent.removeHandler(handler)
        logger.setLevel(level)
        logger.filters[:] = filters


def test_a_record_without_a_secret_is_not_touched() -> None:
    with recorded("hubbub-test.error") as records:
        install(["hubbub-test.error"])
        logging.getLogger("hubbub-test.error").info("%s and %d", "one", 2)
    assert (records[0].msg, records[0].args) == ("%s and %d", ("one", 2))


def test_arguments_stay_arguments_for_the_access_formatter() -> None:
    with recorded("hubbub-test.access") as records:
        install(["hubbub-test.access"])
        logging.getLogger("hubbub-test.access").info(
            '%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", "/a?token=abc", "1.1", 200
        )
    assert records[0].args == ("127.0.0.1:5", "GET", "/a?token=REDACTED", "1.1", 200)


@pytest.mark.parametrize("arguments", [("cookie", "session=abc"), ({"Cookie": "x"}, "/?token=abc")])
def test_a_secret_that_only_the_whole_line_shows(arguments: tuple[Any, ...]) -> None:
    with recorded("hubbub-test.error") as records:
        install(["hubbub-test.error"])
        logging.getLogger("hubbub-test.error").debug("< %s: %s", *arguments)
        logging.getLogger("hubbub-test.error").debug("%(path)s", {"path": "/?token=abc"})
        logging.getLogger("hubbub-test.error").debug("100% of /?token=abc")
    assert not any("abc" in record.getMessage() for record in records)
    assert records[2].getMessage() == "100% of /?token=REDACTED"


def test_an_exception_is_told_without_it() -> None:
    with recorded("hubbub-test.error") as records:
        install(["hubbub-test.error"])
        for text in ("/a?token=abc", "harmless"):
            try:
                raise ValueError(text)
            except ValueError:
                logging.getLogger("hubbub-test.error").exception("failed")
    told = [logging.Formatter().format(record) for record in records]
    assert "Traceback" in told[0]
    assert told[0].endswith("ValueError: /a?token=REDACTED")
    assert told[1].endswith("ValueError: harmless")
    assert records[1].exc_info is not None


def test_installing_twice_is_installing_once() -> None:
    with recorded("hubbub-test.error"):
        for _ in range(2):
            install(["hubbub-test.error"])
        assert [type(each) for each in logging.getLogger("hubbub-test.error").filters] == [RedactCredentials]


def test_it_stays_through_the_servers_own_set_up() -> None:
    names = ["uvicorn.error", "uvicorn.access", "uvicorn.asgi"]
    assert set(names) < set(UVICORN_LOGGERS)
    states = {name: (logging.getLogger(name), list(logging.getLogger(name).filters)) for name in names}
    uvicorn_state = {
        name: (logger.handlers[:], logger.propagate, logger.level)
        for name in ["uvicorn", *names]
        for logger in [logging.getLogger(name)]
    }
    try:
        install()
        logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
        for logger, _ in states.values():
            assert [type(each) for each in logger.filters].count(RedactCredentials) == 1
    finally:
        for logger, filters in states.values():
            logger.filters[:] = filters
        for name, (handlers, propagate, level) in uvicorn_state.items():
            logger = logging.getLogger(name)
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)
