"""The protocol class below TLS, where asyncio writes: order, and patience with what asyncio hides."""

import asyncio
import socket
import ssl
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from hubbub import Limits
from hubbub.transports import timeouts
from tests.kit.client import Tab
from tests.kit.inside import inside
from tests.kit.raw_peers import both, hub_of
from tests.kit.waiting import until
from tests.transports.ways import HTTP, fast


@HTTP
async def test_with_tls(
    protocol: str, certificate: tuple[Path, Path], trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "STALLED", 0.4)
    where, key = certificate
    hub = hub_of(limits=Limits(closing=0.5))
    tls = {"ssl_certfile": str(where), "ssl_keyfile": str(key), "http": f"hubbub.transports.http:{protocol}"}
    async with both(hub, **tls) as server:
        address = server.address.ws.replace("ws://", "wss://")
        async with Tab(address, token="ann", ssl=trusting) as ann, Tab(address, token="bob", ssl=trusting) as bob:
            for tab in (ann, bob):
                await tab.join("open:a")
                assert fast(hub, tab).writer.fd == -1
            for number in range(100):
                await hub.room("open:a").send({"type": "n", "number": number, "big": "x" * number * 50})
            for tab in (ann, bob):
                await tab.receive("n", number=99)
                assert [each["number"] for each in tab.received("n")] == list(range(100))
            await ann.close()
            await until(lambda: len(inside(server.hub).registry.everyone()) == 1, "ann has left")
            bob.socket.transport.pause_reading()
            while server.connections:
                await hub.room("open:a").send({"type": "n", "number": 0, "big": "x" * 60_000})
                await asyncio.sleep(0.001)
            await bob.drop()
        async with connect(address + "/plain", ssl=trusting) as plain:
            await plain.send("four")
            assert await plain.recv() == "4"


@pytest.mark.alone
async def test_a_slow_reader_by_tls_is_no_stalled_one(
    certificate: tuple[Path, Path], trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it takes at a time is less than what asyncio hides below TLS."""
    monkeypatch.setattr(timeouts, "STALLED", 0.9)
    where, key = certificate

    def read_a_little(port: int) -> int:
        """Record by record, and none ahead."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))
        with trusting.wrap_socket(sock, server_hostname="127.0.0.1") as wrapped:
            wrapped.sendall(server.peer("/pour").request())
            size = 0
            for _ in range(25):
                size += len(wrapped.recv(4000))
                time.sleep(0.1)
        return size

    async with both(ssl_certfile=str(where), ssl_keyfile=str(key)) as server:
        size = await asyncio.to_thread(read_a_little, int(server.address.url.rpartition(":")[2]))
        assert 70_000 < size <= 100_000
        await until(lambda: not server.connections, "gone")
