"""From the address to the open connection, and everything that can be refused on the way."""

import errno
import json
import resource
import socket
import struct
import sys
from typing import Any

import pytest

from hubbub.loadtest import connecting
from hubbub.loadtest.dialect import Dialect, Step
from hubbub.loadtest.result import Errors, Result
from hubbub.loadtest.run import run
from hubbub.loadtest.workloads import BenchError, Target, Workload, WrongSetting
from tests.loadtest.scripted import Plain, Server, _switch, text

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJlb2Z0aGV0b2tlbg"


def connect(target: Target, dialect: Dialect | None = None, **options: Any) -> Result:
    given = {"connections": 3, "rooms": 1, "duration": 0.05, "patience": 5.0, **options}
    return run(Workload("idle", **given), dialect or Plain(), target)


def test_the_handshake_says_what_the_dialect_says() -> None:
    class Named(Plain):
        subprotocols = ("b.v2", "b.v1")

        def path(self, i: int) -> str:
            return f"/{i}?user=u{i}"

        def headers(self, i: int) -> list[tuple[str, str]]:
            return [("Cookie", f"c={i}")] if i else [("sec-websocket-protocol", "own")]

    with Server() as server:
        result = connect(server.target, Named())
    assert (result.connections, result.errors, result.messages) == (3, Errors(), 0)
    lines = {i: head.decode().split("\r\n") for i, head in server.heads.items()}
    assert lines[1][:2] == ["GET /1?user=u1 HTTP/1.1", f"Host: 127.0.0.1:{server.port}"]
    assert {"Cookie: c=2", "Sec-WebSocket-Protocol: b.v2, b.v1", "Sec-WebSocket-Version: 13"} <= set(lines[2])
    assert [line for line in lines[0] if line.lower().startswith("sec-websocket-protocol")] == [
        "sec-websocket-protocol: own"
    ]


class Polite(Plain):
    """welcome, then join and joined; heartbeats in between."""

    def opening(self, i: int, room: str | None) -> list[Step]:
        steps = [Step(None, lambda payload: payload == b"welcome"), Step("hello")]
        return steps if room is None else [*steps, Step(f"join {room}", lambda payload: payload == b"joined")]

    def answer(self, payload: bytes) -> str | None:
        return "pong" if payload == b"ping" else None

    def refusal(self, payload: bytes) -> str | None:
        return payload[3:].decode() if payload.startswith(b"no ") else None


def greet(server: Server, i: int) -> None:
    server.send(i, text(b"ping") + text(b"welcome") + text(b"news") + b"\x89\x00")


def test_the_opening_is_said_step_by_step() -> None:
    def heard(server: Server, i: int, payload: bytes) -> None:
        if payload.startswith(b"join"):
            # Cut within what follows the last step: the rest belongs to what is counted.
            data = text(b"news") + text(b"joined") + text(b"more") + text(b"ping")
            server.send(i, data[:-3])
            server.loop.call_later(0.02, server.send, i, data[-3:])

    with Server(heard, opened=greet) as server:
        result = connect(server.target, Polite(), connections=2, duration=0.3)
    assert result.connections == 2
    for i in (0, 1):
        said = [payload for who, payload in server.texts if who == i]
        assert said[:2] == [b"pong", b"hello"]
        assert said[2].startswith(b"join bench")
        assert said[3:] == [b"pong"]
        assert (i, 0xA, b"") in server.controls


def test_without_rooms_none_is_joined() -> None:
    with Server(lambda *_: None, opened=greet) as server:
        connect(server.target, Polite(), connections=2, rooms=0)
    assert {payload for _, payload in server.texts} == {b"pong", b"hello"}


def test_never_more_handshakes_at_once_than_allowed() -> None:
    under_way: set[int] = set()
    most: list[int] = []

    def opened(server: Server, i: int) -> None:
        under_way.add(i)
        most.append(len(under_way))

        def welcome() -> None:
            under_way.discard(i)
            server.send(i, text(b"welcome"))

        server.loop.call_later(0.02, welcome)

    class Slow(Plain):
        def opening(self, i: int, room: str | None) -> list[Step]:
            return [Step(None, lambda payload: payload == b"welcome")]

    with Server(opened=opened) as server:
        result = connect(server.target, Slow(), connections=20, connecting=4)
    assert max(most) == 4
    assert result.connecting.p50 >= 19
    assert 0 < result.connections_per_second <= 4 / 0.019


def refuse(status: bytes, body: bytes = b"") -> Any:
    head = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    return lambda *_: head + body


def unlike_a_key(head: bytes, accept: bytes) -> bytes:
    return _switch(head, b"wrong")


