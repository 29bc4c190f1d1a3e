"""`hubbub publish` against a small real HTTP server that keeps what it was asked."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Command
from tests.kit.certificates import make_certificate

ANSWERS = {
    "ok": (200, {"position": None}),
    "locked": (401, {"detail": "no key"}),
    "forbidden": (403, {"detail": "another key"}),
    "fastapi": (422, {"detail": [{"loc": ["body", "content"], "msg": "Field required", "type": "missing"}]}),
    "wire": (422, {"type": "error", "code": "invalid_message", "message": "is reserved", "field": "offset"}),
    "away": (503, {"detail": "the broker is not available"}),
    "hostile": (422, {"detail": "\x1b[2Jgone\nmore"}),
    "elsewhere": (404, {"detail": "Not Found"}),
    "odd": (418, None),
}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[tuple[str, str | None, bytes]] = []
        self.once: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"], body))
        self.server.once.append(self.headers["Idempotency-Key"])
        status, answer = ANSWERS.get(self.path.split("/")[3], ANSWERS["ok"])
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"<html>" if answer is None else json.dumps(answer).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_the_message_is_posted_as_it_is_and_the_answer_printed(server: Server, hubbub: Command) -> None:
    sent = hubbub("publish", "team:7/ü ?#", '{"type": "n",  "x": 1}', "--url", server.url + "/")
    assert (sent.returncode, sent.stdout, sent.stderr) == (0, '{"position": null}\n', "")
    assert server.asked == [
        ("/api/rooms/team%3A7%2F%C3%BC%20%3F%23/messages", None, b'{"type": "n",  "x": 1}'),
    ]


def test_the_key_comes_from_the_variable_and_the_message_from_standard_input(server: Server, hubbub: Command) -> None:
    env = {"HUBBUB_PUBLISH_KEY": "variable", "HTTP_PROXY": "http://127.0.0.1:9"}
    hubbub("publish", "ok", "-", "--url", server.url, env=env, stdin='{"type": "n"}')
    assert [(key, body) for _, key, body in server.asked] == [("Bearer variable", b'{"type": "n"}')]


def test_authorities_of_the_users_own_are_those_of_the_variable(
    server: Server, hubbub: Command, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    asked = ("publish", "ok", '{"type": "n"}', "--url", server.url.replace("http", "https"))
    stranger = hubbub(*asked)
    assert (stranger.returncode, "CERTIFICATE" in stranger.stderr) == (1, True)
    assert hubbub(*asked, env={"SSL_CERT_FILE": str(certificate)}).returncode == 0


def test_an_idempotency_key_goes_along(server: Server, hubbub: Command) -> None:
    for more in ((), ("--idempotency-key", "order 7, shipped")):
        sent = hubbub("publish", "ok", '{"type": "n"}', "--url", server.url, *more)
        assert sent.returncode == 0
    assert server.once == [None, "order 7, shipped"]


def test_what_is_for_this_moment_alone_is_said_to_be(server: Server, hubbub: Command) -> None:
    for more in (("--no-keep",), ("--keep",)):
        sent = hubbub("publish", "ok", '{"type": "n"}', "--url", server.url, *more)
        assert sent.returncode == 0
    assert [path for path, _, _ in server.asked] == ["/api/rooms/ok/messages?keep=false", "/api/rooms/ok/messages"]
    both = ("--no-keep", "--idempotency-key", "k")
    refused = hubbub("publish", "ok", '{"type": "n"}', "--url", server.url, *both)
    assert (refused.returncode, len(server.asked)) == (2, 2)
    assert "--no-keep" in refused.stderr


@pytest.mark.parametrize("key", ["", "ü", "a\nb", "x" * 129])
def test_an_idempotency_key_that_no_server_takes_is_refused(server: Server, hubbub: Command, key: str) -> None:
    refused = hubbub("publish", "ok", '{"type": "n"}', "--url", server.url, "--idempotency-key", key)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--idempotency-key" in refused.stderr
    assert server.asked == []


@pytest.mark.parametrize(
    ("room", "key", "said"),
    [
        ("locked", None, "asks for a publishing key: set HUBBUB_PUBLISH_KEY"),
        ("forbidden", None, "HUBBUB_PUBLISH_KEY"),
        ("locked", "wrong", "did not accept the publishing key: no key"),
        ("fastapi", None, "refused the message: content: Field required"),
        ("wire", None, "refused the message: offset: is reserved"),
        ("away", None, "its broker is away: the broker is not available"),
        ("hostile", None, r"refused the message: \x1b[2Jgone\nmore"),
        ("elsewhere", None, "another application"),
        ("odd", None, "418"),
    ],
)
def test_a_refusal_is_told_in_words(server: Server, hubbub: Command, room: str, key: str | None, said: str) -> None:
    refused = hubbub("publish", room, '{"type": "n"}', "--url", server.url, env={"HUBBUB_PUBLISH_KEY": key})
    assert (refused.returncode, refused.stdout) == (1, "")
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "wrong" not in refused.stderr


@pytest.mark.parametrize("message", ["hello", '{"x": NaN}', "[1]", '"text"', "", "[" * 100_000])
def test_what_is_not_a_json_object_is_not_sent(server: Server, hubbub: Command, message: str) -> None:
    refused = hubbub("publish", "ok", "-", "--url", server.url, stdin=message)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "JSON" in refused.stderr
    assert server.asked == []


def test_nobody_there(hubbub: Command) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        failed = hubbub("publish", "ok", '{"type": "n"}', "--url", url)
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert failed.stderr.startswith(f"Cannot reach {url}: ")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", "http://[::1", "http://x:port"])
def test_an_address_that_is_none_is_refused(hubbub: Command, url: str) -> None:
    refused = hubbub("publish", "ok", '{"type": "n"}', "--url", url)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "--url" in refused.stderr
