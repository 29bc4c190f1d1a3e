"""How many clients a server lets into one room, one after the other, while those who are in are told of each.

    python -m benchmarks.entering [--clients 1000] [--features diff]

The showcase, one worker on a core of its own. A client connects, waits for `welcome`, joins, and when it is told that
it is in, the next one comes. So every entry costs what the hub does for it and for all who are in. Printed: entries a
second, and the server's CPU time for each, which other work on the machine does not change.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
from tests.kit.valkey import free_port

_JOIN = b'{"type":"join_room","room":"lobby"}'


class _Client(asyncio.Protocol):
    """Reads all that comes, and looks at it until it is in."""

    def __init__(self) -> None:
        self.seen = b""
        self.told = 0
        self.waited: asyncio.Future[None] | None = None
        self.word = b""

    def data_received(self, data: bytes) -> None:
        self.told += data.count(b'"type":"user_') + data.count(b"_diff")
        if self.waited is not None:
            self.seen += data
            if self.word in self.seen and not self.waited.done():
                self.waited.set_result(None)

    async def until(self, word: bytes) -> None:
        self.word, self.waited = word, asyncio.get_running_loop().create_future()
        if word not in self.seen:
            await self.waited
        self.waited, self.seen = None, b""

    def connection_lost(self, error: Exception | None) -> None:
        if self.waited is not None and not self.waited.done():
            self.waited.set_exception(error or ConnectionResetError())


async def enter(port: int, clients: int, features: str) -> list[_Client]:
    inside = []
    loop = asyncio.get_running_loop()
    offered = "hubbub.v1" + (f", hubbub.features.{features}" if features else "")
    for number in range(clients):
        transport, client = await loop.create_connection(_Client, "127.0.0.1", port)
        transport.write(
            f"GET /ws/chat/user{number} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {offered}\r\n\r\n".encode()
        )
        await client.until(b'"welcome"')
        transport.write(bytes((0x81, 0x80 | len(_JOIN))) + bytes(4) + _JOIN)  # a mask of zeros
        await client.until(b'"room_joined"')
        inside.append(client)
    return inside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=1_000)
    parser.add_argument("--features", default="")
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    port = free_port()
    command = [str(Path(sys.executable).parent / "hubbub"), "serve", "--dev", "--no-access-log", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as server:
        try:
            os.sched_setaffinity(server.pid, cores[:1])
            os.sched_setaffinity(0, cores[1:] or cores)
            while True:
                with suppress(httpx.TransportError):
                    if httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).status_code == 200:
                        break
                time.sleep(0.05)
            process = psutil.Process(server.pid)
            before, began = process.cpu_times(), time.perf_counter()
            clients = asyncio.run(enter(port, asked.clients, asked.features))
            took = time.perf_counter() - began
            after = process.cpu_times()
        finally:
            server.terminate()
    used = after.user + after.system - before.user - before.system
    print(f"{asked.clients} clients: {asked.clients / took:.0f} a second")
    print(f"{1000 * used / asked.clients:.2f} ms of CPU each, {sum(client.told for client in clients)} notices in all")


if __name__ == "__main__":
    main()
