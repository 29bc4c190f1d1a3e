"""Sockets that are opened and kept until a worker may open no more: it goes on, and says no to whoever comes then."""

import errno
import os
import resource
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from hubbub.hub import handshakes
from hubbub.ports.metrics import Count, Tally
from hubbub.transports import descriptors
from tests.kit.raw_peers import both
from tests.kit.running import Served
from tests.kit.waiting import tries

LIMIT = 160

APPLICATION = f"""
import resource
from fastapi import FastAPI
from hubbub import Hub, JWTAuth
from hubbub.integrations.operations import operations

hub = Hub(auth=JWTAuth("x" * 32))
app = FastAPI()
app.include_router(hub.router)
app.include_router(operations())

@app.get("/opened")
async def opened() -> int:
    # A file that only the reserve has room for.
    with open(__file__):
        return hub.metrics.counts["sockets_without_descriptor"]

resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
"""


def connected(server: Served) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def asked(peer: socket.socket) -> bytes:
    """The answer; none where the server was done with the socket before it was asked."""
    try:
        peer.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        return peer.recv(4096)
    except ConnectionError:
        return b""


def test_a_worker_whose_descriptors_are_nearly_used_up(tmp_path: Path) -> None:
    (tmp_path / "crowded.py").write_text(APPLICATION)
    with Served("crowded:app", cwd=tmp_path) as server:
        with httpx.Client(base_url=server.url, trust_env=False) as early, ExitStack() as held:
            early.get("/health/live")
            answers = [asked(held.enter_context(connected(server))) for _ in range(2 * LIMIT)]
            let_in = sum(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
            assert LIMIT // 2 < let_in < LIMIT
            refused = [answer for answer in answers[let_in:] if answer]
            assert refused
            for answer in refused:
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"retry-after: 2" in answer.lower()
            assert early.get("/opened").json() == len(answers) - let_in
        for _ in tries("let in again"):
            with connected(server) as late:
                if asked(late).startswith(b"HTTP/1.1 200 "):
                    break
            time.sleep(0.05)
        assert f"may open {LIMIT} files, of which {LIMIT - LIMIT // 8} are for sockets" in server.output
    assert "Too many open files" not in server.output
    assert "Traceback" not in server.output


@pytest.mark.parametrize("ws", ["websockets-sansio", "hubbub.transports.uvicorn:HubbubProtocol"])
async def test_a_handshake_is_refused_by_http_on_any_server(ws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "reserve_left", lambda: 0.9)
    async with both(ws=ws, http="httptools") as server, server.peer("/ws") as peer:
        assert peer.status == 503
        assert b"retry-after: 2" in peer.head.lower()
        assert b"may open no more sockets" in await peer.ended()
        assert isinstance(server.hub.metrics, Tally)
        assert server.hub.metrics.counts[Count.CROWDED_SOCKETS] == 1


def test_what_is_left_of_the_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert descriptors.descriptors() == (soft, min(256, soft // 8))
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    opened: list[int] = []
    left: list[float] = []
    limit = lowest + 9
    monkeypatch.setattr(descriptors, "descriptors", lambda: descriptors.Descriptors(limit, 8))
    try:
        for _ in range(10):
            left.append(descriptors.reserve_left())
            opened.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for each in opened:
            os.close(each)
    assert left == sorted(left, reverse=True)
    assert left[0] == 1.0
    assert left[-1] <= 0
    assert descriptors.reserve_left(limit - 4) == 3 / 8  # whatever has been closed below it

    def full(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", full)
    assert descriptors.reserve_left() == 0.0
