"""5,000 sockets and a window of ten seconds: how fast they are closed, and when the process is gone."""

import asyncio
import base64
import os
import re
import resource
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.cli.test_drain import APP
from tests.kit.raw_peers import frame
from tests.kit.running import Served

_MANY, _SILENT = 5_000, 500
_WINDOW, _CLOSING = 10.0, 1.0


class Peer(asyncio.Protocol):
    """Answers a close frame; a silent one reads nothing after its handshake."""

    def __init__(self, port: int, number: int, *, silent: bool) -> None:
        self._request = (
            f"GET /ws?token=u{number} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
        ).encode()
        self.silent = silent
        self._data = bytearray()
        self.welcomed = asyncio.Event()
        self.gone = asyncio.Event()
        self.closed_at = 0.0
        self.code = 0
        self.retry_after = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self.welcomed.is_set():
            if b'"welcome"' in self._data:
                self._data.clear()
                self.welcomed.set()
                if self.silent:
                    self.transport.pause_reading()
            return
        before, close, after = self._data.partition(b"\x88")
        if close and len(after) >= 3 and not self.closed_at:
            self.closed_at = time.monotonic()
            self.code = int.from_bytes(after[1:3], "big")
            [told] = re.findall(rb'"retry_after":(\d+)', before)
            self.retry_after = int(told)
            self.transport.write(frame(8, bytes(after[1:3])))

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


@pytest.mark.slow
@pytest.mark.alone
async def test_5000_sockets_leave_evenly_and_the_process_is_gone_in_time(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    (tmp_path / "leaving.py").write_text(APP)
    args = ("--drain", f"{_WINDOW:g}", "--no-access-log", "--log-level", "warning")
    peers: list[Peer] = []
    try:
        with Served("leaving:app", *args, cwd=tmp_path, ready="/health/ready") as server:
            loop = asyncio.get_running_loop()
            port = int(server.url.rpartition(":")[2])

            async def some(numbers: range) -> None:
                for number in numbers:
                    peer = Peer(port, number, silent=number < _SILENT)
                    peers.append(peer)
                    await loop.create_connection(lambda peer=peer: peer, "127.0.0.1", port)  # type: ignore[misc]
                    async with asyncio.timeout(30):
                        await peer.welcomed.wait()

            await asyncio.gather(*(some(range(first, _MANY, 32)) for first in range(32)))
            began = time.monotonic()
            server.send(signal.SIGTERM)
            code = await asyncio.to_thread(server.process.wait, 60)
            took = time.monotonic() - began
    finally:
        for peer in peers:
            peer.transport.abort()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    readers = [peer for peer in peers if not peer.silent]
    assert code == 0
    assert Counter(peer.code for peer in readers) == {1012: _MANY - _SILENT}
    even = _MANY / (_WINDOW / 2)
    in_one_second = Counter(int(peer.closed_at - began) for peer in readers)
    in_a_tenth = Counter(int((peer.closed_at - began) * 10) for peer in readers)
    returns = Counter(int(peer.closed_at - began + peer.retry_after / 1000) for peer in readers)
    print(f"gone after {took:.2f} s; closes in a second {max(in_one_second.values())}, in a tenth ", end="")  # noqa: T201
    print(f"{max(in_a_tenth.values())}, returns in a second {max(returns.values())}")  # noqa: T201
    assert max(in_one_second.values()) <= 1.2 * even
    assert took <= _WINDOW + _CLOSING + 1
    assert Counter(peer.retry_after // 1000 for peer in readers).keys() == set(range(10))
