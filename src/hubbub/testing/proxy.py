"""A TCP proxy that breaks on demand: for tests with real servers.

    with Proxy("127.0.0.1:6379") as proxy:
        broker = RedisBroker(f"redis://127.0.0.1:{proxy.port}")
        proxy.freeze()      # half-open: both sides are connected to somebody who says nothing
        proxy.heal()        # what was held goes on, in order
        proxy.delay(0.5)    # each way
        proxy.reset()       # every connection ends by RST
        proxy.refuse()      # and no other is accepted, until heal()

It runs in a thread with a loop of its own, so that neither a test that blocks its loop nor one that counts tasks
notices it. Every method returns when what it says is so, and may be called from any thread.

TCP loses nothing within a connection, and so nothing is lost here: what is frozen is held back, an end of the
connection like any byte. A packet filter lost because it wants root.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self, TypeAlias

_CHUNK = 64 * 1024
#: Chunks on their way in one direction, before its sender is not read any more.
_ON_THEIR_WAY = 64
#: Seconds a call may take: the proxy waits for nobody.
_WITHIN = 10.0
_RST = struct.pack("ii", 1, 0)


_Do: TypeAlias = Callable[[], Awaitable[None] | None]


class _Direction:
    def __init__(self) -> None:
        self.delay: float = 0.0
        self.open: asyncio.Event = asyncio.Event()
        self.open.set()


class _Way(NamedTuple):
    """To the server and from it."""

    up: _Direction
    down: _Direction


def _way() -> _Way:
    return _Way(_Direction(), _Direction())


class Connection:
    """One client's connection through the proxy. `said`: the first 64 KiB of what it sent, to know it by."""

    def __init__(self, do: Callable[[_Do], None], client: asyncio.StreamWriter) -> None:
        self.said = b""
        self.way: _Way = _way()
        self.ends: list[asyncio.StreamWriter] = [client]
        self._do = do

    def freeze(self, *, up: bool = True, down: bool = True) -> None:
        """Hold back what goes in these directions on this connection alone, until the proxy's `heal`."""
        self._do(lambda: _freeze(self.way, up=up, down=down))

    def reset(self) -> None:
        """End it by RST, to both sides."""
        self._do(self.abort)

    def abort(self) -> None:
        """As `reset`, in the proxy's own thread."""
        for end in self.ends:
            _abort(end)


class Proxy:
    """`target` is `host:port`, or the path of a Unix socket. `port`: where it listens on 127.0.0.1; default any.

    `connections`: those that are open, oldest first.
    """

    def __init__(self, target: str, *, port: int = 0) -> None:
        self._target = target
        self.port: int = port
        self.connections: list[Connection] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hubbub-proxy")
        self._server: asyncio.Server | None = None
        self._held: socket.socket | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._running = self._thread.submit(self._loop.run_forever)
        self._do(self._begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._do(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._running.result(_WITHIN)
        self._thread.shutdown()
        self._loop.close()

    def freeze(self, *, up: bool = True, down: bool = True) -> None:
        """Hold back what goes in these directions, on every connection, also on those to come."""
        self._do(lambda: _freeze(self._all, up=up, down=down))

    def delay(self, seconds: float, *, up: bool = True, down: bool = True) -> None:
        """What comes from now on arrives so much later. What is on its way stays ahead of it."""

        def do() -> None:
            for direction, concerned in zip(self._all, (up, down), strict=True):
                if concerned:
                    direction.delay = seconds

        self._do(do)

    def reset(self) -> None:
        """End every connection by RST, to both sides."""

        def do() -> None:
            for connection in tuple(self.connections):
                connection.abort()

        self._do(do)

    def refuse(self) -> None:
        """Refuse new connections. Those that are open stay."""
        self._do(self._refuse)

    def heal(self) -> None:
        """No delay, nothing frozen, nothing refused. Connections that were reset stay so."""
        self._do(self._heal)

    def _do(self, what: _Do) -> None:
        async def run() -> None:
            done = what()
            if done is not None:
                await done

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(_WITHIN)

    async def _begin(self) -> None:
        self._all = _way()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = _bound(self.port)
        self.port = self._held.getsockname()[1]
        await self._listen()

    async def _end(self) -> None:
        await self._refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._held is not None:
            self._held.close()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, sock=self._held, limit=_CHUNK)
            self._held = None

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            # A socket that is bound and does not listen: who connects is refused, and nobody else gets the port.
            self._held = _bound(self.port)

    async def _heal(self) -> None:
        for way in (self._all, *(connection.way for connection in self.connections)):
            for direction in way:
                direction.delay = 0.0
                direction.open.set()
        await self._listen()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # pragma: no cover - it runs in one
            return
        self._tasks.add(task)
        connection = Connection(self._do, writer)
        self.connections.append(connection)
        try:
            await self._carry_both(connection, reader)
            for end in connection.ends:
                end.close()
        except OSError:
            # The server refused.
            connection.abort()
        except asyncio.CancelledError:
            # Ends as if it had come to its end: on Python 3.11 asyncio logs a server's task that was cancelled.
            connection.abort()
        finally:
            self.connections.remove(connection)
            self._tasks.discard(task)

    async def _carry_both(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        # A server behind a dead line hears of no client.
        await self._all.up.open.wait()
        there, server = await _connected(self._target)
        (client,) = connection.ends
        connection.ends.append(server)
        for end in connection.ends:
            # What was written and not sent would be lost when the connection is closed.
            end.transport.set_write_buffer_limits(0)

        def remember(data: bytes) -> None:
            if len(connection.said) < _CHUNK:
                connection.said += data

        async with asyncio.TaskGroup() as both:
            both.create_task(_carry(reader, server, (self._all.up, connection.way.up), remember))
            both.create_task(_carry(there, client, (self._all.down, connection.way.down)))


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    through: tuple[_Direction, ...],
    seen: Callable[[bytes], None] = lambda _: None,
) -> None:
    """Everything that comes, then the end, as it was: by FIN or by RST."""
    loop = asyncio.get_running_loop()
    on_their_way: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(_ON_THEIR_WAY)

    async def read() -> None:
        data: bytes | None = b"-"
        while data:
            try:
                data = await reader.read(_CHUNK)
            except OSError:
                data = None
            if data:
                seen(data)
            await on_their_way.put((loop.time() + sum(direction.delay for direction in through), data))

    reading = asyncio.create_task(read())
    try:
        while True:
            due, data = await on_their_way.get()
            await asyncio.sleep(due - loop.time())
            for direction in through:
                await direction.open.wait()
            if data is None:
                _abort(writer)
            # That the receiver is gone is told by what comes back from it, where that is not frozen.
            with suppress(OSError, RuntimeError):
                if data:
                    writer.write(data)
                    await writer.drain()
                elif data == b"" and writer.can_write_eof():
                    writer.write_eof()
            if not data:
                return
    finally:
        reading.cancel()
        await asyncio.wait((reading,))


async def _connected(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if "/" in target:
        return await asyncio.open_unix_connection(target, limit=_CHUNK)
    host, _, port = target.rpartition(":")
    return await asyncio.open_connection(host, int(port), limit=_CHUNK)


def _freeze(way: _Way, *, up: bool, down: bool) -> None:
    for direction, concerned in zip(way, (up, down), strict=True):
        if concerned:
            direction.open.clear()


def _abort(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        own = writer.get_extra_info("socket")
        if own.family != socket.AF_UNIX:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    writer.transport.abort()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