def compressed(head: bytes, accept: bytes) -> bytes:
    return _switch(head, accept + b"\r\nSec-WebSocket-Extensions: permessage-deflate")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            refuse(b"403 Forbidden", b'{"detail":"start with --dev"}'),
            r"refused connection 0: 403 Forbidden: start with --dev$",
        ),
        (refuse(b"503 Busy", b"come  back\nlater"), r"refused connection 0: 503 Service Unavailable: come back later$"),
        (refuse(b"404 Not Found", b"<html>"), r"refused connection 0: 404 Not Found$"),
        (refuse(b"299 Odd"), r"refused connection 0: 299$"),
        (lambda *_: b"", r"closed connection 0 before it answered the handshake"),
        (lambda *_: b"x" * 70_000, r"the answer to the handshake of connection 0 is no HTTP"),
        (unlike_a_key, r"connection 0 with a wrong Sec-WebSocket-Accept"),
        (compressed, r"gave connection 0 an extension that was not offered"),
    ],
)
def test_a_refused_handshake_is_told_with_its_reason(answer: Any, said: str) -> None:
    with Server(answer=answer) as server, pytest.raises(BenchError, match=said):
        connect(server.target, connections=1)


def test_a_credential_that_the_server_quotes_is_not_repeated() -> None:
    class Secretive(Plain):
        def path(self, i: int) -> str:
            return f"/{i}?token={TOKEN}"

        def headers(self, i: int) -> list[tuple[str, str]]:
            return [("Sec-WebSocket-Protocol", f"hubbub.v1, hubbub.bearer.{TOKEN}")]

    body = json.dumps({"detail": f"bad token {TOKEN}"}).encode()
    with Server(answer=refuse(b"401 Unauthorized", body)) as server, pytest.raises(BenchError) as refused:
        connect(server.target, Secretive(), connections=1)
    assert "401 Unauthorized: bad token" in str(refused.value)
    assert not any(piece in str(refused.value) for piece in TOKEN.split("."))


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (text(b"no entry today"), "refused connection 0: entry today"),
        (b"\x88\x0b\x0f\xa1credential"[:13], "closed connection 0 while it opened: 4001 credentia"),
        (b"\xc1\x00", "sent connection 0 a frame with a reserved bit"),
    ],
)
def test_a_refused_opening(sent: bytes, said: str) -> None:
    if sent[0] == 0x88:
        sent = bytes((0x88, len(sent) - 2)) + sent[2:]
    with Server(opened=lambda server, i: server.send(i, sent)) as server, pytest.raises(BenchError, match=said):
        connect(server.target, Polite(), connections=1)


def test_an_opening_that_goes_nowhere() -> None:
    with (
        Server(lambda *_: None, opened=lambda server, i: greet(server, i) if i < 2 else None) as server,
        pytest.raises(BenchError, match=r"stalls: 2 of 5 connections are open, and no other opened within 2 s"),
    ):
        connect(server.target, Polite(), connections=5, rooms=0, patience=2.0)


def test_a_connection_that_is_reset_while_it_opens() -> None:
    reset = struct.pack("ii", 1, 0)

    def opened(server: Server, i: int) -> None:
        server.writers[i].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        server.writers[i].transport.abort()

    with Server(opened=opened) as server, pytest.raises(BenchError, match="connection 0 was lost while it opened: "):
        connect(server.target, Polite(), connections=1)


def test_no_file_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*args: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(connecting.socket, "socket", none_left)
    with pytest.raises(BenchError, match="connection 0 cannot be made: Too many open files"):
        connect(Target("127.0.0.1", 1))


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(BenchError, match=rf"cannot reach 127\.0\.0\.1 port {port}: connection refused"):
        connect(Target("127.0.0.1", port))
    with pytest.raises(BenchError, match=r"cannot find the server nowhere\.invalid"):
        connect(Target("nowhere.invalid", 80))


def test_more_connections_than_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (200, 1_000)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.update(now=pair))
    with Server() as server:
        connect(server.target, connections=150)
        assert limits["now"] == (214, 1_000)
        with pytest.raises(WrongSetting, match="connections needs 1,064 open files, and this machine allows 1,000"):
            connect(server.target, connections=1_000)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.1 is the only address of its kind")
def test_more_connections_than_ports_of_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "PORTS", 2)
    seen: dict[int, str] = {}

    def opened(server: Server, i: int) -> None:
        seen[i] = server.writers[i].get_extra_info("peername")[0]

    with Server(opened=opened) as server:
        connect(server.target, connections=5)
    assert seen == {0: "127.0.0.1", 1: "127.0.0.1", 2: "127.0.0.2", 3: "127.0.0.2", 4: "127.0.0.3"}
