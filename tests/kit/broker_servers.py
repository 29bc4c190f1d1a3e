"""What is done to a server and asked of one: killed, frozen, reached over TCP."""

import asyncio
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress

import psutil
import pytest

from hubbub.brokers.embedded import EmbeddedValkey
from tests.kit.waiting import until

LOGGER = "hubbub.brokers.redis"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records if record.name == LOGGER]


def kill(valkey: EmbeddedValkey) -> None:
    os.kill(valkey.pid, signal.SIGKILL)
    while valkey.alive:
        time.sleep(0.001)


@asynccontextmanager
async def frozen(valkey: EmbeddedValkey) -> AsyncIterator[None]:
    """The server takes what the kernel buffers and says nothing."""
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(valkey.pid, signal.SIGCONT)


@contextmanager
def over_tcp(path: str, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a proxy to the server's socket; the embedded server has no port and no TLS of its own.

    In a loop of its own, so that the tasks and descriptors of a test are the broker's.
    """
    serving: set[asyncio.Task[None] | None] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        there, back = await asyncio.open_unix_connection(path)
        await asyncio.gather(carry(reader, back), carry(there, writer))
        serving.discard(asyncio.current_task())

    async def main() -> None:
        async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls) as server:
            started.set_result((server.sockets[0].getsockname()[1], asyncio.get_running_loop()))
            await ended.wait()
            await until(lambda: not serving, "the clients are gone")

    ended = asyncio.Event()
    started: Future[tuple[int, asyncio.AbstractEventLoop]] = Future()
    with ThreadPoolExecutor(1) as threads:
        proxy = threads.submit(asyncio.run, main())
        port, loop = started.result(10)
        try:
            yield port
        finally:
            loop.call_soon_threadsafe(ended.set)
            proxy.result(20)


def connections_to(port: int) -> int:
    """Those of the broker; the proxy's own ends are in this process too, and close a moment later."""
    return sum(bool(end.raddr) and end.raddr[1] == port for end in psutil.Process().net_connections("tcp"))


def descriptors() -> int:
    return psutil.Process().num_fds()


def path_of(url: str) -> str:
    """Of an embedded server's socket, for a proxy before it."""
    return url.removeprefix("unix://")
